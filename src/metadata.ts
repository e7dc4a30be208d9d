import { extname } from 'node:path'
import { Problem } from './errors.js'
import { baseName } from './names.js'
import type { FileHeaders } from './types.js'

/** What is stored with a content: all checked, in the form in which `stat` gives it back. */
export interface Attributes {
  readonly contentType: string
  readonly cacheControl?: string
  readonly contentDisposition?: string
  readonly contentLanguage?: string
  readonly contentEncoding?: string
  readonly metadata: Readonly<Record<string, string>>
}

/** The attributes among other fields, without those that are not set. */
export function pickAttributes(
  from: { readonly [Field in keyof Attributes]: Attributes[Field] | undefined },
): Attributes {
  // A literal that begins with a spread and goes on takes V8 microseconds; one that begins with a property does not.
  const picked: { -readonly [Field in keyof Attributes]: Attributes[Field] } = {
    contentType: from.contentType ?? DEFAULT_CONTENT_TYPE,
    metadata: { ...from.metadata },
  }
  if (from.cacheControl !== undefined) picked.cacheControl = from.cacheControl
  if (from.contentDisposition !== undefined) picked.contentDisposition = from.contentDisposition
  if (from.contentLanguage !== undefined) picked.contentLanguage = from.contentLanguage
  if (from.contentEncoding !== undefined) picked.contentEncoding = from.contentEncoding
  return picked
}

/**
 * Bytes of keys and values a file's metadata may have: R2's limit of 8,192, less what the S3 backends need to
 * recognise their own writes.
 */
export const MAX_METADATA_BYTES = 8_000
const DEFAULT_CONTENT_TYPE = 'application/octet-stream'
/** RFC 9110 §8.3.1: type "/" subtype, then parameters. */
const MEDIA_TYPE = /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+(?: *;[\x20-\x7e]*[\x21-\x7e])?$/

/** The types of most files, as `mime-types` has them: its whole table takes longer to load than all of this package. */
export const COMMON_TYPES: Readonly<Record<string, string>> = {
  txt: 'text/plain',
  html: 'text/html',
  htm: 'text/html',
  css: 'text/css',
  js: 'text/javascript',
  mjs: 'text/javascript',
  json: 'application/json',
  xml: 'application/xml',
  csv: 'text/csv',
  md: 'text/markdown',
  log: 'text/plain',
  yaml: 'text/yaml',
  yml: 'text/yaml',
  pdf: 'application/pdf',
  doc: 'application/msword',
  docx: 'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
  xls: 'application/vnd.ms-excel',
  xlsx: 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet',
  ppt: 'application/vnd.ms-powerpoint',
  pptx: 'application/vnd.openxmlformats-officedocument.presentationml.presentation',
  odt: 'application/vnd.oasis.opendocument.text',
  ods: 'application/vnd.oasis.opendocument.spreadsheet',
  odp: 'application/vnd.oasis.opendocument.presentation',
  rtf: 'application/rtf',
  epub: 'application/epub+zip',
  zip: 'application/zip',
  gz: 'application/gzip',
  tar: 'application/x-tar',
  '7z': 'application/x-7z-compressed',
  rar: 'application/vnd.rar',
  png: 'image/png',
  jpg: 'image/jpeg',
  jpeg: 'image/jpeg',
  gif: 'image/gif',
  webp: 'image/webp',
  svg: 'image/svg+xml',
  avif: 'image/avif',
  heic: 'image/heic',
  heif: 'image/heif',
  bmp: 'image/bmp',
  ico: 'image/vnd.microsoft.icon',
  tif: 'image/tiff',
  tiff: 'image/tiff',
  mp3: 'audio/mpeg',
  m4a: 'audio/mp4',
  wav: 'audio/wav',
  ogg: 'audio/ogg',
  oga: 'audio/ogg',
  opus: 'audio/ogg',
  weba: 'audio/webm',
  flac: 'audio/x-flac',
  aac: 'audio/aac',
  mp4: 'video/mp4',
  m4v: 'video/x-m4v',
  mov: 'video/quicktime',
  avi: 'video/x-msvideo',
  mkv: 'video/x-matroska',
  mpeg: 'video/mpeg',
  ogv: 'video/ogg',
  webm: 'video/webm',
  woff: 'font/woff',
  woff2: 'font/woff2',
  ttf: 'font/ttf',
  otf: 'font/otf',
  ics: 'text/calendar',
  vcf: 'text/x-vcard',
  eml: 'message/rfc822',
  bin: 'application/octet-stream',
  wasm: 'application/wasm',
}

/** The type that a name's extension stands for. */
export async function contentTypeOf(name: string): Promise<string> {
  const extension = extname(baseName(name)).slice(1).toLowerCase()
  if (extension === '') return DEFAULT_CONTENT_TYPE
  if (Object.hasOwn(COMMON_TYPES, extension)) return COMMON_TYPES[extension] ?? DEFAULT_CONTENT_TYPE
  const { lookup } = await import('mime-types')
  return lookup(extension) || DEFAULT_CONTENT_TYPE
}

/** A MIME type as the caller gave it, checked. */
export function toContentType(value: unknown): string {
  if (typeof value !== 'string' || !MEDIA_TYPE.test(value)) {
    throw new Problem('InvalidArgument', 'contentType must be a MIME type such as "image/png"')
  }
  return value
}

/** The headers and the metadata of a save, checked. All of the options are read before this waits for anything. */
export async function toAttributes(
  name: string,
  options: FileHeaders & {
    contentType?: string | undefined
    metadata?: Readonly<Record<string, string>> | undefined
  },
): Promise<Attributes> {
  const given = {
    contentType: options.contentType === undefined ? undefined : toContentType(options.contentType),
    cacheControl: toHeader('cacheControl', options.cacheControl),
    contentDisposition: toHeader('contentDisposition', encodeDisposition(options.contentDisposition)),
    contentLanguage: toHeader('contentLanguage', options.contentLanguage),
    contentEncoding: toHeader('contentEncoding', options.contentEncoding),
    metadata: toMetadata(options.metadata),
  }
  given.contentType ??= await contentTypeOf(name)
  return pickAttributes(given)
}

export function isHeaderValue(value: unknown): value is string {
  return typeof value === 'string' && /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(value)
}

function toHeader(option: string, value: unknown): string | undefined {
  if (value === undefined) return undefined
  if (!isHeaderValue(value)) {
    throw new Problem(
      'InvalidArgument',
      `${option} must be a header value: printable ASCII without line breaks, no space around it, not empty`,
    )
  }
  return value
}

function toMetadata(metadata: unknown): Record<string, string> {
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

/** Percent-encoding that leaves only RFC 3986's unreserved characters: right for paths, queries, RFC 8187 and SigV4. */
export function encodeExtended(text: string): string {
  if (/^[\w.~-]*$/.test(text)) return text
  return encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
}

/** The same for the segments of a path. */
export function encodeExtendedPath(path: string): string {
  return /^[\w.~/-]*$/.test(path) ? path : path.split('/').map(encodeExtended).join('/')
}

/** `attachment; filename="caf_.pdf"; filename*=UTF-8''caf%C3%A9.pdf`: an ASCII fallback, then RFC 8187. */
export function attachment(filename: string): string {
  // Bidirectional overrides make `exe.pdf` of what is `fdp.exe`; nothing that saves a file should show them.
  const shown = baseName(filename.toWellFormed().replaceAll('\\', '/')).replace(
    /[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu,
    '',
  )
  return `attachment; ${filenameParameters(shown || 'file')}`
}

function filenameParameters(filename: string): string {
  const fallback = filename.replace(/[^\x20-\x7e]/gu, '_').replace(/["\\%]/g, '_')
  return fallback === filename
    ? `filename="${filename}"`
    : `filename="${fallback}"; filename*=UTF-8''${encodeExtended(filename)}`
}

/** `filename="é"` would be mangled on its way through HTTP headers; it becomes what RFC 8187 asks for. */
function encodeDisposition(value: string | undefined): string | undefined {
  if (typeof value !== 'string' || /^[\x20-\x7e]*$/.test(value)) return value
  if (/\p{Cc}|filename\*/iu.test(value) || !value.isWellFormed()) return value // Refused for what it is.
  return value.replace(/filename="([^"]*)"/i, (_, filename: string) => filenameParameters(filename))
}

/** A name in a URL: percent-encoded per segment. */
export function encodePath(name: string): string {
  return name.split('/').map(encodeURIComponent).join('/')
}
