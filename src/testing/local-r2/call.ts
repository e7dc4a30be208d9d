import type { Behaviour } from './behaviour.js'
import { type Conditions, checkWriteConditions } from './conditions.js'
import type { Content } from './content.js'
import { S3Error } from './errors.js'
import type { Bucket, StoredObject } from './object-store.js'
import type { S3Request } from './request.js'

/** R2's real limits: 5 GiB less one smallest part for one PUT or part, 5 TiB less 5 GiB for an object. */
export const singleUploadLimit = 5 * 1024 ** 3 - 5 * 1024 ** 2
export const objectLimit = 5 * 1024 ** 4 - 5 * 1024 ** 3
export const smallestPart = 5 * 1024 ** 2

/** One authenticated request on its way through an operation. */
export interface Call {
  readonly request: S3Request
  readonly bucket: Bucket
  readonly buckets: ReadonlyMap<string, Bucket>
  readonly key: string
  readonly behaviour: Behaviour
  /** The one query parameter of that name. */
  param(name: string): string | undefined
  nowMs(): number
  /** Reads and checks the body. */
  receive(): Promise<Content>
  /** Waits the processing delay; rejects when the client has gone. What follows it must be synchronous. */
  readyToCommit(): Promise<void>
}

export interface Reply {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Iterable<Buffer>
}

export type Operation = (call: Call) => Reply | Promise<Reply>

/** The one place an object comes to be: conditions and write are one synchronous step, hence atomic. */
export function commitObject(call: Call, object: StoredObject, conditions: Conditions): void {
  if (call.behaviour.conditionalWrites) checkWriteConditions(conditions, call.bucket.get(object.key))
  const interval = call.behaviour.sameKeyWriteIntervalMs
  if (interval > 0 && !call.bucket.noteWrite(object.key, call.nowMs(), interval)) {
    throw new S3Error('TooManyRequests', 'Reduce your concurrent request rate for the same object.')
  }
  call.bucket.put(object)
}

export function existing(bucket: Bucket, key: string): StoredObject {
  const object = bucket.get(key)
  if (object === undefined) throw new S3Error('NoSuchKey', 'The specified key does not exist.')
  return object
}

export function quoted(etag: string): string {
  return `"${etag}"`
}

export function xmlReply(body: string): Reply {
  return { status: 200, headers: { 'content-type': 'application/xml' }, body }
}

export function wholeNumber(
  value: string | undefined,
  name: string,
  low: number,
  high: number,
): number | undefined {
  if (value === undefined) return undefined
  if (/^\d{1,10}$/.test(value) && Number(value) >= low && Number(value) <= high) return Number(value)
  throw new S3Error('InvalidArgument', `${name} must be a whole number from ${low} to ${high}`)
}
