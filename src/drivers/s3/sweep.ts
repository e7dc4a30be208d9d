import type { S3Connection } from './connection.js'
import { deleteKeys } from './delete.js'
import { headObject } from './head.js'
import { listKeys } from './listing.js'
import type { ListedKey } from './object-api.js'
import { hasSizeOfPlaceholder, isPlaceholder } from './publishers/placeholder.js'
import { abortUploads } from './stale-uploads.js'

/** Keys that are nobody's file: probes, and direct uploads that were never published. */
const HIDDEN: readonly RegExp[] = [/(?:^|\/)\.stowage\/probe-[^/]*$/, /(?:^|\/)\.stowage\/uploads\/[^/]+$/]

/**
 * Removes what crashes left before a time below a prefix: open multipart uploads, direct uploads, probes, and placeholders,
 * which hold a name for a large save. Returns their number. A listing does not show what a placeholder is, so each object
 * of its size costs one request.
 */
export async function sweep(
  connection: S3Connection,
  prefix: string,
  before: Date,
  signal: AbortSignal | undefined,
): Promise<number> {
  let removed = await abortUploads(connection, prefix, before, signal)
  for await (const { keys } of listKeys(connection, prefix, false, signal)) {
    const left: string[] = []
    for (const object of keys) {
      if (object.lastModified < before && (await isLeft(connection, object, signal))) left.push(object.key)
    }
    if (left.length === 0) continue
    const [failure] = await deleteKeys(connection, left, signal)
    if (failure) throw failure.error
    removed += left.length
  }
  return removed
}

async function isLeft(
  connection: S3Connection,
  object: ListedKey,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  if (HIDDEN.some((pattern) => pattern.test(object.key))) return true
  if (!hasSizeOfPlaceholder(object)) return false
  const found = await headObject(connection, object.key, signal)
  // The content may have come since the listing.
  return found !== null && hasSizeOfPlaceholder(found) && found.etag === object.etag && isPlaceholder(found)
}
