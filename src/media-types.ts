import { extname } from 'node:path'
import { Problem } from './errors.js'
import { lazily } from './load.js'
import { baseName } from './names.js'

/** The type of a file with an unknown extension. */
export const DEFAULT_CONTENT_TYPE = 'application/octet-stream'
/** RFC 9110 §8.3.1: type "/" subtype, then parameters. */
const MEDIA_TYPE = /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+(?: *;[\x20-\x7e]*[\x21-\x7e])?$/

/** The types of most files, as in `mime-types`. Its whole table takes longer to load than this package. */
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

const loadMimeTypes = lazily(() => import('./vendor/mime-types.js'))

/** The type of a name, by its extension. */
export async function contentTypeOf(name: string): Promise<string> {
  const extension = extname(baseName(name)).slice(1).toLowerCase()
  if (extension === '') return DEFAULT_CONTENT_TYPE
  if (Object.hasOwn(COMMON_TYPES, extension)) return COMMON_TYPES[extension] ?? DEFAULT_CONTENT_TYPE
  const { lookup } = await loadMimeTypes()
  return lookup(extension) || DEFAULT_CONTENT_TYPE
}

/** Whether a value is a MIME type. */
export function isMediaType(value: unknown): value is string {
  return typeof value === 'string' && MEDIA_TYPE.test(value)
}

/** Checks a MIME type of the caller. Parameters are kept. */
export function toContentType(value: unknown): string {
  if (!isMediaType(value)) {
    throw new Problem('InvalidArgument', 'contentType must be a MIME type such as "image/png"')
  }
  return value
}
