/** Code of the troubleshooting guide. */
import { defaultStorage, isStorageError, R2Storage, type R2StorageOptions, type S3Storage } from 'stowage'

export async function look(): Promise<string> {
  // #region look
  try {
    await defaultStorage.exists('any.txt')
  } catch (error) {
    if (!isStorageError(error)) throw error
    console.error(error.code, error.message, error.cause)
  }
  const which = String(defaultStorage) // R2Storage(chat-files), or FileSystemStorage(/srv/app/uploads)
  // #endregion
  return which
}

export function withLargerParts(options: R2StorageOptions): R2Storage {
  // #region larger-parts
  const storage = new R2Storage({ ...options, partSize: 16 * 1024 * 1024, uploadConcurrency: 8 })
  // #endregion
  return storage
}

export async function allowBrowsers(bucket: S3Storage): Promise<void> {
  // #region cors
  await bucket.setCors({ origins: ['https://app.example.com', 'http://localhost:5173'] })
  // #endregion
}
