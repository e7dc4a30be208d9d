import { toBody } from '../content.js'
import { DirectUploads, type UploadReference } from '../direct-upload.js'
import { inContext, isStorageError, Problem } from '../errors.js'
import { isMediaType } from '../media-types.js'
import { checkConstructorOptions, type OptionNames, toSigningTimes } from '../options.js'
import type { Storage } from '../storage.js'
import type { UploadRules } from '../types.js'
import { toUploadRules } from '../uploads.js'
import { toCors } from './cors.js'
import { type Handler, toBasePath } from './file-handler.js'
import { readJson } from './json-body.js'
import { originOf } from './origin.js'
import { Refusal } from './refusal.js'
import { exactly, lengthOf } from './signed-upload.js'
import { jsonResponse, uploadProblem } from './upload-answers.js'
import { type AnnouncedFile, fromParts, toAnnouncedFile, toWantedParts } from './upload-messages.js'
import { METHODS, routeOf, type UploadRoute } from './upload-routes.js'

/** A client's request about an upload. */
export interface UploadAction {
  /** `create` begins an upload, `sign` asks for the address of a part. */
  readonly action: 'create' | 'sign' | 'list' | 'complete' | 'abort'
  /** The name that was asked for. Missing with `create`. */
  readonly key?: string | undefined
  /** The upload. Missing with `create`. */
  readonly uploadId?: string | undefined
}

/** Options of {@link createUploadHandler}. */
export interface UploadHandlerOptions extends UploadRules {
  /** The path before the routes. Default `/s3`, which is what Uppy puts behind its `companionEndpoint`. */
  basePath?: string | undefined
  /** Decides about every request; a refusal is a 403. The upload of a part itself needs only the signature of its address. */
  authorize: (request: Request, action: UploadAction) => boolean | Promise<boolean>
  /** Gives each file its name in the storage. A taken name gets a suffix when the upload is complete. */
  name: (file: AnnouncedFile, request: Request) => string | Promise<string>
  /**
   * Gives each file its metadata, as `save` takes it; what `save` would refuse is a 400. Choose what you store of
   * `file.metadata`: a client may send anything. Default: none.
   */
  metadata?:
    | ((
        file: AnnouncedFile,
        request: Request,
      ) => Readonly<Record<string, string>> | Promise<Readonly<Record<string, string>>>)
    | undefined
  /** Seconds until the address of a part expires, 1 to 604,800. Default 3,600. */
  expiresIn?: number | undefined
  /** Origins of other sites whose pages may upload, such as `['https://app.example.com']`. Default: none. */
  cors?: readonly string[] | undefined
  /**
   * Whether `Forwarded` and `X-Forwarded-*` say where clients reach this application. Only behind a proxy that sets them.
   * Default false.
   */
  trustProxy?: boolean | undefined
}

/**
 * Takes large files from browsers in parts, which can go on after an interruption: the routes of Uppy's Companion for
 * `@uppy/aws-s3`. On R2 and S3 the parts go straight to the bucket, which needs a CORS rule that exposes `ETag`; on disk
 * and in memory to this handler.
 *
 * Nobody sees a file before it is complete and its bytes have been judged by `maxSize` and `allowedTypes`. It never
 * overwrites another. All state is in the storage, so that any process can continue an upload. What is given up is swept
 * after a week.
 *
 * Never rejects: every failure is a `Response` of `application/problem+json`. Resolves to undefined outside of `basePath`.
 *
 * @throws {ConfigurationError} for options that cannot be.
 * @example
 * const uploads = createUploadHandler(defaultStorage, {
 *   authorize: async (request) => (await userOf(request)) !== null,
 *   name: ({ filename }) => documentPath(roomId, filename),
 *   ...chatUploadRules,
 * })
 * app.all('/s3/*', async (c, next) => (await uploads(c.req.raw)) ?? next())
 * // in the browser: new Uppy().use(AwsS3, { companionEndpoint: location.origin, shouldUseMultipart: true })
 */
export function createUploadHandler(storage: Storage, options: UploadHandlerOptions): Handler {
  const settings = inContext({ operation: 'createUploadHandler' }, () => checked(options))
  const { basePath, cors } = settings
  const routes = new UploadRoutes(new DirectUploads(storage, settings.rules), storage, settings)
  return async (request) => {
    const { pathname } = new URL(request.url)
    if (!pathname.startsWith(basePath)) return undefined
    if (request.method === 'OPTIONS') return cors.mark(request, cors.preflight(request))
    let action: UploadRoute['action'] | undefined
    try {
      const route = routeOf(request.method, pathname.slice(basePath.length))
      action = route.action
      return cors.mark(request, await routes.answer(route, request))
    } catch (error) {
      return cors.mark(request, uploadProblem(error, action))
    }
  }
}

/** Most bytes of a request that begins an upload, and of one that completes it: a part takes up to 200. */
const CREATE_BYTES = 64 * 1024
const COMPLETE_BYTES = 2 * 1024 * 1024

class UploadRoutes {
  readonly #uploads: DirectUploads
  readonly #storage: Storage
  readonly #settings: Settings

  constructor(uploads: DirectUploads, storage: Storage, settings: Settings) {
    this.#uploads = uploads
    this.#storage = storage
    this.#settings = settings
  }

  async answer(route: UploadRoute, request: Request): Promise<Response> {
    const { action } = route
    if (action === 'params') throw new Refusal(501, 'Forms are not supported here: use shouldUseMultipart.')
    if (action === 'store') return this.#store(route, request)
    if (action === 'create') return this.#create(request)
    const key = keyOf(request)
    await this.#authorize(request, { action, key, uploadId: route.id })
    const upload = { name: key, id: route.id, signal: request.signal }
    if (action === 'list') return jsonResponse(fromParts(await this.#uploads.list(upload)))
    if (action === 'sign') return this.#sign(upload, route.number, request)
    if (action === 'complete') return this.#complete(upload, request)
    await this.#uploads.abort(upload)
    return jsonResponse({})
  }

  async #authorize(request: Request, action: UploadAction): Promise<void> {
    if (!(await this.#settings.authorize(request, action))) throw new Refusal(403, 'You may not do this.')
  }

  async #create(request: Request): Promise<Response> {
    await this.#authorize(request, { action: 'create' })
    const file = toAnnouncedFile(await readJson(request, CREATE_BYTES))
    const wanted = await this.#settings.name(file, request)
    const metadata = await this.#settings.metadata?.(file, request)
    const contentType = isMediaType(file.contentType) ? file.contentType : undefined
    const { name, id } = await this.#uploads.begin(wanted, { contentType, metadata }, request.signal)
    return jsonResponse({ key: name, uploadId: id })
  }

  async #sign(upload: UploadReference, number: number, request: Request): Promise<Response> {
    const { basePath, expiresIn, trustProxy } = this.#settings
    const { url, query } = await this.#uploads.sign(upload, number, expiresIn)
    const own = () => `${originOf(request, trustProxy)}${basePath}multipart/${upload.id}/${number}?${query}`
    return jsonResponse({ url: url ?? own(), expires: expiresIn })
  }

  async #complete(upload: UploadReference, request: Request): Promise<Response> {
    const parts = toWantedParts(await readJson(request, COMPLETE_BYTES))
    const key = await this.#uploads.complete(upload, parts)
    return jsonResponse({ location: this.#locate(key), key })
  }

  /** A storage without public addresses must not make a failure of what is stored. */
  #locate(name: string): string {
    try {
      return this.#storage.url(name)
    } catch (error) {
      if (isStorageError(error)) return ''
      throw error
    }
  }

  async #store(
    { id, number }: Extract<UploadRoute, { readonly action: 'store' }>,
    request: Request,
  ): Promise<Response> {
    const { search } = new URL(request.url)
    const name = this.#uploads.verify({ id, number, query: search })
    if (name === undefined) throw new Refusal(403, 'This address is not valid, or not any more.')
    const size = lengthOf(request)
    const body = { ...toBody(exactly(request.body ?? [], size)), size }
    const etag = await this.#uploads.store({ name, id, signal: request.signal }, number, body)
    return new Response(null, { status: 200, headers: { etag } })
  }
}

/** The name of the upload, which every route but the first one has to say. */
function keyOf(request: Request): string {
  const [key, more] = new URL(request.url).searchParams.getAll('key')
  if (!key || more !== undefined) throw new Refusal(400, 'The request must have one key.')
  return key
}

const OPTIONS: OptionNames<UploadHandlerOptions> = {
  basePath: true,
  authorize: true,
  name: true,
  metadata: true,
  maxSize: true,
  allowedTypes: true,
  expiresIn: true,
  cors: true,
  trustProxy: true,
}

type Settings = ReturnType<typeof checked>

function checked(options: UploadHandlerOptions) {
  checkConstructorOptions(options, OPTIONS)
  const { authorize, name, metadata, expiresIn = 3600, trustProxy = false } = options
  for (const [option, value] of Object.entries({
    authorize,
    name,
    ...(metadata !== undefined && { metadata }),
  })) {
    if (typeof value !== 'function') throw misconfigured(`the option ${option} must be a function`)
  }
  if (typeof trustProxy !== 'boolean') throw misconfigured('the option trustProxy must be true or false')
  return {
    authorize,
    name,
    metadata,
    trustProxy,
    expiresIn: toSigningTimes(expiresIn, undefined).expiresIn,
    rules: toUploadRules(options),
    basePath: toBasePath(options.basePath ?? '/s3'),
    cors: toCors(options.cors, METHODS),
  }
}

function misconfigured(reason: string): Problem {
  return new Problem('Misconfigured', reason)
}
