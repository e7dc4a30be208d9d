import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { releaseStream } from '../source.js'
import { expectDirect, takeDirect } from './direct.js'
import { isHost } from './origin.js'
import { errorResponse, problemResponse } from './problem.js'

/** A listener for `node:http`, Express and Connect. */
export type NodeListener = (
  request: IncomingMessage & { originalUrl?: string },
  response: ServerResponse,
  next?: (error?: unknown) => void,
) => void

/**
 * Turns a handler of `Request` and `Response` into a listener for `node:http`, Express and Connect. Calls `next` where the
 * handler resolved to undefined; without `next` the answer is 404.
 *
 * @example
 * app.use(toNodeListener(createFileHandler(defaultStorage)))
 * http.createServer(toNodeListener(createFileHandler(defaultStorage))).listen(3000)
 */
export function toNodeListener(handler: (request: Request) => Promise<Response | undefined>): NodeListener {
  return (incoming, outgoing, next) => {
    answer(handler, incoming, outgoing, next).catch((error: unknown) => {
      // The client left, or the content broke off: only a broken connection can say so now.
      outgoing.destroy(error instanceof Error ? error : undefined)
    })
  }
}

async function answer(
  handler: (request: Request) => Promise<Response | undefined>,
  incoming: Parameters<NodeListener>[0],
  outgoing: ServerResponse,
  next: Parameters<NodeListener>[2],
): Promise<void> {
  const request = toRequest(incoming, outgoing)
  const response = request
    ? await handler(request).catch(errorResponse)
    : problemResponse(400, 'BadRequest', 'The address is malformed.')
  if (response === undefined && next) return next()
  await send(response ?? problemResponse(404, 'NotFound', 'There is nothing here.'), incoming, outgoing)
}

function toRequest(incoming: Parameters<NodeListener>[0], outgoing: ServerResponse): Request | undefined {
  const { method = 'GET', headers, rawHeaders } = incoming
  const path = incoming.originalUrl ?? incoming.url ?? '/'
  try {
    // A request line may hold a whole address, or `//host`.
    const url = unfolded(path.startsWith('/') ? `${originOf(incoming)}${path}` : path)
    const given = new Headers()
    for (let index = 0; index < rawHeaders.length; index += 2) {
      const name = rawHeaders[index] ?? ''
      if (!name.startsWith(':')) given.append(name, rawHeaders[index + 1] ?? '')
    }
    const hasBody =
      method !== 'GET' &&
      method !== 'HEAD' &&
      (headers['content-length'] ?? headers['transfer-encoding']) !== undefined
    const init: RequestInit = { method, headers: given }
    // Node needs `duplex` for a stream, and its types do not know it.
    if (hasBody) Object.assign(init, { body: bodyOf(incoming), duplex: 'half' })
    const request = new Request(url, init)
    // A request that is given a signal costs twice as much, and few look at it.
    let signal: AbortSignal | undefined
    Object.defineProperty(request, 'signal', { get: () => (signal ??= leaveOf(outgoing)) })
    expectDirect(request)
    return request
  } catch {
    return undefined
  }
}

/**
 * The body of a request. Nothing is read before somebody asks for it: if the handler does not answer, the body belongs to
 * the listener that `next` calls.
 */
function bodyOf(incoming: IncomingMessage): ReadableStream<unknown> {
  let chunks: AsyncIterator<unknown> | undefined
  return new ReadableStream<unknown>(
    {
      async pull(controller) {
        chunks ??= incoming.iterator({ destroyOnReturn: false })
        const { done, value } = await chunks.next()
        if (done) controller.close()
        else controller.enqueue(value)
      },
      // The connection carries the answer as well.
      cancel: () => releaseStream(incoming),
    },
    { highWaterMark: 0 },
  )
}

/** Scheme and host as the client wrote them. */
function originOf({ headers, socket }: IncomingMessage): string {
  const isSecure = 'encrypted' in socket && socket.encrypted === true
  return `${isSecure ? 'https' : 'http'}://${isHost(headers.host) ? headers.host : 'localhost'}`
}

/** Aborted when the client leaves. */
function leaveOf(outgoing: ServerResponse): AbortSignal {
  const leave = new AbortController()
  const look = () => {
    if (!outgoing.writableFinished) leave.abort(new DOMException('the client left', 'AbortError'))
  }
  if (outgoing.closed) look()
  else outgoing.once('close', look)
  return leave.signal
}

/** `URL` would fold `a/../b` and `a\\b` into another path. With a NUL in it the path is no file's. */
function unfolded(address: string): string {
  const [path = '', ...query] = address.split('?')
  const marked = path.replaceAll('\\', '%00').replace(/\/(?:\.|%2e){1,2}(?=\/|$)/gi, '/%00')
  return [marked, ...query].join('?')
}

async function send(response: Response, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  outgoing.statusCode = response.status
  if (response.statusText !== '') outgoing.statusMessage = response.statusText
  response.headers.forEach((value, name) => {
    if (name !== 'set-cookie') outgoing.setHeader(name, value)
  })
  const cookies = response.headers.getSetCookie()
  if (cookies.length > 0) outgoing.setHeader('set-cookie', cookies)
  const direct = takeDirect(response)
  if (Buffer.isBuffer(direct)) outgoing.end(direct)
  else if (direct) await pipeline(direct, outgoing)
  else await sendBody(response.body, incoming, outgoing)
  // Reads the rest of a refused upload, or its client would not see the answer.
  if (!incoming.complete) incoming.resume()
}

async function sendBody(
  body: ReadableStream | null,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<void> {
  const isWhole = incoming.complete || outgoing.shouldKeepAlive
  if (body === null || incoming.method === 'HEAD') {
    if (isWhole) outgoing.end()
    else outgoing.flushHeaders()
    await body?.cancel()
  } else {
    const source = Readable.fromWeb(body as Parameters<typeof Readable.fromWeb>[0])
    await pipeline(source, outgoing, { end: isWhole })
  }
  if (isWhole) return
  // Node closes the connection with the end of the answer. A client that still sends would lose the answer.
  await readRest(incoming)
  outgoing.end()
}

/** Reads the rest of a request and forgets it, within bounds. */
async function readRest(incoming: IncomingMessage): Promise<void> {
  if (incoming.readableEnded || incoming.destroyed) return
  const over = new Promise((resolve) => incoming.once('end', resolve).once('close', resolve))
  releaseStream(incoming)
  await over
}
