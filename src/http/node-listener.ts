import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { nodeStreamOf } from './body.js'
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
    const leave = new AbortController()
    outgoing.once('close', () => {
      if (!outgoing.writableFinished) leave.abort(new DOMException('the client left', 'AbortError'))
    })
    void (async () => {
      const request = toRequest(incoming, leave.signal)
      const response = request
        ? await handler(request).catch(errorResponse)
        : problemResponse(400, 'BadRequest', 'The address is malformed.')
      if (response === undefined && next) return next()
      await send(response ?? problemResponse(404, 'NotFound', 'There is nothing here.'), incoming, outgoing)
    })().catch((error: unknown) => {
      // The client left, or the content broke off: only a broken connection can say so now.
      outgoing.destroy(error instanceof Error ? error : undefined)
    })
  }
}

function toRequest(
  incoming: IncomingMessage & { originalUrl?: string },
  signal: AbortSignal,
): Request | undefined {
  const { method = 'GET', headers, rawHeaders } = incoming
  const path = incoming.originalUrl ?? incoming.url ?? '/'
  try {
    // A request line may hold a whole address, or `//host`.
    const url = new URL(unfolded(path.startsWith('/') ? `${originOf(incoming)}${path}` : path))
    const given = new Headers()
    for (let index = 0; index < rawHeaders.length; index += 2) {
      const name = rawHeaders[index] ?? ''
      if (!name.startsWith(':')) given.append(name, rawHeaders[index + 1] ?? '')
    }
    const hasBody =
      method !== 'GET' &&
      method !== 'HEAD' &&
      (headers['content-length'] ?? headers['transfer-encoding']) !== undefined
    const body = hasBody ? Readable.toWeb(incoming) : null
    // Node needs `duplex` for a stream, and its types know neither that nor its own streams as a body.
    return new Request(url, { method, headers: given, signal, body, duplex: 'half' } as RequestInit)
  } catch {
    return undefined
  }
}

/** Scheme and host as the client wrote them. */
function originOf({ headers, socket }: IncomingMessage): string {
  const isSecure = 'encrypted' in socket && socket.encrypted === true
  return `${isSecure ? 'https' : 'http'}://${isHost(headers.host) ? headers.host : 'localhost'}`
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
  const { body } = response
  if (body === null || incoming.method === 'HEAD') {
    outgoing.end()
    await body?.cancel()
  } else {
    const stream = nodeStreamOf(body) ?? Readable.fromWeb(body as Parameters<typeof Readable.fromWeb>[0])
    await pipeline(stream, outgoing)
  }
  // What is left of a refused upload is read, or its client would not see the answer.
  if (!incoming.readableEnded) incoming.resume()
}
