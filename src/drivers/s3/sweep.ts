import type { S3Connection } from './connection.js'
import { deleteKeys } from './delete.js'
import { headObject } from './head.js'
import { listKeys } from './listing.js'
import type { ListedKey } from './object-api.js'
import { isPlaceholder } from './publishers/placeholder.js'
import { abortUploads } from './stale-uploads.js'

/** Keys that are nobody's file: objects that the driver makes for a moment. */
const HIDDEN: readonly RegExp[] = [/(?:^|\/)\.stowage\/probe-[^/]*$/]

/**
 * Removes what crashes left before a time below a prefix: open multipart uploads, probes, and placeholders, which hold a
 * name for a large save. Returns their number. A listing does not show what a placeholder is, so each empty object
 * costs one request.
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
  { key, size, etag }: ListedKey,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  if (HIDDEN.some((pattern) => pattern.test(key))) return true
  if (size > 0) return false
  const found = await headObject(connection, key, signal)
  // The content may have come since the listing.
  return found !== null && found.size === 0 && found.etag === etag && isPlaceholder(found)
}
