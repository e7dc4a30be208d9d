import { readFile } from 'node:fs/promises'
import {
  cloudflarePurge,
  compare,
  defaultExpiry,
  defaultStorage,
  diagnose,
  diagnoseEnvironment,
  expire,
  FileSystemStorage,
  mirror,
  monthlyCost,
  R2Storage,
  type R2StorageOptions,
  type Storage,
  sweep,
  undoable,
  usage,
  warm,
} from 'stowage'

/** What is stored, and what it costs a month in dollars. */
export async function bill() {
  // #region usage
  const found = await usage(defaultStorage)
  const { r2, s3 } = monthlyCost(found, { reads: 2_000_000, writes: 100_000, egressGb: 500 })
  console.log(found.files, found.bytes, found.types, r2.total, s3.total)
  // #endregion
}

export async function cleanUp(r2: R2Storage) {
  // #region expire
  await expire(defaultStorage, defaultExpiry, { dryRun: true }) // documents 90, voice_notes 30, tmp 7 days
  await expire(defaultStorage, [{ prefix: 'exports', days: 2 }]) // from a nightly job, on every backend
  await r2.setLifecycle(defaultExpiry) // or let the bucket do it
  await sweep(defaultStorage) // what crashes left more than a week ago
  // #endregion
}

export async function backUp(location: string) {
  // #region mirror
  const backup = new FileSystemStorage({ location })
  const { copied, deleted, failed } = await mirror(defaultStorage, backup, { maxDeletes: 100 })
  console.log(copied, deleted, failed)
  for await (const { name, status } of compare(defaultStorage, backup)) {
    if (status !== 'same') console.error(status, name)
  }
  // #endregion
}

/** Why does it not work? */
export async function examine() {
  // #region diagnose
  for (const { check, status, message } of diagnoseEnvironment()) console.log(status, check, message)
  for await (const { group, check, status, message, remedy } of diagnose(defaultStorage)) {
    if (status !== 'ok') console.log(status, group, check, message, remedy ?? '')
  }
  // #endregion
}

/** A row and its file end alike. `replaceRow` returns the name that the row had. */
export async function replaceDocument(path: string, replaceRow: (name: string) => Promise<string>) {
  // #region undoable
  const unit = undoable(defaultStorage)
  try {
    const name = await unit.save('documents/42/plan.pdf', await readFile(path))
    const before = await replaceRow(name) // a transaction of your database
    await unit.delete(before) // waits for the commit
  } catch (error) {
    await unit.rollback()
    throw error
  }
  await unit.commit()
  // #endregion
}

export function behindCloudflare(options: R2StorageOptions, zoneId: string, apiToken: string) {
  // #region purge
  const storage: Storage = new R2Storage({
    ...options,
    publicBaseUrl: 'https://cdn.example.com',
    purge: cloudflarePurge({ zoneId, apiToken }),
  })
  // #endregion
  return storage
}

export async function fillCache() {
  // #region warm
  const { files, cacheStatus, failed } = await warm(defaultStorage, { prefix: 'user_avatars' })
  console.log(files, cacheStatus, failed)
  // #endregion
  return { files }
}
