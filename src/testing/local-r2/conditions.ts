import { S3Error } from './errors.js'
import type { StoredObject } from './object-store.js'

export interface Conditions {
  readonly ifMatch: string | undefined
  readonly ifNoneMatch: string | undefined
  readonly ifModifiedSince: string | undefined
  readonly ifUnmodifiedSince: string | undefined
}

export const noConditions: Conditions = {
  ifMatch: undefined,
  ifNoneMatch: undefined,
  ifModifiedSince: undefined,
  ifUnmodifiedSince: undefined,
}

/** The four conditional headers, each after `prefix` (`x-amz-copy-source-`, `cf-copy-destination-`, or nothing). */
export function conditionsOf(request: { header(name: string): string | undefined }, prefix = ''): Conditions {
  return {
    ifMatch: request.header(`${prefix}if-match`),
    ifNoneMatch: request.header(`${prefix}if-none-match`),
    ifModifiedSince: request.header(`${prefix}if-modified-since`),
    ifUnmodifiedSince: request.header(`${prefix}if-unmodified-since`),
  }
}

/** R2's table for writes; on an absent key If-Match and If-Modified-Since fail, the other two succeed. */
export function checkWriteConditions(conditions: Conditions, current: StoredObject | undefined): void {
  const { ifMatch, ifNoneMatch, ifModifiedSince, ifUnmodifiedSince } = conditions
  const holds =
    (ifMatch === undefined || names(ifMatch, current)) &&
    (ifNoneMatch === undefined || !names(ifNoneMatch, current)) &&
    (ifModifiedSince === undefined || isNewer(current, ifModifiedSince) === true) &&
    (ifUnmodifiedSince === undefined || isNewer(current, ifUnmodifiedSince) !== true)
  if (!holds) throw preconditionFailed()
}

/** RFC 9110 section 13.2.2: throws on 412; true when the answer is 304. */
export function isNotModified(conditions: Conditions, current: StoredObject): boolean {
  const { ifMatch, ifNoneMatch, ifModifiedSince, ifUnmodifiedSince } = conditions
  if (ifMatch !== undefined) {
    if (!names(ifMatch, current)) throw preconditionFailed()
  } else if (ifUnmodifiedSince !== undefined && isNewer(current, ifUnmodifiedSince)) {
    throw preconditionFailed()
  }
  if (ifNoneMatch !== undefined) return names(ifNoneMatch, current)
  return ifModifiedSince !== undefined && !isNewer(current, ifModifiedSince)
}

export function preconditionFailed(): S3Error {
  return new S3Error('PreconditionFailed', 'At least one of the pre-conditions you specified did not hold.')
}

/** Whether an entity-tag list, or `*`, names the object. Entity tags are quoted (RFC 9110 section 8.8.3). */
function names(list: string, current: StoredObject | undefined): boolean {
  if (list.trim() === '*') return current !== undefined
  if (!/^\s*(?:W\/)?"[^"]*"(?:\s*,\s*(?:W\/)?"[^"]*")*\s*$/.test(list)) {
    throw new S3Error('InvalidArgument', `'${list}' is not a list of quoted entity tags`)
  }
  const tags = [...list.matchAll(/"([^"]*)"/g)].map(([, tag]) => tag)
  return current !== undefined && tags.includes(current.etag)
}

/** Second granularity, as HTTP dates have. `undefined` when the key is absent. */
function isNewer(current: StoredObject | undefined, date: string): boolean | undefined {
  const limitMs = Date.parse(date)
  if (Number.isNaN(limitMs)) throw new S3Error('InvalidArgument', `'${date}' is not a date`)
  if (current === undefined) return undefined
  return Math.floor(current.lastModifiedMs / 1000) * 1000 > limitMs
}
