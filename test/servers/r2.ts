import { randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { type Behaviour, usualBehaviour } from './r2/behaviour.js'
import { answer, type LoggedRequest, type World } from './r2/exchange.js'
import { Bucket } from './r2/object-store.js'
import { errorDocument } from './r2/reply.js'

export type { Answer, Behaviour, Faults, RequestInfo, Verdict } from './r2/behaviour.js'
export { patternChunks } from './r2/content.js'
export type { LoggedRequest } from './r2/exchange.js'
export { Bucket, type StoredObject } from './r2/object-store.js'

export interface StrictR2Options extends Partial<Behaviour> {
  /** Default: one, `test-bucket`. */
  readonly buckets?: readonly string[]
  readonly accessKeyId?: string
  readonly secretAccessKey?: string
  /** When given, requests must carry it; when not, they must carry none. */
  readonly sessionToken?: string
  /** Entries the request log keeps, oldest dropped first. Default 10,000. */
  readonly requestLogLimit?: number
}

/** The options that tell a storage what it knows of R2 by the endpoint otherwise. */
export const AS_R2 = { conditionalCompletion: true, conditionalCopy: true } as const

/** The options of a storage on this server, besides the bucket. */
export function optionsOf({ endpoint, accessKeyId, secretAccessKey, sessionToken }: StrictR2) {
  return { endpoint, accessKeyId, secretAccessKey, sessionToken }
}

export interface StrictR2 {
  readonly endpoint: string
  readonly region: 'auto'
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
  /** Every request that arrived, refused ones too; empty it with `requests.length = 0`. */
  readonly requests: LoggedRequest[]
  readonly buckets: Map<string, Bucket>
  /** May be changed at any time. */
  readonly behaviour: Behaviour
  /** Multipart uploads that are neither completed nor aborted, in all buckets. */
  readonly openUploads: number
  /** Connections that are open now. */
  readonly connections: number
  /** The bucket of that name, or the first. */
  bucket(name?: string): Bucket
  /** Empties buckets and log and restores the behaviour the server was started with. */
  reset(): void
  stop(): Promise<void>
}

/**
 * A stand-in for Cloudflare R2's S3 API on 127.0.0.1, as strict as R2 or stricter: what R2 documents as unsupported, or
 * does not document, is refused with 501 rather than ignored.
 */
export async function startStrictR2(options: StrictR2Options = {}): Promise<StrictR2> {
  const {
    buckets: bucketNames = ['test-bucket'],
    accessKeyId = randomBytes(16).toString('hex'),
    secretAccessKey = randomBytes(32).toString('hex'),
    sessionToken,
    requestLogLimit = 10_000,
    ...changes
  } = options
  const behaviour: Behaviour = { ...usualBehaviour, ...changes }
  const buckets = new Map(bucketNames.map((name) => [name, new Bucket(name)]))
  const requests: LoggedRequest[] = []
  const token = sessionToken === undefined ? {} : { sessionToken }
  const credentials = { accessKeyId, secretAccessKey, ...token }
  const log = (entry: LoggedRequest) => {
    if (requests.length >= requestLogLimit) requests.shift()
    requests.push(entry)
  }
  const world: World = { buckets, credentials, behaviour, log }
  const { endpoint, sockets, stop } = await listen((incoming, response) => answer(world, incoming, response))
  return {
    endpoint,
    region: 'auto',
    ...credentials,
    requests,
    buckets,
    behaviour,
    get openUploads() {
      return [...buckets.values()].reduce((sum, bucket) => sum + bucket.uploads.size, 0)
    },
    get connections() {
      return sockets.size
    },
    bucket(name = bucketNames[0]) {
      const bucket = name === undefined ? undefined : buckets.get(name)
      if (bucket === undefined) throw new Error(`No bucket ${name}`)
      return bucket
    },
    reset() {
      for (const bucket of buckets.values()) bucket.clear()
      requests.length = 0
      Object.assign(behaviour, usualBehaviour, changes)
    },
    stop,
  }
}

type Listener = (incoming: IncomingMessage, response: ServerResponse) => void

async function listen(listener: Listener) {
  // 8 KiB of metadata grows by a third in base64, and more in URLs; Node's limit of 16 KiB would be in the way.
  const server = createServer(
    { maxHeaderSize: 64 * 1024, keepAliveTimeout: 30_000, requestTimeout: 0 },
    listener,
  )
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  // R2 has no "100 Continue": with a listener of its own Node does not send one either.
  server.on('checkContinue', listener)
  server.on('clientError', refuseBrokenRequest)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ port: 0, host: '127.0.0.1', backlog: 1024 }, resolve)
  })
  const address = server.address() as AddressInfo
  const stop = async () => {
    await new Promise<void>((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  }
  return { endpoint: `http://127.0.0.1:${address.port}`, sockets, stop }
}

/** A connection half closed in mid-body, or something that is not HTTP. */
function refuseBrokenRequest(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy()
    return
  }
  const incomplete = error.code === 'HPE_INVALID_EOF_STATE'
  const body = incomplete
    ? errorDocument('IncompleteBody', 'The request body terminated unexpectedly')
    : errorDocument('InvalidRequest', error.message)
  const head = ['HTTP/1.1 400 Bad Request', 'Connection: close', 'Content-Type: application/xml']
  socket.end(`${head.join('\r\n')}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`)
}
