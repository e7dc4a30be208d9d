import { Problem } from './errors.js'
import { encodeExtended } from './percent.js'

/**
 * Most bytes of a file's metadata, keys and values together. R2's limit is 8,192; the S3 driver marks its own writes in
 * the rest.
 */
export const MAX_METADATA_BYTES = 8_000

/** Checks the metadata of a caller. Returns a copy with keys in lower case. */
export function toMetadata(metadata: unknown): Record<string, string> {
  if (metadata === undefined) return {}
  // A Map, Headers or a Date has no own entries and would be stored as `{}`.
  if (Object.prototype.toString.call(metadata) !== '[object Object]') {
    throw new Problem('InvalidArgument', 'metadata must be a plain object of strings')
  }
  const checked: Record<string, string> = {}
  let bytes = 0
  for (const [key, value] of Object.entries(Object(metadata))) {
    const lower = key.toLowerCase()
    // HTTP allows more, `_` for example, but proxies and servers drop or rewrite such headers.
    if (!/^[A-Za-z0-9-]+$/.test(key)) {
      throw new Problem(
        'InvalidArgument',
        `the metadata key ${JSON.stringify(key.slice(0, 100))} may only have letters, digits and "-"`,
      )
    }
    if (Object.hasOwn(checked, lower)) {
      throw new Problem('InvalidArgument', `two metadata keys differ only in case: "${lower}"`)
    }
    if (lower === WRITE_ID_KEY || lower === CLAIM_KEY || lower === UPLOAD_KEY)
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

/** The metadata key by which the S3 driver recognises its own writes. Never shown to callers. */
export const WRITE_ID_KEY = 'stowage-write-id'
/** Marks a placeholder, which holds a name on servers without conditional completion. Readers treat it as missing. */
export const CLAIM_KEY = 'stowage-claim'

/** Marks the file of a direct upload, so that it is published once. Never shown to callers. */
export const UPLOAD_KEY = 'stowage-upload'

/**
 * A metadata value as an HTTP header. ASCII stays unchanged. Other text is encoded by RFC 2047: R2 decodes and encodes
 * it again, so its dashboard and Workers show the text. HTTP would trim or drop some values, or mistake them for an
 * encoded word. Those are encoded by RFC 8187, which no server touches.
 */
export function encodeMetadataValue(value: string): string {
  if (needsExtended(value)) return EXTENDED + encodeExtended(value)
  return /^[\x20-\x7e]*$/.test(value) ? value : `=?UTF-8?B?${Buffer.from(value).toString('base64')}?=`
}

function needsExtended(value: string): boolean {
  return value === '' || value.trim() !== value || value.includes('=?') || value.startsWith(EXTENDED)
}

/** The bytes of a value that count. R2 decodes RFC 2047 before it counts, but not RFC 8187. */
function storedBytes(value: string): number {
  return Buffer.byteLength(needsExtended(value) ? encodeMetadataValue(value) : value)
}

/** The opposite of {@link encodeMetadataValue}. Also decodes RFC 2047 values of other writers. */
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
