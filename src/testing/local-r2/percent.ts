import { TextDecoder } from 'node:util'
import { S3Error } from './errors.js'

const unreserved = /[A-Za-z0-9\-._~]/
const encodedByte = Array.from({ length: 256 }, (_, byte) => {
  const character = String.fromCharCode(byte)
  return unreserved.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
})

/** The bytes behind a percent-encoded text as it stood on the wire (latin1, one character per byte). */
export function percentDecode(text: string): Buffer {
  if (/%(?![0-9A-Fa-f]{2})/.test(text)) throw new S3Error('InvalidURI', `Couldn't parse '${text}'`)
  const raw = text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  )
  return Buffer.from(raw, 'latin1')
}

/** AWS's UriEncode(): everything but `A-Za-z0-9-._~` becomes `%XY`. */
export function uriEncode(bytes: Buffer): string {
  let encoded = ''
  for (const byte of bytes) encoded += encodedByte[byte]
  return encoded
}

/** UriEncode() of a path, which keeps its slashes. */
export function uriEncodePath(bytes: Buffer): string {
  return uriEncode(bytes).replaceAll('%2F', '/')
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** `undefined` when the bytes are not UTF-8. */
export function utf8(bytes: Uint8Array): string | undefined {
  try {
    return strictUtf8.decode(bytes)
  } catch {
    return undefined
  }
}
