import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { crc32 } from 'node:zlib'
import { Content } from './content.js'
import { ClientGone, S3Error } from './errors.js'
import type { S3Request } from './request.js'

/** Bodies this small are copied out of the socket's read buffer, which they would otherwise keep alive. */
const compactBelow = 32 * 1024

/** The declared length; a body without one is refused, as is a chunked one. */
export function declaredLength(request: S3Request, required: boolean): number {
  const length = request.header('content-length')
  if (request.header('transfer-encoding') !== undefined || (length === undefined && required)) {
    throw new S3Error('MissingContentLength', 'You must provide the Content-Length HTTP header.')
  }
  return Number(length ?? 0)
}

/** Reads the whole body and checks it against every digest the request declares. */
export async function receiveBody(
  request: S3Request,
  payloadHash: string,
  discardOver = Infinity,
): Promise<Content> {
  const length = declaredLength(request, false)
  const wantedMd5 = digestHeader(request, 'content-md5', 16)
  const wantedCrc32 = digestHeader(request, 'x-amz-checksum-crc32', 4)
  const md5 = createHash('md5')
  const sha256 = payloadHash === 'UNSIGNED-PAYLOAD' ? undefined : createHash('sha256')
  const chunks: Buffer[] = []
  let size = 0
  let crc = 0
  for await (const chunk of chunksOf(request.incoming)) {
    size += chunk.length
    md5.update(chunk)
    sha256?.update(chunk)
    if (wantedCrc32 !== undefined) crc = crc32(chunk, crc)
    if (length <= discardOver) chunks.push(chunk)
  }
  if (size !== length) throw new S3Error('IncompleteBody', 'The request body terminated unexpectedly')
  const md5Bytes = md5.digest()
  if (sha256 !== undefined && sha256.digest('hex') !== payloadHash) {
    throw new S3Error(
      'XAmzContentSHA256Mismatch',
      "The provided 'x-amz-content-sha256' header does not match what was computed.",
    )
  }
  const crcBytes = Buffer.alloc(4)
  crcBytes.writeUInt32BE(crc)
  if (wantedMd5?.equals(md5Bytes) === false || wantedCrc32?.equals(crcBytes) === false) {
    throw new S3Error(
      'BadDigest',
      'The Content-MD5 or checksum you specified did not match what we received.',
    )
  }
  const etag = md5Bytes.toString('hex')
  if (length > discardOver) return Content.discarded(size, etag)
  return Content.kept(size < compactBelow ? [Buffer.concat(chunks)] : chunks, etag)
}

function digestHeader(request: S3Request, name: string, length: number): Buffer | undefined {
  const value = request.header(name)
  if (value === undefined) return undefined
  const bytes = Buffer.from(value, 'base64')
  if (bytes.length === length && bytes.toString('base64') === value) return bytes
  throw new S3Error('InvalidDigest', `The ${name} you specified is not valid.`)
}

async function* chunksOf(incoming: IncomingMessage): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of incoming) {
      if (chunk instanceof Buffer) yield chunk
    }
  } catch (cause) {
    throw new ClientGone('The client closed the connection in mid-body', { cause })
  }
}
