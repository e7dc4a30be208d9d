import { sleep } from '../../timers.js'
import { hasWriteId, marked } from './attributes.js'
import { withinASecond } from './bounds.js'
import type { S3Connection } from './connection.js'
import { analyse } from './failures.js'
import { headObject } from './head.js'
import { contentMd5 } from './headers.js'
import type { Call, ObjectAttributes, PutRequest } from './object-api.js'
import { findAbandoned } from './publishers/abandoned.js'
import { isPlaceholder } from './publishers/placeholder.js'

/** What a write is told by. */
interface Mark {
  readonly key: string
  /** Stored with the object: says whose write it was. */
  readonly writeId: string
}

/** A write that can be told from everybody else's. */
export interface MarkedWrite extends Mark {
  /** Whether a taken name is left alone. */
  readonly createOnly: boolean
  /** Whether the write makes a placeholder. Default false. */
  readonly placeholder?: boolean
  readonly signal: AbortSignal | undefined
}

/**
 * Does a write that is carried out at most once. True: it is there. False: the name was taken. When an answer got lost,
 * our own write refuses the next attempt: the object says whose it is.
 */
export async function writeOnce(
  connection: S3Connection,
  write: MarkedWrite,
  send: (call: Call) => Promise<unknown>,
): Promise<boolean> {
  const { signal } = write
  /** Whether an attempt may have written although it failed. */
  let ambiguous = false
  try {
    return await connection.run(signal, async (call) => {
      try {
        await send(call)
        return true
      } catch (error) {
        const failure = analyse(error)
        ambiguous ||= failure.attempts > 1
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
    // Waits for it: a removal that is under way would hit what the caller saves there next.
    if (write.createOnly) await withinASecond(removeIfWritten(connection, write))
    throw error
  }
}

async function isWritten(connection: S3Connection, write: MarkedWrite): Promise<boolean> {
  const found = await headObject(connection, write.key, write.signal).catch((error: unknown) => {
    // A key that may not list is refused an answer about a missing object.
    if (analyse(error).status === 403) return null
    throw error
  })
  if (found === null || !hasWriteId(found, write.writeId)) return false
  return isPlaceholder(found) === (write.placeholder ?? false)
}

/**
 * After a failure or an abort: the server may have finished the write all the same, or may be about to. Looks at once,
 * and where nothing is there yet, again in the background.
 */
export function removeIfWritten(connection: S3Connection, { key, writeId }: Mark): Promise<void> {
  // Only the mark is kept meanwhile: a write may hold megabytes of content.
  return removeNowOrLater(connection, { key, writeId })
}

async function removeNowOrLater(connection: S3Connection, mark: Mark): Promise<void> {
  if (await removeWritten(connection, mark)) return
  void (async () => {
    for (const wait of LATE_WRITE_WAITS) {
      await sleep(wait, undefined, { ref: false })
      if (await removeWritten(connection, mark)) return
    }
  })()
}

/** Milliseconds between looks for a write that comes after its failure. */
const LATE_WRITE_WAITS = [250, 1000, 4000]

/** Whether the write was there; it is gone then. */
export async function removeWritten(connection: S3Connection, mark: Mark): Promise<boolean> {
  const { api } = connection
  let removed = false
  await connection.attemptQuietly(async (call) => {
    if (!hasWriteId(await api.head(mark, call), mark.writeId)) return
    await api.delete(mark, call)
    removed = true
  })
  return removed
}

/** A write of bytes that are all there. */
export interface WholeWrite extends MarkedWrite {
  readonly bytes: Uint8Array
  readonly attributes: ObjectAttributes
}

/**
 * Puts an object. False: create-only, and the name is taken. Not `conditional`: the server is not asked to leave a taken
 * name alone, since somebody has looked.
 */
export async function putObject(
  connection: S3Connection,
  write: WholeWrite,
  conditional = true,
): Promise<boolean> {
  const { key, bytes, attributes, createOnly, signal } = write
  const { api } = connection
  const md5 = contentMd5(bytes)
  if (!createOnly) {
    await connection.run(signal, (call) => api.put({ key, bytes, md5, attributes }, call))
    return true
  }
  const request = { key, bytes, md5, attributes: marked(attributes, write.writeId) }
  const put = (condition: Pick<PutRequest, 'createOnly' | 'ifMatch'>) =>
    writeOnce(connection, write, (call) => api.put({ ...request, ...condition }, call))
  if (await put({ createOnly: conditional })) return true
  // The placeholder of a killed save may hold the name.
  const etag = await findAbandoned(connection, key, signal)
  if (etag === undefined) return false
  if (await put({ ifMatch: etag })) return true
  // Ceph takes the quotes for a part of the ETag. Other servers refuse an ETag without them.
  return put({ ifMatch: etag.replaceAll('"', '') }).catch((error: unknown) => {
    if (analyse(error).status === 400) return false
    throw error
  })
}
