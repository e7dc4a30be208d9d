import type { S3Connection } from '../connection.js'
import { analyse } from '../failures.js'
import { headObject, type SizedObject } from '../head.js'
import { isPlaceholder, uploadIdOf } from './placeholder.js'

/** Milliseconds after which a placeholder of an upload counts as left behind: a live one is replaced at once. */
const ABANDONED_AFTER = 30_000
/** The same for a copy on the server: that may take long, and nothing can keep it from ending. */
const COPY_ABANDONED_AFTER = 20 * 60_000

/**
 * The ETag of a placeholder that a killed save has left at a key; undefined where anything else is. Only a put on
 * condition of this ETag may replace it, since others may have seen it as well.
 */
export async function findAbandoned(
  connection: S3Connection,
  key: string,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  // Where completing is conditional, nobody makes placeholders.
  if (connection.config.conditionalCompletion) return undefined
  const found = await headObject(connection, key, signal).catch((error: unknown) => {
    if (analyse(error).status === 403) return null
    throw error
  })
  return found && (await isAbandoned(connection, key, found, signal)) ? found.etag : undefined
}

/**
 * Whether an object is a placeholder that nobody will replace. Its upload is aborted first: a save that is only slow
 * fails then, and can never write over what takes its place.
 */
export async function isAbandoned(
  connection: S3Connection,
  key: string,
  found: SizedObject,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  if (!isPlaceholder(found) || found.lastModified === undefined) return false
  const uploadId = uploadIdOf(found)
  // Both times are the server's, as far as it tells its own.
  const age = (found.answered ?? new Date()).getTime() - found.lastModified.getTime()
  if (uploadId === undefined) return age > COPY_ABANDONED_AFTER
  if (age <= ABANDONED_AFTER) return false
  try {
    await connection.run(signal, (call) => connection.api.abortUpload({ key, uploadId }, call))
    return true
  } catch (error) {
    if (signal?.aborted) throw error
    return analyse(error).status === 404
  }
}
