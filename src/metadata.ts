import { Problem } from './errors.js'
import { encodeExtended } from './percent.js'

/**
 * Bytes of keys and values that the metadata of a file may have: R2's limit of 8,192, less the room in which the S3
 * driver marks its own writes.
 */
export const MAX_METADATA_BYTES = 8_000

/** A caller's metadata, checked; keys in lower case. */
export function toMetadata(metadata: unknown): Record<string, string> {
  if (metadata === undefined) return {}
  // A Map, Headers or a Date would be kept as nothing at all.
  if (Object.prototype.toString.call(metadata) !== '[object Object]') {
    throw new Problem('InvalidArgument', 'metadata must be a plain object of strings')
  }
  const checked: Record<string, string> = {}
  let bytes = 0
  for (const [key, value] of Object.entries(Object(metadata))) {
    const lower = key.toLowerCase()
    // `_` and the rest are legal in HTTP, but proxies and servers drop or rewrite such headers.
    if (!/^[A-Za-z0-9-]+$/.test(key)) {
      throw new Problem(
        'InvalidArgument',
        `the metadata key ${JSON.stringify(key.slice(0, 100))} may have letters, digits and "-" only`,
      )
    }
    if (Object.hasOwn(checked, lower)) {
      throw new Problem('InvalidArgument', `two metadata keys differ only in case: "${lower}"`)
    }
    if (lower === WRITE_ID_KEY || lower === CLAIM_KEY)
      throw new Problem('InvalidArgument', `the metadata key "${lower}" is reserved`)
    if (typeof value !== 'string' || !value.isWellFormed() || /\p{Cc}/u.test(value)) {
      throw new Problem(
        'InvalidArgument',
        `the metadata value of "${lower}" must be text without control characters`,
      )
    }
    bytes += lower.length + storedBytes(value)
    checked[lower] = value
  }
  if (bytes > MAX_METADATA_BYTES) {
    throw new Problem(
      'InvalidArgument',
      `the metadata has ${bytes} bytes, the limit is ${MAX_METADATA_BYTES}`,
    )
  }
  return checked
}

/** The metadata key under which the S3 backends sign their writes; never shown to callers. */
export const WRITE_ID_KEY = 'stowage-write-id'
/** Marks a placeholder that holds a name on servers without conditional completion; for readers it is no file. */
export const CLAIM_KEY = 'stowage-claim'

/**
 * A metadata value as an HTTP header. ASCII goes as it is. Anything else goes as RFC 2047, which R2 decodes and
 * encodes again, so that its dashboard and Workers show the text. What HTTP would trim, drop or mistake for an encoded
 * word goes as an RFC 8187 value, which nobody touches.
 */
export function encodeMetadataValue(value: string): string {
  if (needsExtended(value)) return EXTENDED + encodeExtended(value)
  return /^[\x20-\x7e]*$/.test(value) ? value : `=?UTF-8?B?${Buffer.from(value).toString('base64')}?=`
}

function needsExtended(value: string): boolean {
  return value === '' || value.trim() !== value || value.includes('=?') || value.startsWith(EXTENDED)
}

/** What a value counts towards the limit: R2 decodes RFC 2047 before it counts, and nothing else. */
function storedBytes(value: string): number {
  return Buffer.byteLength(needsExtended(value) ? encodeMetadataValue(value) : value)
}

/** The opposite of {@link encodeMetadataValue}; understands what other writers encode by RFC 2047, too. */
export function decodeMetadataValue(header: string): string {
  if (header.startsWith(EXTENDED)) {
    try {
      return decodeURIComponent(header.slice(EXTENDED.length))
    } catch {
      return header
    }
  }
  // White space between two encoded words is not part of the text (RFC 2047 §6.2).
  return header
    .replace(/(\?=)\s+(?==\?)/g, '$1')
    .replace(/=\?utf-8\?([bq])\?([^?]*)\?=/gi, (_, encoding: string, text: string) =>
      encoding.toLowerCase() === 'b' ? Buffer.from(text, 'base64').toString() : decodeQuoted(text),
    )
}

const EXTENDED = "UTF-8''"

function decodeQuoted(text: string): string {
  const bytes = text
    .replaceAll('_', ' ')
    .replace(/=([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return Buffer.from(bytes, 'latin1').toString()
}
