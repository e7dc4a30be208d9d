import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import type { Answer, Behaviour, Faults } from './behaviour.js'
import type { Reply } from './call.js'
import type { S3Error } from './errors.js'
import type { S3Request } from './request.js'
import { xmlDocument } from './xml.js'

export function errorReply({ code, message, status, headers }: S3Error): Reply {
  const type = { 'content-type': 'application/xml' }
  return { status, headers: { ...headers, ...type }, body: errorDocument(code, message) }
}

export function answerReply(answer: Answer): Reply {
  const { status, code = 'InternalError', message = 'Injected', headers = {}, body } = answer
  if (body !== undefined) return { status, headers, body }
  return {
    status,
    headers: { 'content-type': 'application/xml', ...headers },
    body: errorDocument(code, message),
  }
}

export function errorDocument(code: string, message: string): string {
  return xmlDocument('Error', [
    ['Code', code],
    ['Message', message],
  ])
}

/** Headers a page of any origin needs to read the answer; ETag is what a multipart upload from a browser needs. */
export function corsHeaders(request: S3Request, behaviour: Behaviour): Record<string, string> {
  const origin = request.header('origin')
  if (origin === undefined || !behaviour.cors) return {}
  return { 'access-control-allow-origin': origin, 'access-control-expose-headers': 'ETag', vary: 'Origin' }
}

export function preflightReply(request: S3Request): Reply {
  const headers = {
    'access-control-allow-methods': 'GET, HEAD, PUT, POST, DELETE',
    'access-control-allow-headers': request.header('access-control-request-headers') ?? '*',
    'access-control-max-age': '60',
  }
  return { status: 204, headers }
}

/** Writes the head and the body, with whatever is to go wrong on the way. */
export async function send(
  response: ServerResponse,
  request: S3Request,
  plain: Reply,
  faults: Faults,
): Promise<void> {
  const reply = request.method === 'HEAD' ? withoutBody(plain) : plain
  const { body = '' } = reply
  response.writeHead(reply.status, headersToSend(reply, request.method === 'HEAD'))
  if (faults.cutAfter !== undefined || faults.stallAfter !== undefined) {
    await sendPart(response, typeof body === 'string' ? [Buffer.from(body)] : body, faults)
  } else if (typeof body === 'string') {
    response.end(body)
  } else if (
    reply.headers?.['content-encoding'] === 'gzip' &&
    reply.headers['content-length'] === undefined
  ) {
    await pipeline(Readable.from(body), createGzip(), response)
  } else {
    await pipeline(Readable.from(body), response)
  }
}

/** What Cloudflare's edge may do for a client that accepts gzip: no length any more, and a weak entity tag. */
export function compressed(reply: Reply, request: S3Request, behaviour: Behaviour): Reply {
  const { etag = '', 'content-length': length, ...headers } = reply.headers ?? {}
  const wanted = behaviour.edgeCompression && /\bgzip\b/.test(request.header('accept-encoding') ?? '')
  const compressible = /^text\/|json|xml|javascript/.test(headers['content-type'] ?? '')
  if (!wanted || !compressible || reply.status !== 200 || !length || 'content-encoding' in headers)
    return reply
  return {
    ...reply,
    headers: { ...headers, etag: `W/${etag}`, 'content-encoding': 'gzip', vary: 'Accept-Encoding' },
  }
}

function withoutBody({ status, headers = {} }: Reply): Reply {
  const { 'content-type': type, ...rest } = headers
  return { status, headers: status < 400 && type !== undefined ? headers : rest }
}

function headersToSend({ status, headers = {}, body }: Reply, isHead: boolean): Record<string, string> {
  if (isHead || status === 204 || status === 304 || typeof body === 'object') return { ...headers }
  return { ...headers, 'content-length': String(Buffer.byteLength(body ?? '')) }
}

async function sendPart(response: ServerResponse, body: Iterable<Buffer>, faults: Faults): Promise<void> {
  const { cutAfter, stallAfter } = faults
  let rest = cutAfter ?? stallAfter ?? 0
  response.flushHeaders()
  for (const chunk of body) {
    const piece = chunk.subarray(0, rest)
    rest -= piece.length
    await new Promise((resolve) => response.write(piece, resolve))
    if (rest === 0 || response.destroyed) break
  }
  if (cutAfter === undefined) await once(response, 'close')
  else response.destroy()
}
