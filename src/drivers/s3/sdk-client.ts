import { Readable } from 'node:stream'
import type {
  $Command,
  S3Client,
  S3ClientResolvedConfig,
  ServiceInputTypes,
  ServiceOutputTypes,
} from '@aws-sdk/client-s3'
import { lazily } from '../../load.js'
import { clearTimeout, setTimeout } from '../../timers.js'
import { type BucketAddress, pathOf } from './address.js'
import { MAX_ANSWER_BYTES, TimeoutError, tooLong } from './bounds.js'
import { type S3Config, uploadTime } from './config.js'
import { type ForwardProxy, proxyFor } from './proxy.js'
import { notFromS3 } from './s3-error.js'
import type { Signer } from './signer.js'
import { tunnelAgent } from './tunnel.js'

/** The AWS SDK, loaded on first use. */
export const loadSdk = lazily(() => import('@aws-sdk/client-s3'))

/** A command of the SDK. */
export type SdkCommand<Input extends ServiceInputTypes, Output extends ServiceOutputTypes> = $Command<
  Input,
  Output,
  S3ClientResolvedConfig
>

/** An AWS client for any S3-compatible server, without retries of its own. */
export async function createClient(
  sdk: typeof import('@aws-sdk/client-s3'),
  config: S3Config,
  signer: Signer,
): Promise<S3Client> {
  const sockets = { keepAlive: true, maxSockets: config.maxConnections }
  const proxy = config.address && (await proxyFor(config.address.origin))
  const tunnels = proxy && (await tunnelAgent(proxy, sockets, config.connectTimeout))
  const client = new sdk.S3Client({
    region: config.region,
    ...(config.endpoint !== undefined && { endpoint: config.endpoint }),
    credentials: async () => {
      const { accessKeyId, secretAccessKey, sessionToken } = await signer.credentials(undefined)
      const keys = { accessKeyId, secretAccessKey, ...(sessionToken !== undefined && { sessionToken }) }
      // Always about to expire, so that the SDK keeps none but asks each time.
      return { ...keys, expiration: new Date(0) }
    },
    forcePathStyle: config.addressing === 'path',
    // R2 and others do not know the flexible checksums that are on by default (aws/aws-sdk-js-v3#6810).
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    // R2 never answers 100, so the client would wait for it: 6 seconds with each larger body.
    expectContinueHeader: false,
    maxAttempts: 1, // The retries are in `S3Connection`.
    requestHandler: {
      connectionTimeout: config.connectTimeout,
      // Counts while a body is on its way; a request without one ends by the deadline of its turn.
      socketTimeout: config.idleTimeout + uploadTime(config.partSize),
      httpAgent: sockets,
      httpsAgent: tunnels ?? sockets,
    },
  })
  boundAnswers(client)
  if (proxy && config.address?.origin.startsWith('http:')) forward(client, proxy)
  return client
}

/** Commands whose success has no body. */
const EMPTY: ReadonlySet<string | undefined> = new Set(['DeleteObjectCommand', 'AbortMultipartUploadCommand'])

/** The SDK would keep all of an answer that is not a file, however long it is. */
function boundAnswers(client: S3Client): void {
  client.middlewareStack.add(
    (next, context) => async (args) => {
      const result = await next(args)
      const { response } = result
      if (!hasBody(response)) return result
      if (context.commandName === 'GetObjectCommand' && response.statusCode < 300) return result
      // The SDK does not look at it, so the page of a proxy would count as a delete.
      const hasNone = EMPTY.has(context.commandName) && response.statusCode < 300
      response.body = Readable.from(
        hasNone ? bounded(response.body, 0, notFromS3(200)) : bounded(response.body),
      )
      return result
    },
    { step: 'deserialize', priority: 'low', name: 'stowageBoundAnswers' },
  )
}

async function* bounded(body: Readable, most = MAX_ANSWER_BYTES, error = tooLong()): AsyncGenerator<Buffer> {
  let bytes = 0
  for await (const chunk of body) {
    bytes += chunk.byteLength
    if (bytes > most) throw error
    yield chunk
  }
}

function hasBody(response: unknown): response is { statusCode: number; body: Readable } {
  return (
    typeof response === 'object' &&
    response !== null &&
    'statusCode' in response &&
    'body' in response &&
    response.body instanceof Readable
  )
}

/** Sends a command, and gives it up after `timeout` milliseconds: no idle time-out ends an answer that trickles. */
export async function sendWithin<Input extends ServiceInputTypes, Output extends ServiceOutputTypes>(
  timeout: number,
  client: S3Client,
  command: SdkCommand<Input, Output>,
  signal: AbortSignal | undefined,
): Promise<Output> {
  signal?.throwIfAborted()
  const controller = new AbortController()
  let stop = () => {}
  const stopped = new Promise<never>((_, reject) => {
    // The SDK does not end by an abort alone when the connection has become one of another protocol.
    stop = () => {
      controller.abort()
      reject(new TimeoutError(timeout))
    }
  })
  const timer = setTimeout(stop, timeout)
  signal?.addEventListener('abort', stop)
  try {
    return await Promise.race([client.send(command, { abortSignal: controller.signal }), stopped])
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', stop)
  }
}

/** Changes one command's request before it is signed. */
export function changeRequest<Input extends ServiceInputTypes, Output extends ServiceOutputTypes>(
  command: SdkCommand<Input, Output>,
  change: (request: SdkRequest) => void,
): void {
  command.middlewareStack.add(
    (next) => (args) => {
      const { request } = args
      if (isRequest(request)) change(request)
      return next(args)
    },
    { step: 'build', priority: 'low' },
  )
}

/** Leaves out the checksums that the SDK adds. */
export function dropChecksums({ headers }: SdkRequest): void {
  for (const name of Object.keys(headers)) if (/^x-amz-(?:sdk-)?checksum-/.test(name)) delete headers[name]
}

/** Hands out the text of one command's success, which the SDK then reads again. */
export function keepAnswer<Input extends ServiceInputTypes, Output extends ServiceOutputTypes>(
  command: SdkCommand<Input, Output>,
  keep: (text: string) => void,
): SdkCommand<Input, Output> {
  command.middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args)
      const { response } = result
      if (!hasBody(response) || response.statusCode >= 300) return result
      const chunks: Buffer[] = []
      for await (const chunk of bounded(response.body)) chunks.push(chunk)
      const bytes = Buffer.concat(chunks)
      keep(bytes.toString())
      response.body = Readable.from([bytes])
      return result
    },
    { step: 'deserialize', priority: 'low' },
  )
  return command
}

/** The parts of the SDK's `HttpRequest` that we change. */
interface SdkRequest {
  headers: Record<string, string>
  body?: unknown
  protocol: string
  hostname: string
  port?: number
  path: string
}

function isRequest(request: unknown): request is SdkRequest {
  return typeof request === 'object' && request !== null && 'headers' in request && 'hostname' in request
}

/** Leads a request to another address of the bucket. */
export function redirect(request: SdkRequest, address: BucketAddress, key: string): void {
  sendTo(request, new URL(address.origin))
  request.headers.host = address.host
  request.path = pathOf(address, key)
}

function sendTo(request: SdkRequest, { protocol, hostname, port }: URL): void {
  Object.assign(request, { protocol, hostname, port: port === '' ? undefined : Number(port) })
}

/** Sends signed requests in absolute form to a proxy: RFC 9112 §3.2.2. */
function forward(client: S3Client, proxy: ForwardProxy): void {
  client.middlewareStack.add(
    (next) => (args) => {
      const { request } = args
      if (isRequest(request)) {
        const { protocol, path, headers } = request
        request.path = `${protocol}//${headers.host}${path}`
        Object.assign(headers, proxy.headers)
        sendTo(request, proxy.url)
      }
      return next(args)
    },
    { step: 'deserialize', priority: 'low', name: 'stowageForward' },
  )
}

/** Properties that every function has. */
const OF_FUNCTIONS = new Set(['length', 'name', 'prototype', 'arguments', 'caller'])

/** Whether a client is a double in an application's tests, without a server: its `send` is of its own, or keeps records. */
export function isDouble(client: S3Client): boolean {
  return (
    Object.hasOwn(client, 'send') ||
    Object.getOwnPropertyNames(client.send).some((name) => !OF_FUNCTIONS.has(name))
  )
}
