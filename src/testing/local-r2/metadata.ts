import type { Behaviour } from './behaviour.js'
import type { Call } from './call.js'
import { S3Error } from './errors.js'
import type { Attributes } from './object-store.js'
import { utf8 } from './percent.js'
import type { S3Request } from './request.js'

const systemHeaders = [
  'content-type',
  'cache-control',
  'content-disposition',
  'content-encoding',
  'content-language',
  'expires',
] as const

const metadataPrefix = 'x-amz-meta-'
const metadataLimit = 8192

/** The system headers and metadata of a write. */
export function attributesOf({ request, behaviour }: Call): Attributes {
  return {
    headers: { 'content-type': 'application/octet-stream', ...sentHeaders(request, behaviour) },
    metadata: sentMetadata(request),
    storageClass: storageClassOf(request),
  }
}

/** R2's MERGE: what the request names replaces what the source has, the rest stays. */
export function mergedAttributes({ request, behaviour }: Call, source: Attributes): Attributes {
  const metadata = { ...source.metadata, ...sentMetadata(request) }
  checkMetadataSize(metadata)
  return {
    headers: { ...source.headers, ...sentHeaders(request, behaviour) },
    metadata,
    storageClass: storageClassOf(request),
  }
}

/** The response headers that describe an object. */
export function attributeHeaders(attributes: Attributes): Record<string, string> {
  const headers: Record<string, string> = { ...attributes.headers }
  for (const [name, value] of Object.entries(attributes.metadata))
    headers[metadataPrefix + name] = encodeWords(value)
  if (attributes.storageClass !== 'STANDARD') headers['x-amz-storage-class'] = attributes.storageClass
  return headers
}

function storageClassOf(request: S3Request): string {
  const storageClass = request.header('x-amz-storage-class') ?? 'STANDARD'
  if (storageClass === 'STANDARD' || storageClass === 'STANDARD_IA') return storageClass
  throw new S3Error('InvalidStorageClass', 'The storage class you specified is not valid')
}

function sentHeaders(request: S3Request, { moreHeaders }: Behaviour): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const name of [...systemHeaders, ...moreHeaders]) {
    const value = request.header(name)
    if (value !== undefined) headers[name] = ascii(name, value)
  }
  return headers
}

function sentMetadata(request: S3Request): Record<string, string> {
  const metadata: Record<string, string> = {}
  for (const [name, value] of request.headers) {
    if (!name.startsWith(metadataPrefix)) continue
    metadata[name.slice(metadataPrefix.length)] = decodeWords(ascii(name, value))
  }
  checkMetadataSize(metadata)
  return metadata
}

function checkMetadataSize(metadata: Readonly<Record<string, string>>): void {
  const size = Object.entries(metadata).reduce((sum, entry) => sum + Buffer.byteLength(entry.join('')), 0)
  if (size <= metadataLimit) return
  throw new S3Error('MetadataTooLarge', 'Your metadata headers exceed the maximum allowed metadata size.')
}

/** Raw bytes above ASCII have no agreed meaning in a header: stores guess, each in its own way, so this one refuses. */
function ascii(name: string, value: string): string {
  if (/^[\x20-\x7e\t]*$/.test(value)) return value
  throw new S3Error('InvalidArgument', `Header '${name}' holds characters that are not ASCII`)
}

const encodedWord = /=\?([\w-]+)\?([BbQq])\?([!-~]*?)\?=/

/** RFC 2047: encoded words become text; white space between two of them is part of neither. */
export function decodeWords(value: string): string {
  const adjacent = new RegExp(`(${encodedWord.source})\\s+(?=${encodedWord.source})`, 'g')
  return value
    .replace(adjacent, '$1')
    .replace(new RegExp(encodedWord.source, 'g'), (word, charset: string, encoding: string, text: string) => {
      const bytes =
        encoding.toUpperCase() === 'B'
          ? Buffer.from(text, 'base64')
          : Buffer.from(
              text
                .replaceAll('_', ' ')
                .replace(/=([0-9A-Fa-f]{2})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16))),
              'latin1',
            )
      return decodeCharset(charset.toLowerCase(), bytes) ?? word
    })
}

function decodeCharset(charset: string, bytes: Buffer): string | undefined {
  if (charset === 'utf-8' || charset === 'us-ascii') return utf8(bytes)
  return charset === 'iso-8859-1' ? bytes.toString('latin1') : undefined
}

/** RFC 2047 section 2: no encoded word is over 75 characters or splits one character over two words. */
export function encodeWords(value: string): string {
  if (/^[\x20-\x7e\t]*$/.test(value)) return value
  const words: string[] = []
  let word = ''
  for (const character of value) {
    if (Buffer.byteLength(word + character) > 45) {
      words.push(word)
      word = ''
    }
    word += character
  }
  words.push(word)
  return words.map((text) => `=?UTF-8?B?${Buffer.from(text, 'utf8').toString('base64')}?=`).join(' ')
}
