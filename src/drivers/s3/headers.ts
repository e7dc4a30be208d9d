import { createHash } from 'node:crypto'
import { HEADERS, headerNames } from '../../headers.js'
import { encodeExtendedPath } from '../../percent.js'
import type { ByteRange } from '../../types.js'
import type { HeaderValues, ObjectAttributes, ObjectState } from './object-api.js'
import type { WriteHeaders } from './write-headers.js'

/** R2's own header: developers.cloudflare.com/r2/api/s3/extensions. */
export const R2_COPY_CREATE_ONLY = 'cf-copy-destination-if-none-match'

const METADATA = 'x-amz-meta-'

/** The HTTP headers that store attributes. */
export function attributeHeaders({ headers, metadata }: ObjectAttributes): Record<string, string> {
  const named: Record<string, string> = {}
  for (const header of headerNames()) {
    const value = headers[header]
    if (value !== undefined) named[HEADERS[header].http] = value
  }
  for (const key in metadata) named[METADATA + key] = metadata[key] ?? ''
  return named
}

/** The headers of a signed upload that its sender has to send. The length is its client's own. */
export function uploadHeaders(
  attributes: ObjectAttributes,
  createOnly: boolean,
  writeHeaders: WriteHeaders,
): Record<string, string> {
  const headers = { ...attributeHeaders(attributes), ...writeHeaders }
  if (createOnly) headers['if-none-match'] = '*'
  return headers
}

/** The state of an object by the headers of an answer. `etag` is `''` where it has none. */
export function stateOf(answer: Readonly<Record<string, string>>): ObjectState {
  const headers: { -readonly [Header in keyof HeaderValues]: HeaderValues[Header] } = {}
  for (const header of headerNames()) headers[header] = answer[HEADERS[header].http]
  const metadata: Record<string, string> = {}
  for (const name in answer) {
    if (name.startsWith(METADATA)) metadata[name.slice(METADATA.length)] = answer[name] ?? ''
  }
  const length = answer['content-length']
  const answered = toDate(answer.date)
  return {
    size: length === undefined ? undefined : toSize(length),
    etag: answer.etag ?? '',
    lastModified: toDate(answer['last-modified']),
    ...(answered && { answered }),
    headers,
    metadata,
  }
}

function toSize(text: string): number | undefined {
  const size = Number(text)
  return Number.isSafeInteger(size) ? size : undefined
}

/** Undefined where the text is not a date. */
export function toDate(text: string | undefined): Date | undefined {
  if (text === undefined) return undefined
  const date = new Date(text)
  return Number.isNaN(date.getTime()) ? undefined : date
}

/** RFC 9110 §14.1.2. A suffix takes no length, so the rest is left unread. */
export function rangeHeader({ offset, length }: ByteRange): string {
  if (offset < 0) return `bytes=${offset}`
  return `bytes=${offset}-${length === undefined ? '' : offset + length - 1}`
}

/** The source of a copy, with the leading slash that R2 wants. */
export function copySource(bucket: string, key: string): string {
  return `/${bucket}/${encodeExtendedPath(key)}`
}

/** The value of `Content-MD5`. */
export function contentMd5(body: string | Uint8Array): string {
  return createHash('md5').update(body).digest('base64')
}
