import { Problem } from '../../errors.js'
import type { DeliveredRange, OpenBody } from '../../stored-file.js'
import type { ByteRange } from '../../types.js'
import { ObjectBody } from './body.js'
import type { S3Connection } from './connection.js'
import { analyse, type Failure } from './failures.js'
import { headObject, type SizedObject, sized } from './head.js'
import type { ObjectState, OpenObject } from './object-api.js'
import { notFromS3 } from './s3-error.js'

/** An object that is open for reading. */
export interface OpenedObject {
  readonly state: ObjectState
  /** Bytes of the whole object. */
  readonly size: number
  readonly range: DeliveredRange
  readonly body: OpenBody
}

/** Gets an object, or a range of it that is not empty. */
export async function openObject(
  connection: S3Connection,
  key: string,
  range: ByteRange | undefined,
  signal: AbortSignal | undefined,
): Promise<OpenedObject> {
  const { object, size, delivered } = await getObject(connection, key, range, undefined, signal)
  const reopen = async (offset: number, signal: AbortSignal) => {
    const rest = { offset, length: delivered.offset + delivered.length - offset }
    try {
      return (await getObject(connection, key, rest, object.etag, signal)).object.body
    } catch (error) {
      const failure = analyse(error)
      if (failure.status !== 416) throw error
      // In this version of the file nothing is left: the announced length was too long. The refused offset must be the
      // end of the file; where the answer does not tell the size (as Ceph's), a HEAD does.
      const told = sizeOf(failure)
      const ends =
        told === undefined ? await endsAt(connection, key, offset, object.etag, signal) : told === offset
      if (!ends) throw error
      return null
    }
  }
  const body = new ObjectBody(object.body, {
    range: delivered,
    reopen,
    signal,
    readers: connection.readers,
    patience: connection.config.idleTimeout,
  })
  return { state: object, size, range: delivered, body }
}

/** The size of the file by a 416, where it tells it. */
export function sizeOf({ status, headers }: Failure): number | undefined {
  const [, size] = /^bytes \*\/(\d+)$/.exec(headers['content-range'] ?? '') ?? []
  return status === 416 && size !== undefined ? Number(size) : undefined
}

async function endsAt(
  connection: S3Connection,
  key: string,
  size: number,
  etag: string,
  signal: AbortSignal,
): Promise<boolean> {
  const found = await headObject(connection, key, signal)
  return found?.etag === etag && found.size === size
}

function getObject(
  connection: S3Connection,
  key: string,
  range: ByteRange | undefined,
  ifMatch: string | undefined,
  signal: AbortSignal | undefined,
) {
  return connection.run(signal, async (call) => {
    const object = await connection.api.get({ key, range, ifMatch }, call)
    try {
      return { object, ...toDelivered(sized(object), object, range) }
    } catch (error) {
      object.body.on('error', () => {}).destroy()
      throw error
    }
  })
}

/** The range that the server delivers. It must be the one that was asked for: some servers ignore ranges. */
function toDelivered(
  { size: bodySize }: SizedObject,
  { contentRange }: OpenObject,
  range: ByteRange | undefined,
): { readonly size: number; readonly delivered: DeliveredRange } {
  if (range === undefined) return { size: bodySize, delivered: { offset: 0, length: bodySize } }
  // Swift answers a suffix of an empty file so. None of it can be delivered.
  if (contentRange === undefined && bodySize === 0) {
    throw new Problem('RangeNotSatisfiable', 'the file is empty', { size: 0 })
  }
  const match = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(contentRange ?? '')
  const [offset, end, size] = [Number(match?.[1]), Number(match?.[2]), Number(match?.[3])]
  // The two lengths of one answer differ: somebody on the way is wrong.
  if (match && end - offset + 1 !== bodySize) throw notFromS3(206)
  const expected = range.offset < 0 ? Math.max(0, size + range.offset) : range.offset
  // A suffix takes no length: all of it is asked for.
  const length = range.offset < 0 ? undefined : range.length
  const expectedEnd = length === undefined ? size : Math.min(size, offset + length)
  if (!match || offset !== expected || end + 1 !== expectedEnd) {
    throw new Problem('Corrupt', 'the server delivers another range than was asked for')
  }
  return { size, delivered: { offset, length: Math.min(bodySize, range.length ?? bodySize) } }
}
