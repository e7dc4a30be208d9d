import type { WantedPart } from '../direct-upload.js'
import { baseName } from '../names.js'
import type { UploadedPart } from '../upload-driver.js'
import { isObject } from './json-body.js'
import { Refusal } from './refusal.js'
import { MAX_PARTS } from './upload-routes.js'

/** A file that a client wants to upload. */
export interface AnnouncedFile {
  /**
   * The base name that the client gives. It may have any character: pass it to `sanitizeFilename`, or to a path function
   * such as `documentPath`.
   */
  readonly filename: string
  /** The type that the client claims. Empty if it claims none. The bytes are judged later. */
  readonly contentType: string
  /** Other fields that the client sent with the file. Only what the option `metadata` returns is stored. */
  readonly metadata: Readonly<Record<string, string>>
}

/** `{ filename, type, metadata }` of a new upload. */
export function toAnnouncedFile(body: Readonly<Record<string, unknown>>): AnnouncedFile {
  const { filename, type, metadata } = body
  const base = typeof filename === 'string' ? baseName(filename.replaceAll('\\', '/')) : ''
  if (base === '') throw new Refusal(400, 'The request has no file name.')
  return {
    filename: base,
    contentType: typeof type === 'string' ? type : '',
    metadata: Object.fromEntries(
      Object.entries(isObject(metadata) ? metadata : {}).flatMap(([key, value]) =>
        ['string', 'number', 'boolean'].includes(typeof value) ? [[key, String(value)]] : [],
      ),
    ),
  }
}

/** `{ parts }` of a completion, in any order. */
export function toWantedParts({ parts }: Readonly<Record<string, unknown>>): WantedPart[] {
  if (!Array.isArray(parts) || parts.length === 0) throw new Refusal(400, 'The request has no parts.')
  if (parts.length > MAX_PARTS) throw new Refusal(400, `A file has at most ${MAX_PARTS} parts.`)
  return parts.map((part: unknown) => {
    const { PartNumber: number, ETag: etag } = isObject(part) ? part : {}
    if (!Number.isSafeInteger(number) || typeof number !== 'number' || typeof etag !== 'string') {
      throw new Refusal(400, 'Each part needs a PartNumber and an ETag.')
    }
    return { number, etag }
  })
}

/** Clients take a part without an ETag for one that is missing. */
const UNKNOWN = '"unknown"'

/** A list of parts, in the words of S3. */
export function fromParts(parts: readonly UploadedPart[]) {
  return parts.map(({ number, etag, size }) => ({ PartNumber: number, ETag: etag || UNKNOWN, Size: size }))
}
