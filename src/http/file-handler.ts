import type { StorageDriver } from '../driver.js'
import { inContext, Problem } from '../errors.js'
import { checkConstructorOptions, type OptionNames } from '../options.js'
import { driverOf, type Storage } from '../storage.js'
import { folderOf, nameOfPath } from './address.js'
import { toCors } from './cors.js'
import { errorResponse, problemResponse } from './problem.js'
import { serve } from './serve-file.js'
import { takeUpload } from './signed-upload.js'

/** Answers a request, or resolves to undefined where it is not meant. */
export type Handler = (request: Request) => Promise<Response | undefined>

/** Options of {@link createFileHandler}. */
export interface FileHandlerOptions {
  /** The path before the names. Default `/uploads/`. */
  basePath?: string | undefined
  /**
   * Decides about reading. `'signed'` (default): anyone with a signed address. `'public'`: everyone. A function decides for each
   * request; a refusal is a 403.
   */
  access?: 'signed' | 'public' | ((name: string, request: Request) => boolean | Promise<boolean>) | undefined
  /** Whether addresses of `signedUpload` are served. Default true. */
  uploads?: boolean | undefined
  /** Origins of other sites that may fetch from here, such as `['https://app.example.com']`. Default: none. */
  cors?: readonly string[] | undefined
}

/**
 * Serves the addresses of a storage: those of `url()`, and the signed ones of `FileSystemStorage` and `MemoryStorage`.
 * With an access function it stands before any storage. Never rejects.
 *
 * @throws {ConfigurationError} for options that cannot be.
 * @example app.use('/uploads/*', async (c, next) => (await files(c.req.raw)) ?? next())
 */
export function createFileHandler(storage: Storage, options: FileHandlerOptions = {}): Handler {
  const { access, uploads, basePath, cors } = inContext({ operation: 'createFileHandler' }, () =>
    checked(options),
  )
  // The default storage may be replaced.
  let place: { readonly driver: StorageDriver; readonly folder: string } | undefined
  return async (request) => {
    const { pathname, search } = new URL(request.url)
    if (!pathname.startsWith(basePath)) return undefined
    const response = await answer(pathname.slice(basePath.length), search, request).catch(errorResponse)
    return cors.mark(request, response)
  }

  async function answer(path: string, query: string, request: Request): Promise<Response> {
    const { method } = request
    if (method === 'OPTIONS') return cors.preflight(request)
    const isUpload = method === 'PUT' && uploads
    if (!isUpload && method !== 'GET' && method !== 'HEAD') {
      const allow = uploads ? 'GET, HEAD, PUT, OPTIONS' : 'GET, HEAD, OPTIONS'
      return problemResponse(405, 'BadRequest', 'This method is not supported here.', { allow })
    }
    const driver = driverOf(storage)
    if (driver !== place?.driver) {
      place = { driver, folder: folderOf((probe) => driver.locate(probe), basePath) }
    }
    const name = nameOfPath(path, place.folder)
    const grant = name && driver.verify?.({ method, name, query })
    if (isUpload)
      return grant?.method === 'PUT' && name ? takeUpload(storage, name, grant, request) : refused()
    if (name !== undefined && grant && grant.method !== 'PUT') {
      return serve(storage, name, request, SIGNED, grant)
    }
    if (access === 'signed') return refused()
    if (name === undefined) return missing()
    if (access !== 'public' && !(await access(name, request))) return refused()
    return serve(storage, name, request, {}, {})
  }
}

const OPTIONS: OptionNames<FileHandlerOptions> = { basePath: true, access: true, uploads: true, cors: true }

function checked(options: FileHandlerOptions) {
  checkConstructorOptions(options, OPTIONS)
  const { access = 'signed', uploads = true } = options
  if (access !== 'signed' && access !== 'public' && typeof access !== 'function') {
    throw new Problem('Misconfigured', "the option access must be 'signed', 'public' or a function")
  }
  return { access, uploads, basePath: toBasePath(options.basePath), cors: toCors(options.cors, METHODS) }
}

const METHODS = 'GET, HEAD, PUT'

/** The address is the permission, so it must not be told to other sites. */
const SIGNED = { headers: { 'referrer-policy': 'no-referrer' } }

/** The same for every reason: an address tells nothing but by its signature. */
function refused(): Response {
  return problemResponse(403, 'PermissionDenied', 'This address is not valid, or not any more.')
}

function missing(): Response {
  return problemResponse(404, 'NotFound', 'There is no such file.')
}

/** A path that begins and ends with a slash. */
export function toBasePath(basePath: string = '/uploads/'): string {
  if (typeof basePath !== 'string' || !/^\/(?:[^?#\s]*)$/.test(basePath)) {
    throw new Problem('Misconfigured', 'the option basePath must be a path such as /uploads/')
  }
  return basePath.endsWith('/') ? basePath : `${basePath}/`
}
