import { Readable } from 'node:stream'
import type { GetObjectCommandOutput } from '@aws-sdk/client-s3'
import { Problem } from '../../errors.js'
import type { DeliveredRange, OpenBody } from '../../stored-file.js'
import type { ByteRange } from '../../types.js'
import { ObjectBody } from './body.js'
import type { S3Connection } from './connection.js'
import { analyse, expectETag, NoS3Answer, readHeader } from './failures.js'
import { headObject } from './writes.js'

export interface OpenedObject {
  readonly output: GetObjectCommandOutput
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
  const { output, stream, size, delivered } = await getObject(connection, key, range, undefined, signal)
  const reopen = async (offset: number, signal: AbortSignal) => {
    const rest = { offset, length: delivered.offset + delivered.length - offset }
    try {
      return (await getObject(connection, key, rest, output.ETag, signal)).stream
    } catch (error) {
      if (analyse(error).status !== 416) throw error
      // In this version of the file there is nothing where it should go on: what was announced at first was too long.
      // What the server refuses must be what is not there; where the answer does not tell the size (as Ceph's), a HEAD does.
      const told = readHeader(error, 'content-range')
      const ends =
        told === ''
          ? await endsAt(connection, key, offset, output.ETag, signal)
          : told === `bytes */${offset}`
      if (!ends) throw error
      return null
    }
  }
  const { idleTimeout } = connection.config
  return {
    output,
    size,
    range: delivered,
    body: new ObjectBody(stream, delivered, reopen, signal, idleTimeout),
  }
}

async function endsAt(
  connection: S3Connection,
  key: string,
  size: number,
  etag: string | undefined,
  signal: AbortSignal,
): Promise<boolean> {
  const found = await headObject(connection, key, signal)
  return found?.ETag === etag && found?.ContentLength === size
}

async function getObject(
  connection: S3Connection,
  key: string,
  range: ByteRange | undefined,
  IfMatch: string | undefined,
  signal: AbortSignal | undefined,
) {
  const input = {
    Bucket: connection.config.bucket,
    Key: key,
    ...(range && { Range: toHeader(range) }),
    ...(IfMatch && { IfMatch }),
  }
  return connection.run(signal, async ({ send, sdk }) => {
    const output = await send(new sdk.GetObjectCommand(input))
    const stream = output.Body
    if (!(stream instanceof Readable)) throw new NoS3Answer()
    try {
      return { output: expectETag(output), stream, ...toDelivered(output, range) }
    } catch (error) {
      stream.on('error', ignore).destroy()
      throw error
    }
  })
}

/** RFC 9110 §14.1.2. A suffix takes no length: what is too much is not read. */
function toHeader({ offset, length }: ByteRange): string {
  if (offset < 0) return `bytes=${offset}`
  return `bytes=${offset}-${length === undefined ? '' : offset + length - 1}`
}

/** What the server delivers, which must be what was asked for: some ignore ranges. */
function toDelivered(output: GetObjectCommandOutput, range: ByteRange | undefined) {
  const { ContentLength, ContentRange } = output
  if (ContentLength === undefined || !Number.isSafeInteger(ContentLength))
    throw new Problem('Corrupt', 'the server does not tell the length of the file')
  if (range === undefined) return { size: ContentLength, delivered: { offset: 0, length: ContentLength } }
  const match = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(ContentRange ?? '')
  const [offset, end, size] = [Number(match?.[1]), Number(match?.[2]), Number(match?.[3])]
  // The two lengths of one answer differ: somebody on the way is wrong.
  if (match && end - offset + 1 !== ContentLength) throw new NoS3Answer()
  const expected = range.offset < 0 ? Math.max(0, size + range.offset) : range.offset
  // A suffix takes no length: it is all of it that is asked for.
  const length = range.offset < 0 ? undefined : range.length
  const expectedEnd = length === undefined ? size : Math.min(size, offset + length)
  if (!match || offset !== expected || end + 1 !== expectedEnd) {
    throw new Problem('Corrupt', 'the server delivers another range than was asked for')
  }
  return { size, delivered: { offset, length: Math.min(ContentLength, range.length ?? ContentLength) } }
}

function ignore(): void {}
