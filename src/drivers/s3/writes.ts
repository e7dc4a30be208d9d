import { createHash, randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { HeadObjectCommandOutput } from '@aws-sdk/client-s3'
import { Problem } from '../../errors.js'
import { CLAIM_KEY, WRITE_ID_KEY } from '../../metadata.js'
import { hasWriteId, isClaim } from './attributes.js'
import { type Attempt, orAborted, type S3Connection } from './connection.js'
import { analyse, expectETag, isAnswer } from './failures.js'

/** Head of an object, or null where the server says 404 (to a missing bucket, too). */
export async function headObject(
  connection: S3Connection,
  key: string,
  signal: AbortSignal | undefined,
): Promise<HeadObjectCommandOutput | null> {
  try {
    return await connection.run(signal, ({ send, sdk }) =>
      send(new sdk.HeadObjectCommand({ Bucket: connection.config.bucket, Key: key })).then(expectLength),
    )
  } catch (error) {
    if (analyse(error).status === 404) return null
    throw error
  }
}

/** What has an unknown length must not be taken for empty: a move would lose it. */
function expectLength(output: HeadObjectCommandOutput): HeadObjectCommandOutput {
  if (!Number.isSafeInteger(output.ContentLength) && isAnswer(expectETag(output))) {
    throw new Problem('Corrupt', 'the server does not tell the length of the file')
  }
  return output
}

export interface MarkedWrite {
  readonly key: string
  /** Stored with the object, so that it can be told whose write it was. */
  readonly writeId: string
  /** Whether a taken name is left alone. */
  readonly createOnly: boolean
  /** Whether it is a placeholder that is written. Default false. */
  readonly claim?: boolean
  readonly signal: AbortSignal | undefined
}

/**
 * Does a write that is carried out at most once. True: it is there. False: the name was taken. When an answer got lost,
 * another attempt is refused because of our own write: whose it is, is read from the object.
 */
export async function writeOnce(
  connection: S3Connection,
  write: MarkedWrite,
  send: (attempt: Attempt) => Promise<unknown>,
): Promise<boolean> {
  const { signal } = write
  /** Whether an attempt may have written although it failed. */
  let ambiguous = false
  try {
    return await connection.run(signal, async (attempt) => {
      try {
        await send(attempt)
        return true
      } catch (error) {
        const failure = analyse(error)
        ambiguous ||= attemptsOf(error) > 1
        // A completion may answer 200 before it knows.
        if (failure.status === 412 || failure.code === 'PreconditionFailed') {
          return ambiguous ? await isWritten(connection, write) : false
        }
        if (ambiguous && failure.code === 'NoSuchUpload' && (await isWritten(connection, write))) return true
        ambiguous ||= failure.ambiguous
        throw error
      }
    })
  } catch (error) {
    if (!ambiguous) throw error
    if (!signal?.aborted && (await isWritten(connection, write).catch(() => false))) return true
    if (write.createOnly) {
      const removal = removeIfWritten(connection, write)
      if (signal?.aborted) await withinASecond(removal)
    }
    throw error
  }
}

async function isWritten(
  connection: S3Connection,
  { key, writeId, claim, signal }: MarkedWrite,
): Promise<boolean> {
  const found = await headObject(connection, key, signal)
  return found !== null && hasWriteId(found, writeId) && isClaim(found) === (claim ?? false)
}

/**
 * After a failure or an abort: the server may have finished the write all the same, or may be about to. Looks at once,
 * and where nothing is there yet, again in the background.
 */
async function removeIfWritten(connection: S3Connection, write: MarkedWrite): Promise<void> {
  if (await removeWritten(connection, write)) return
  void (async () => {
    for (const wait of LATE_WRITE_WAITS) {
      await sleep(wait, undefined, { ref: false })
      if (await removeWritten(connection, write)) return
    }
  })()
}

/** Milliseconds between looks for a write that comes after its failure. */
const LATE_WRITE_WAITS = [250, 1000, 4000]

/** Whether the write was there; it is gone then. */
async function removeWritten(connection: S3Connection, { key, writeId }: MarkedWrite): Promise<boolean> {
  let removed = false
  await connection.attemptQuietly(async ({ send, sdk }) => {
    const target = { Bucket: connection.config.bucket, Key: key }
    if (!hasWriteId(await send(new sdk.HeadObjectCommand(target)), writeId)) return
    await send(new sdk.DeleteObjectCommand(target))
    removed = true
  })
  return removed
}

/** Waits for a clean-up, but not long: an abort is to end promptly. */
export async function withinASecond(work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, 1000)
  })
  await Promise.race([work.catch(() => {}), late])
  clearTimeout(timer)
}

export interface PutRequest extends MarkedWrite {
  readonly bytes: Uint8Array
  readonly fields: { readonly Metadata: Readonly<Record<string, string>> }
}

/** Stores an object by one PutObject. False: the name was taken. */
export async function putObject(connection: S3Connection, request: PutRequest): Promise<boolean> {
  const { key, bytes, createOnly, fields, writeId } = request
  const input = {
    Bucket: connection.config.bucket,
    Key: key,
    Body: bytes,
    ContentLength: bytes.byteLength,
    ContentMD5: createHash('md5').update(bytes).digest('base64'),
    ...fields,
  }
  if (!createOnly) {
    await connection.run(request.signal, ({ send, sdk }) =>
      send(new sdk.PutObjectCommand(input)).then(expectETag),
    )
    return true
  }
  const Metadata = Object.assign({}, fields.Metadata, { [WRITE_ID_KEY]: writeId })
  const marked = { IfNoneMatch: '*', ...input, Metadata }
  return writeOnce(connection, request, ({ send, sdk }) =>
    send(new sdk.PutObjectCommand(marked)).then(expectETag),
  )
}

/** Whether completing a multipart upload heeds `If-None-Match` here; tried out where it is not known. */
export function honoursConditionalCompletion(
  connection: S3Connection,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const { conditionalCompletion } = connection.config
  if (conditionalCompletion !== undefined) return Promise.resolve(conditionalCompletion)
  let probed = probes.get(connection)
  if (probed === undefined) {
    // Where it cannot be found out now, what works on every server is right; the next one tries again.
    probed = probeConditionalCompletion(connection).catch(() => {
      probes.delete(connection)
      return false
    })
    probes.set(connection, probed)
  }
  return orAborted(probed, signal)
}

const probes = new WeakMap<S3Connection, Promise<boolean>>()

async function probeConditionalCompletion(connection: S3Connection): Promise<boolean> {
  const { bucket, prefix } = connection.config
  const folder = prefix === '' ? '' : `${prefix}/`
  const target = { Bucket: bucket, Key: `${folder}.stowage/probe-${randomUUID()}` }
  const Body = Buffer.from('probe')
  let upload: { UploadId: string | undefined } | undefined
  try {
    await connection.run(undefined, ({ send, sdk }) => send(new sdk.PutObjectCommand({ ...target, Body })))
    const { UploadId } = await connection.run(undefined, ({ send, sdk }) =>
      send(new sdk.CreateMultipartUploadCommand(target)),
    )
    upload = { UploadId }
    const part = { ...target, UploadId, PartNumber: 1, Body }
    const { ETag } = await connection.run(undefined, ({ send, sdk }) => send(new sdk.UploadPartCommand(part)))
    const MultipartUpload = { Parts: [{ PartNumber: 1, ETag }] }
    const completion = { ...target, UploadId, IfNoneMatch: '*', MultipartUpload }
    await connection.run(undefined, ({ send, sdk }) =>
      send(new sdk.CompleteMultipartUploadCommand(completion)),
    )
    return false
  } catch (error) {
    const { status } = analyse(error)
    if (status === 412) return true
    // Keys that are limited to some names can never try it out.
    if (status === 403) return false
    throw error
  } finally {
    await connection.attemptQuietly(async ({ send, sdk }) => {
      await send(new sdk.DeleteObjectCommand(target))
      if (upload) await send(new sdk.AbortMultipartUploadCommand({ ...target, ...upload })).catch(() => {})
    })
  }
}

/**
 * Publishes by a completion or copy that overwrites, create-only, on a server that heeds no condition there: the name is
 * claimed by a placeholder first. Readers of this package do not see it; a crash leaves it behind, and the name taken.
 */
export async function writeClaimed(
  connection: S3Connection,
  write: MarkedWrite,
  send: (attempt: Attempt) => Promise<unknown>,
): Promise<boolean> {
  const { signal } = write
  const bytes = Buffer.alloc(0)
  const fields = { Metadata: { [CLAIM_KEY]: '1' } }
  // Not aborted itself, so that it is known how it ended: a placeholder must not come after its removal.
  const claiming = putObject(connection, { ...write, claim: true, bytes, fields, signal: undefined })
  const claimed = await orAborted(claiming, signal).catch(async (error: unknown) => {
    await withinASecond(claiming.then((done) => done && removeWritten(connection, write)))
    throw error
  })
  if (!claimed) return false
  try {
    return await writeOnce(connection, write, send)
  } catch (error) {
    await withinASecond(removeIfWritten(connection, write))
    throw error
  }
}

function attemptsOf(error: unknown): number {
  if (typeof error !== 'object' || error === null || !('$metadata' in error)) return 1
  const metadata = error.$metadata
  return typeof metadata === 'object' && metadata !== null && 'attempts' in metadata
    ? Number(metadata.attempts)
    : 1
}
