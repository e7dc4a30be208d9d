import type { CompletedPart, ListMultipartUploadsCommandOutput } from '@aws-sdk/client-s3'
import { Problem } from '../../errors.js'
import { WRITE_ID_KEY } from '../../metadata.js'
import type { S3Connection } from './connection.js'
import { analyse, expectAnswer, expectETag, NoS3Answer } from './failures.js'
import { checkKey, keyDecoder } from './listing.js'
import { MAX_PARTS, type Part, type PartReader } from './parts.js'
import {
  honoursConditionalCompletion,
  type MarkedWrite,
  withinASecond,
  writeClaimed,
  writeOnce,
} from './writes.js'

export interface MultipartRequest extends MarkedWrite {
  readonly parts: PartReader
  readonly fields: { readonly Metadata: Readonly<Record<string, string>> }
  /** Stops the source's reader, too. */
  readonly stop: AbortController
  progress(bytes: number): void
}

/** Uploads a content in parts. False: the name was taken at the end. On any failure no part is left. */
export async function uploadMultipart(connection: S3Connection, request: MultipartRequest): Promise<boolean> {
  return inUpload(connection, request, request.fields, async (target) => {
    const parts = await uploadParts(connection, request, target)
    return completeUpload(connection, request, target, parts)
  })
}

export interface UploadTarget {
  readonly Bucket: string
  readonly Key: string
  readonly UploadId: string
}

/** Creates an upload, and aborts it unless `work` has completed it. */
export async function inUpload(
  connection: S3Connection,
  write: MarkedWrite,
  fields: { readonly Metadata: Readonly<Record<string, string>> },
  work: (target: UploadTarget) => Promise<boolean>,
): Promise<boolean> {
  // Tried out before the content is sent, which would be in vain if it failed.
  if (write.createOnly) await honoursConditionalCompletion(connection, write.signal)
  const object = { Bucket: connection.config.bucket, Key: write.key }
  const input = { ...fields, ...object, Metadata: { ...fields.Metadata, [WRITE_ID_KEY]: write.writeId } }
  const target = await connection.run(write.signal, async ({ send, sdk }) => {
    const { UploadId } = await send(new sdk.CreateMultipartUploadCommand(input))
    if (!UploadId) throw new NoS3Answer()
    return { ...object, UploadId }
  })
  let completed = false
  try {
    completed = await work(target)
    return completed
  } finally {
    if (!completed) {
      const abort = connection.attemptQuietly(({ send, sdk }) =>
        send(new sdk.AbortMultipartUploadCommand(target)),
      )
      // Parts that are left cost money until the bucket's lifecycle rule takes them, so it is worth a moment.
      await withinASecond(abort)
    }
  }
}

async function uploadParts(
  connection: S3Connection,
  { parts, signal, stop, progress }: MultipartRequest,
  target: UploadTarget,
): Promise<CompletedPart[]> {
  const completed: CompletedPart[] = []
  const running = new Set<Promise<void>>()
  const ended = signal ? AbortSignal.any([signal, stop.signal]) : stop.signal
  let failure: { readonly error: unknown } | undefined
  let bytes = 0
  const fail = (error: unknown) => {
    failure ??= { error }
    stop.abort(error)
  }
  const upload = async (part: Part, PartNumber: number) => {
    const { ETag } = await connection.run(ended, ({ send, sdk }) =>
      send(
        new sdk.UploadPartCommand({
          ...target,
          PartNumber,
          Body: part.bytes,
          ContentLength: part.bytes.byteLength,
        }),
      ).then(expectETag),
    )
    completed[PartNumber - 1] = { PartNumber, ETag }
    bytes += part.bytes.byteLength
    part.release()
    progress(bytes)
  }
  try {
    for (let number = 1; failure === undefined; number++) {
      const part = await parts.next()
      if (part === null) break
      if (number > MAX_PARTS) {
        throw new Problem(
          'InvalidArgument',
          `the stream is longer than ${MAX_PARTS} parts: set a larger partSize on the storage`,
        )
      }
      const task = upload(part, number).catch(fail)
      running.add(task)
      void task.finally(() => running.delete(task))
      if (running.size >= connection.config.uploadConcurrency) await Promise.race(running)
    }
  } catch (error) {
    fail(error)
  }
  await Promise.all(running)
  if (failure !== undefined) throw failure.error
  return completed
}

/** Makes an upload the object of its key. False: create-only, and the name is taken. */
export async function completeUpload(
  connection: S3Connection,
  write: MarkedWrite,
  target: UploadTarget,
  parts: CompletedPart[],
): Promise<boolean> {
  const conditional = write.createOnly && (await honoursConditionalCompletion(connection, write.signal))
  const input = { ...target, MultipartUpload: { Parts: parts }, ...(conditional && { IfNoneMatch: '*' }) }
  const doWrite = write.createOnly && !conditional ? writeClaimed : writeOnce
  return doWrite(connection, write, async ({ send, sdk }) => {
    expectAnswer(await send(new sdk.CompleteMultipartUploadCommand(input)), 'ETag', 'Key', 'Location')
  })
}

/** Aborts the uploads of keys below `prefix` that were begun before a time, and tells how many there were. */
export async function abortUploads(
  connection: S3Connection,
  prefix: string,
  before: Date,
  signal: AbortSignal | undefined,
): Promise<number> {
  const Bucket = connection.config.bucket
  let aborted = 0
  let marker: { KeyMarker?: string; UploadIdMarker?: string } | undefined = {}
  while (marker) {
    const input = { Bucket, Prefix: prefix, EncodingType: 'url' as const, ...marker }
    const page: ListMultipartUploadsCommandOutput = await connection.run(signal, async ({ send, sdk }) =>
      expectAnswer(await send(new sdk.ListMultipartUploadsCommand(input)), 'Bucket'),
    )
    const decode = keyDecoder(page)
    for (const { Key, UploadId, Initiated } of page.Uploads ?? []) {
      if (Key === undefined || UploadId === undefined || Initiated === undefined || Initiated >= before)
        continue
      const upload = { Bucket, Key: decode(Key), UploadId }
      checkKey(upload.Key, prefix)
      await connection.run(signal, async ({ send, sdk }) => {
        try {
          await send(new sdk.AbortMultipartUploadCommand(upload))
        } catch (error) {
          if (analyse(error).code !== 'NoSuchUpload') throw error
        }
      })
      aborted += 1
    }
    const { IsTruncated, NextKeyMarker, NextUploadIdMarker } = page
    const next = { KeyMarker: decode(NextKeyMarker ?? ''), UploadIdMarker: NextUploadIdMarker ?? '' }
    if (IsTruncated && next.KeyMarker === marker.KeyMarker && next.UploadIdMarker === marker.UploadIdMarker) {
      throw new Problem('Corrupt', 'the server does not tell where its list goes on')
    }
    marker = IsTruncated ? next : undefined
  }
  return aborted
}
