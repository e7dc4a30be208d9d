import type { S3Client } from '@aws-sdk/client-s3'
import type { Pool } from 'undici'
import { encodeExtended, encodeExtendedPath } from '../../percent.js'
import type { S3Connection, Sdk } from './connection.js'
import { NoS3Answer } from './failures.js'
import { exchange, type HttpRequest, type HttpResponse } from './http.js'
import { uploadTime } from './options.js'
import { signHeaders } from './sigv4.js'
import { readListing, readTag, toDate } from './xml.js'

type Fields = Readonly<Record<string, unknown>>

/** How the lane carries out a command. */
interface Route {
  readonly method: HttpRequest['method']
  /** The input fields that go into headers, besides `Metadata`. */
  readonly headers: Readonly<Record<string, string>>
  /** The input fields that go into the query. */
  readonly query: Readonly<Record<string, string>>
  /** Parameters that are always in the query. */
  readonly parameters?: Readonly<Record<string, string>>
  readonly streamed?: boolean
  output(response: HttpResponse): object
}

interface Taken {
  readonly route: Route
  readonly input: Fields
  readonly signal: AbortSignal | undefined
}

const OBJECT_HEADERS = {
  ContentType: 'content-type',
  CacheControl: 'cache-control',
  ContentDisposition: 'content-disposition',
  ContentLanguage: 'content-language',
  ContentEncoding: 'content-encoding',
} as const

const ROUTES: { readonly [Command in keyof Sdk]?: Route } = {
  PutObjectCommand: {
    method: 'PUT',
    headers: { ...OBJECT_HEADERS, ContentMD5: 'content-md5', IfNoneMatch: 'if-none-match' },
    query: {},
    output: ({ headers }) => ({ ETag: headers.etag }),
  },
  UploadPartCommand: {
    method: 'PUT',
    headers: {},
    query: { PartNumber: 'partNumber', UploadId: 'uploadId' },
    output: ({ headers }) => ({ ETag: headers.etag }),
  },
  GetObjectCommand: {
    method: 'GET',
    headers: { Range: 'range', IfMatch: 'if-match' },
    query: {},
    streamed: true,
    output: ({ headers, stream }) => Object.assign(readObjectHeaders(headers), { Body: stream }),
  },
  HeadObjectCommand: {
    method: 'HEAD',
    headers: {},
    query: {},
    output: ({ headers }) => readObjectHeaders(headers),
  },
  DeleteObjectCommand: {
    method: 'DELETE',
    headers: {},
    query: {},
    output: ({ text }) => {
      if (text !== '') throw new NoS3Answer()
      return {}
    },
  },
  ListObjectsV2Command: {
    method: 'GET',
    headers: {},
    query: {
      Prefix: 'prefix',
      Delimiter: 'delimiter',
      ContinuationToken: 'continuation-token',
      EncodingType: 'encoding-type',
    },
    parameters: { 'list-type': '2' },
    output: ({ text }) => readListing(text),
  },
}

/**
 * Answers the hot commands of a client in front of its whole middleware stack: one signature and one HTTP request over
 * a pool of undici's, instead of the SDK's serialisers, signers and agents, for about a quarter of the CPU time. Whatever it
 * does not know goes on to the SDK unchanged. Outputs and errors have the SDK's own shapes.
 */
export class FastLane {
  readonly #connection: S3Connection
  readonly #pool: Pool
  readonly #sdk: Sdk
  readonly #host: string
  /** By the commands' classes themselves: bundlers give them other names. */
  readonly #routes: ReadonlyMap<unknown, Route>
  /** What is to be answered here, by the inputs of the commands. */
  readonly #taken = new WeakMap<object, Taken>()

  private constructor(connection: S3Connection, pool: Pool, host: string, sdk: Sdk) {
    this.#connection = connection
    this.#pool = pool
    this.#host = host
    this.#sdk = sdk
    this.#routes = new Map(
      Object.entries(ROUTES).map(([command, route]) => [Reflect.get(sdk, command), route]),
    )
  }

  static async open(connection: S3Connection, endpoint: string, sdk: Sdk): Promise<FastLane> {
    const { Pool } = await import('undici')
    const { maxConnections, connectTimeout, idleTimeout } = connection.config
    const pool = new Pool(endpoint, {
      connections: maxConnections,
      connect: { timeout: connectTimeout },
      headersTimeout: idleTimeout,
      bodyTimeout: idleTimeout,
      keepAliveTimeout: 10_000,
      pipelining: 1,
    })
    return new FastLane(connection, pool, new URL(endpoint).host, sdk)
  }

  /** Puts the lane in front of everything else that a client does. */
  join(client: S3Client): void {
    client.middlewareStack.add(
      (next) => async (args) => {
        const taken = this.#taken.get(args.input)
        if (!taken) return next(args)
        return { output: Object.assign(await this.#answer(taken)), response: {} }
      },
      { step: 'initialize', priority: 'high', name: 'stowageFastLane' },
    )
  }

  /** Takes a command that can be answered here; whether it is one. */
  takes(command: { readonly input: object }, signal: AbortSignal | undefined): boolean {
    const route = this.#routes.get(command.constructor)
    const { input } = command
    if (!route || !isFields(input) || !knows(route, input)) {
      this.#taken.delete(input)
      return false
    }
    this.#taken.set(input, { route, input, signal })
    return true
  }

  async #answer({ route, input, signal }: Taken): Promise<object> {
    const { config } = this.#connection
    const body = input.Body instanceof Uint8Array ? input.Body : null
    const request = await this.#sign(route, input, body, signal)
    const deadline = config.connectTimeout + request.headersTimeout
    const response = await exchange(this.#pool, request, route.streamed === true, deadline, signal)
    const $metadata = {
      httpStatusCode: response.status,
      requestId: response.headers['x-amz-request-id'],
      attempts: 1,
    }
    if (response.status >= 300) throw this.#toError(response, $metadata, route)
    return { $metadata, ...route.output(response) }
  }

  async #sign(
    route: Route,
    input: Fields,
    body: Uint8Array | null,
    signal: AbortSignal | undefined,
  ): Promise<HttpRequest> {
    const headers: Record<string, string> = {}
    for (const field in route.headers) {
      const name = route.headers[field]
      if (name !== undefined && input[field] !== undefined) headers[name] = String(input[field])
    }
    if (isFields(input.Metadata)) {
      for (const [key, value] of Object.entries(input.Metadata)) headers[`x-amz-meta-${key}`] = String(value)
    }
    const query: Record<string, string> = { ...route.parameters }
    for (const field in route.query) {
      const name = route.query[field]
      if (name !== undefined && input[field] !== undefined) query[name] = String(input[field])
    }
    const key = typeof input.Key === 'string' ? `/${encodeExtendedPath(input.Key)}` : ''
    const path = `/${encodeExtended(String(input.Bucket))}${key}`
    const credentials = await this.#connection.credentials(signal)
    const date = this.#connection.toServerTime(Date.now())
    const signed = signHeaders(
      { method: route.method, host: this.#host, path, query, headers },
      { credentials, region: this.#connection.config.region, date },
    )
    return {
      method: route.method,
      path: signed.query === '' ? path : `${path}?${signed.query}`,
      headers: signed.headers,
      body,
      headersTimeout: this.#connection.config.idleTimeout + uploadTime(body?.byteLength ?? 0),
    }
  }

  /** The SDK's error for an answer: by S3's code in the body, or by the status where there is none. */
  #toError({ status, headers, text }: HttpResponse, $metadata: object, route: Route): Error {
    const code = readTag(text, 'Code') ?? (route.method === 'HEAD' && status === 404 ? 'NotFound' : 'Unknown')
    const message = readTag(text, 'Message') || 'UnknownError'
    const Class = {
      NoSuchKey: this.#sdk.NoSuchKey,
      NoSuchBucket: this.#sdk.NoSuchBucket,
      NotFound: this.#sdk.NotFound,
    }[code]
    const error = Class
      ? new Class({ message, $metadata })
      : new this.#sdk.S3ServiceException({
          name: code,
          message,
          $metadata,
          $fault: status >= 500 ? 'server' : 'client',
        })
    const response = { statusCode: status, headers }
    Object.defineProperty(error, '$response', { value: response, configurable: true })
    return Object.assign(error, { Code: code })
  }
}

/** Whether a command has no fields but those that its route carries out. */
function knows(route: Route, input: Fields): boolean {
  for (const field in input) {
    if (
      input[field] === undefined ||
      field in COMMON_FIELDS ||
      field in route.headers ||
      field in route.query
    )
      continue
    return false
  }
  return input.Body === undefined || input.Body instanceof Uint8Array
}

/** `ContentLength` is the body's own. */
const COMMON_FIELDS = { Bucket: true, Key: true, Body: true, ContentLength: true, Metadata: true }

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null
}

/** The headers of Get and Head in the fields of the SDK's outputs. */
function readObjectHeaders(headers: Readonly<Record<string, string>>): object {
  const Metadata: Record<string, string> = {}
  for (const name in headers) {
    if (name.startsWith('x-amz-meta-')) Metadata[name.slice('x-amz-meta-'.length)] = headers[name] ?? ''
  }
  const length = headers['content-length']
  const modified = headers['last-modified']
  return {
    ContentLength: length === undefined ? undefined : Number(length),
    ContentRange: headers['content-range'],
    ETag: headers.etag,
    LastModified: toDate(modified),
    ContentType: headers['content-type'],
    CacheControl: headers['cache-control'],
    ContentDisposition: headers['content-disposition'],
    ContentLanguage: headers['content-language'],
    ContentEncoding: headers['content-encoding'],
    Metadata,
  }
}
