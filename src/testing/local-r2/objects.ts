import { declaredLength } from './body.js'
import { type Call, commitObject, existing, quoted, type Reply, singleUploadLimit } from './call.js'
import { conditionsOf, isNotModified, preconditionFailed } from './conditions.js'
import { S3Error } from './errors.js'
import { attributeHeaders, attributesOf } from './metadata.js'
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

export function headObject(call: Call): Reply {
  const object = existing(call.bucket, call.key)
  if (isNotModified(conditionsOf(call.request), object)) return notModified(object)
  return { status: 200, headers: { ...describe(object), 'content-length': String(object.content.size) } }
}

export function getObject(call: Call): Reply {
  const object = existing(call.bucket, call.key)
  if (isNotModified(conditionsOf(call.request), object)) return notModified(object)
  const headers = { ...describe(object), ...overrides(call) }
  const { size } = object.content
  const range = call.request.header('range')
  if (range === undefined) {
    return {
      status: 200,
      headers: { ...headers, 'content-length': String(size) },
      body: object.content.slices(),
    }
  }
  const [start, end] = rangeOf(range, size)
  const partial = {
    'content-range': `bytes ${start}-${end - 1}/${size}`,
    'content-length': String(end - start),
  }
  return { status: 206, headers: { ...headers, ...partial }, body: object.content.slices(start, end) }
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

/** One range, from its start up to, not including, its end; RFC 9110 section 14. */
function rangeOf(header: string, size: number): [start: number, end: number] {
  const [, first, last] = /^bytes=(\d*)-(\d*)$/.exec(header) ?? []
  const unsatisfiable = new S3Error('InvalidRange', 'The requested range is not satisfiable', {
    'content-range': `bytes */${size}`,
  })
  if (first === undefined || last === undefined || (first === '' && last === '')) throw unsatisfiable
  const start = first === '' ? Math.max(0, size - Number(last)) : Number(first)
  const end = first === '' || last === '' ? size : Math.min(size, Number(last) + 1)
  if (start >= size || start >= end) throw unsatisfiable
  return [start, end]
}
