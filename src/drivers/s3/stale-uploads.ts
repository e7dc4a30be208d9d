import { Problem } from '../../errors.js'
import type { S3Connection } from './connection.js'
import { analyse } from './failures.js'
import { checkKey } from './listing.js'
import type { Upload, UploadMarker, UploadPage } from './object-api.js'

/** Aborts the uploads of keys below `prefix` that were begun before a time. Returns their number. */
export async function abortUploads(
  connection: S3Connection,
  prefix: string,
  before: Date,
  signal: AbortSignal | undefined,
): Promise<number> {
  const { api } = connection
  let aborted = 0
  let after: UploadMarker | undefined
  let plain = false
  for (;;) {
    const request = { prefix, after, plain }
    const page: UploadPage = await connection.run(signal, (call) => api.listUploads(request, call))
    // Nobody could say whether a `%` belongs to the key.
    if (!plain && !page.saysEncoding && page.uploads.some(({ key }) => key.includes('%'))) {
      plain = true
      continue
    }
    for (const { key, uploadId, initiated } of page.uploads) {
      if (initiated >= before) continue
      checkKey(key, prefix)
      await abortUpload(connection, { key, uploadId }, signal)
      aborted += 1
    }
    const { next } = page
    if (next === undefined) return aborted
    if (next.key === (after?.key ?? '') && next.uploadId === (after?.uploadId ?? '')) {
      throw new Problem('Corrupt', 'the server does not tell where its list goes on')
    }
    after = next
  }
}

async function abortUpload(
  connection: S3Connection,
  upload: Upload,
  signal: AbortSignal | undefined,
): Promise<void> {
  try {
    await connection.run(signal, (call) => connection.api.abortUpload(upload, call))
  } catch (error) {
    if (analyse(error).code !== 'NoSuchUpload') throw error
  }
}
