import { declaredLength } from './body.js'
import { type Call, commitObject, existing, quoted, type Reply, singleUploadLimit } from './call.js'
import { conditionsOf, isNotModified, preconditionFailed } from './conditions.js'
import { S3Error } from './errors.js'
import { attributeHeaders, attributesOf } from './metadata.js'
import { partNumber } from './multipart.js'
import type { StoredObject } from './object-store.js'

export function headBucket(): Reply {
  return { status: 200 }
}

export async function putObject(call: Call): Promise<Reply> {
  if (declaredLength(call.request, true) > singleUploadLimit) {
    throw new S3Error('EntityTooLarge', 'Your proposed upload exceeds the maximum allowed object size.')
  }
  const attributes = attributesOf(call)
  const content = await call.receive()
  await call.readyToCommit()
  const etag = content.md5
  const object = { ...attributes, key: call.key, content, etag, lastModifiedMs: call.nowMs() }
  commitObject(call, object, conditionsOf(call.request))
  return { status: 200, headers: { etag: quoted(etag) } }
}

/** R2: "Range (has no effect in HeadObject)", but partNumber has one. */
export function headObject(call: Call): Reply {
  const object = existing(call.bucket, call.key)
  if (isNotModified(conditionsOf(call.request), object)) return notModified(object)
  const { body: _, ...head } = contentOf(object, describe(object), wantedPart(call, object))
  return head
}

export function getObject(call: Call): Reply {
  const object = existing(call.bucket, call.key)
  if (isNotModified(conditionsOf(call.request), object)) return notModified(object)
  const headers = { ...describe(object), ...overrides(call) }
  const range = call.request.header('range')
  const part = wantedPart(call, object)
  if (range !== undefined && part !== undefined) {
    throw new S3Error('InvalidRequest', 'Cannot specify both Range header and partNumber query parameter')
  }
  return contentOf(
    object,
    headers,
    part ?? (range === undefined ? undefined : rangeOf(range, object.content.size)),
  )
}

function contentOf(
  object: StoredObject,
  headers: Record<string, string>,
  section: Section | undefined,
): Reply {
  const { size } = object.content
  const { start, end, ...more } = section ?? { start: 0, end: size }
  const length = { 'content-length': String(end - start) }
  const body = object.content.slices(start, end)
  // An empty file has no bytes to number, so the whole of it is no range.
  if (section === undefined || size === 0) return { status: 200, headers: { ...headers, ...length }, body }
  const range = { 'content-range': `bytes ${start}-${end - 1}/${size}` }
  const parts = more.parts === undefined ? undefined : { 'x-amz-mp-parts-count': String(more.parts) }
  return { status: 206, headers: { ...headers, ...length, ...range, ...parts }, body }
}

/** The part that the request asks for by its number: what was not uploaded in parts has one. */
function wantedPart(call: Call, object: StoredObject): Section | undefined {
  const value = call.param('partNumber')
  if (value === undefined) return undefined
  const index = partNumber(value) - 1
  const sizes = object.partSizes ?? [object.content.size]
  const size = sizes[index]
  if (size === undefined) throw new S3Error('InvalidPart', 'The requested part could not be found.')
  const start = sizes.slice(0, index).reduce((sum, each) => sum + each, 0)
  return { start, end: start + size, parts: object.partSizes?.length }
}

/** 204 whether or not the key is there; R2's only condition is the last-modified time, to the second. */
export async function deleteObject(call: Call): Promise<Reply> {
  await call.readyToCommit()
  const wanted = call.request.header('x-amz-if-match-last-modified-time')
  const object = call.bucket.get(call.key)
  if (wanted !== undefined && object !== undefined) {
    const wantedMs = Date.parse(wanted)
    if (Number.isNaN(wantedMs)) throw new S3Error('InvalidArgument', `'${wanted}' is not a date`)
    if (Math.floor(wantedMs / 1000) !== Math.floor(object.lastModifiedMs / 1000)) throw preconditionFailed()
  }
  call.bucket.delete(call.key)
  return { status: 204 }
}

function describe(object: StoredObject): Record<string, string> {
  return {
    ...attributeHeaders(object),
    etag: quoted(object.etag),
    'last-modified': new Date(object.lastModifiedMs).toUTCString(),
    'accept-ranges': 'bytes',
  }
}

function notModified(object: StoredObject): Reply {
  const { etag = '', 'last-modified': lastModified = '' } = describe(object)
  return { status: 304, headers: { etag, 'last-modified': lastModified } }
}

/** The query parameters that replace a header of the answer. */
export const overridable = [
  'response-cache-control',
  'response-content-disposition',
  'response-content-encoding',
  'response-content-language',
  'response-content-type',
  'response-expires',
] as const

function overrides(call: Call): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const name of overridable) {
    const value = call.param(name)
    if (value === undefined) continue
    if (!/^[\x20-\x7e\t]*$/.test(value)) {
      throw new S3Error('InvalidArgument', `Header value cannot be represented using ISO-8859-1: ${name}`)
    }
    headers[name.slice('response-'.length)] = value
  }
  return headers
}

/** The bytes from `start` up to, not including, `end`. */
interface Section {
  readonly start: number
  readonly end: number
  /** How many parts the object was uploaded in, where one was asked for. */
  readonly parts?: number | undefined
}

/** One range; RFC 9110 section 14. */
function rangeOf(header: string, size: number): Section {
  const [, first, last] = /^bytes=(\d*)-(\d*)$/.exec(header) ?? []
  const unsatisfiable = new S3Error('InvalidRange', 'The requested range is not satisfiable', {
    'content-range': `bytes */${size}`,
  })
  if (first === undefined || last === undefined || (first === '' && last === '')) throw unsatisfiable
  const start = first === '' ? Math.max(0, size - Number(last)) : Number(first)
  const end = first === '' || last === '' ? size : Math.min(size, Number(last) + 1)
  if (start >= size || start >= end) throw unsatisfiable
  return { start, end }
}
