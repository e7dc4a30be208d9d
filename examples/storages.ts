import {
  type Content,
  defaultStorage,
  FileSystemStorage,
  prefixed,
  R2Storage,
  type R2StorageOptions,
  readOnly,
  readThrough,
  type Storage,
} from 'stowage'

/** One tenant's files, by names of their own. */
export async function saveForTenant(id: number, report: Content): Promise<string> {
  // #region prefixed
  const tenant = prefixed(defaultStorage, `tenants/${id}`)
  const name = await tenant.save('report.pdf', report) // in the default storage: tenants/7/report.pdf
  // #endregion
  return name
}

/** For a job that must not change anything. */
export function storageForJob(): Storage {
  // #region read-only
  const storage = readOnly(defaultStorage)
  // #endregion
  return storage
}

/** While `migrate` moves the files of a folder to R2. */
export function storageForMove(location: string, options: R2StorageOptions): Storage {
  // #region read-through
  const storage = readThrough(new R2Storage(options), new FileSystemStorage({ location }))
  // #endregion
  return storage
}
