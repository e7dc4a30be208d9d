import type { Bytes, StoredFile } from '../stored-file.js'

/** A file of at most so many bytes is read in one piece, and sent by one request. */
export const SMALL_FILE = 1024 * 1024

/** All bytes of a file. An abort ends the wait at once, even if the storage stalls. */
export function readBytes(file: StoredFile, signal: AbortSignal): Promise<Bytes> {
  return new Promise((resolve, reject) => {
    const onAbort = () => {
      void file.close()
      reject(signal.reason)
    }
    if (signal.aborted) return onAbort()
    signal.addEventListener('abort', onAbort)
    file
      .bytes()
      .then(resolve, reject)
      .finally(() => signal.removeEventListener('abort', onAbort))
  })
}
