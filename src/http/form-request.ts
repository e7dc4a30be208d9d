import type { IncomingMessage } from 'node:http'
import { abandon, silence } from '../content.js'
import { Problem } from '../errors.js'
import { DRAIN_BYTES, DRAIN_TIME, describe, isNodeStream, isWebStream, type Source } from '../source.js'
import { clearTimeout, setTimeout } from '../timers.js'

/** The request of a form, whatever its class. */
export interface FormRequest {
  readonly contentType: string | undefined
  /** The body. Leaving it early reads on within bounds, so that the client gets to see the answer. */
  open(): Source
}

const ALREADY_READ =
  'the body of the request was already read: call this before body parsers and other readers of the body'

/** @throws {Problem} `InvalidArgument` for anything else, and for a body that somebody has read. */
export function toFormRequest(request: Request | IncomingMessage): FormRequest {
  if (isIncoming(request)) {
    if (request.readableDidRead || request.readableEnded) throw new Problem('InvalidArgument', ALREADY_READ)
    return { contentType: request.headers['content-type'], open: () => request }
  }
  if (isRequest(request)) {
    const { body } = request
    if (request.bodyUsed || body?.locked) throw new Problem('InvalidArgument', ALREADY_READ)
    return {
      contentType: request.headers.get('content-type') ?? undefined,
      open: () => (body === null ? [] : drained(body)),
    }
  }
  throw new Problem(
    'InvalidArgument',
    `the request must be a Request or an IncomingMessage, not ${describe(request)}: pass c.req.raw of Hono, request.raw of Fastify`,
  )
}

/** Lets the client of a request that nobody has read see the answer. */
export function releaseRequest(request: unknown): void {
  if (isIncoming(request)) {
    silence(request)
    abandon(request)
  } else if (isRequest(request) && isWebStream(request.body) && !request.body.locked) {
    void drain(request.body.getReader())
  }
}

/** By its shape: it may be of another realm, or of HTTP/2. */
function isIncoming(request: unknown): request is IncomingMessage {
  return isNodeStream(request) && 'httpVersion' in request && 'headers' in request
}

function isRequest(request: unknown): request is Request {
  if (typeof request !== 'object' || request === null || !('body' in request)) return false
  const headers: unknown = Reflect.get(request, 'headers')
  return typeof headers === 'object' && headers !== null && typeof Reflect.get(headers, 'get') === 'function'
}

/** A server may close the connection of a body that is cancelled, and the answer with it. */
function drained(body: ReadableStream<Uint8Array>): AsyncIterable<Uint8Array> {
  const reader = body.getReader()
  return {
    [Symbol.asyncIterator]: () => ({
      async next() {
        const { done, value } = await reader.read()
        return done ? { done, value: undefined } : { done, value }
      },
      async return() {
        void drain(reader)
        return { done: true, value: undefined }
      },
    }),
  }
}

async function drain(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
  const leave = () => void reader.cancel().catch(() => {})
  const timer = setTimeout(leave, DRAIN_TIME).unref()
  try {
    for (let left = DRAIN_BYTES; left >= 0; ) {
      const { done, value } = await reader.read()
      if (done) return
      left -= value.byteLength
    }
    leave()
  } catch {
    // The client has left.
  } finally {
    clearTimeout(timer)
  }
}
