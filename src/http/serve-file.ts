import { attachment } from '../disposition.js'
import { isStorageError } from '../errors.js'
import { baseName } from '../names.js'
import type { Storage } from '../storage.js'
import type { StoredFile } from '../stored-file.js'
import type { ByteRange, FileInfo } from '../types.js'
import { judgeConditions, rangeHolds } from './conditions.js'
import { answerWith } from './direct.js'
import { errorResponse, problemResponse } from './problem.js'
import { isForRunning, safetyHeaders } from './safety.js'

/** Options of {@link serveFile}. */
export interface ServeFileOptions {
  /** Browsers download the file: `true` under its own base name, a string under that name. Default false. */
  download?: boolean | string | undefined
  /** Instead of the stored `Cache-Control`. */
  cacheControl?: string | undefined
  /** More headers of the answer. They cannot replace the security headers. */
  headers?: Readonly<Record<string, string>> | undefined
}

/** Headers of the answer that the address sets, instead of the file's own. */
export interface Overrides {
  readonly contentType?: string | undefined
  readonly contentDisposition?: string | undefined
}

/**
 * Answers a request with one file, after the application's own check. GET and HEAD, one range, conditions, the stored
 * type and headers. Never rejects: every failure is a response.
 *
 * @example
 * app.get('/rooms/:id/report', async (c) => {
 *   if (!(await mayRead(c))) return c.notFound()
 *   return serveFile(defaultStorage, documentPath(c.req.param('id'), 'report.pdf'), c.req.raw)
 * })
 */
export async function serveFile(
  storage: Storage,
  name: string,
  request: Request,
  options: ServeFileOptions = {},
): Promise<Response> {
  try {
    return await serve(storage, name, request, options, {})
  } catch (error) {
    return errorResponse(error)
  }
}

/** The same; rejects with the storage's error. */
export async function serve(
  storage: Storage,
  name: string,
  request: Request,
  options: ServeFileOptions,
  overrides: Overrides,
): Promise<Response> {
  const { method, headers, signal } = request
  if (isForRunning(headers)) {
    return problemResponse(403, 'PermissionDenied', 'Stored files are not run as programs.')
  }
  if (method === 'HEAD') {
    const info = await storage.stat(name, { signal })
    const status = judgeConditions(headers, info)
    const answer = headersOf(info, options, overrides)
    if (status === undefined) answer['content-length'] = String(info.size)
    return new Response(null, { status: status ?? 200, headers: answer })
  }
  if (method !== 'GET') {
    return problemResponse(405, 'BadRequest', 'This address can only be read.', { allow: 'GET, HEAD' })
  }
  const { file, isPart } = await openFor(storage, name, headers, signal)
  const status = judgeConditions(headers, file)
  const common = headersOf(file, options, overrides)
  if (status !== undefined) {
    await file.close()
    return new Response(null, { status, headers: common })
  }
  const { offset, length } = file.range
  common['content-length'] = String(length)
  if (isPart) common['content-range'] = `bytes ${offset}-${offset + length - 1}/${file.size}`
  return answerWith(request, file, { status: isPart ? 206 : 200, headers: common })
}

/** Opens the range that is asked for, or the whole file where the client's part is of another version. */
async function openFor(
  storage: Storage,
  name: string,
  headers: Headers,
  signal: AbortSignal,
): Promise<{ readonly file: StoredFile; readonly isPart: boolean }> {
  const range = toRange(headers.get('range'))
  const ifRange = headers.get('if-range')
  const whole = async () => ({ file: await storage.open(name, { signal }), isPart: false })
  if (range === undefined) return whole()
  try {
    const file = await storage.open(name, { range, signal })
    if (rangeHolds(ifRange, file)) return { file, isPart: true }
    await file.close()
  } catch (error) {
    if (!(isStorageError(error) && error.code === 'RangeNotSatisfiable') || ifRange === null) throw error
    // The range may fit the client's version, and only the whole file is told from that.
    const opened = await whole()
    if (!rangeHolds(ifRange, opened.file)) return opened
    await opened.file.close()
    throw error
  }
  return whole()
}

/** One range. Several, malformed and backward ones are ignored, as RFC 9110 allows. */
export function toRange(header: string | null): ByteRange | undefined {
  const [, first, last] = /^bytes=(\d*)-(\d*)$/i.exec(header?.trim() ?? '') ?? []
  if (first === undefined || last === undefined || (first === '' && last === '')) return undefined
  const bound = (digits: string) => Math.min(Number(digits), Number.MAX_SAFE_INTEGER - 1)
  if (first === '') return Number(last) === 0 ? undefined : { offset: -bound(last) }
  const offset = bound(first)
  if (last === '') return { offset }
  return bound(last) < offset ? undefined : { offset, length: bound(last) - offset + 1 }
}

function headersOf(
  info: FileInfo,
  { download = false, cacheControl = info.cacheControl, headers }: ServeFileOptions,
  overrides: Overrides,
): Record<string, string> {
  const contentType = overrides.contentType ?? info.contentType
  const disposition =
    download === false
      ? (overrides.contentDisposition ?? info.contentDisposition)
      : attachment(download === true ? baseName(info.name) : download)
  // Not `{ ...a, ...b }`, which takes V8 much longer.
  const answer: Record<string, string> = Object.assign({}, headers)
  answer['content-type'] = contentType
  answer['accept-ranges'] = 'bytes'
  answer.etag = info.etag
  answer['last-modified'] = info.lastModified.toUTCString()
  if (cacheControl !== undefined) answer['cache-control'] = cacheControl
  if (info.contentLanguage !== undefined) answer['content-language'] = info.contentLanguage
  if (info.contentEncoding !== undefined) answer['content-encoding'] = info.contentEncoding
  return Object.assign(answer, safetyHeaders(info.name, contentType, disposition))
}
