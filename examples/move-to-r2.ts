import {
  compare,
  FileSystemStorage,
  type MigrateResult,
  migrate,
  R2Storage,
  type R2StorageOptions,
} from 'stowage'

export async function moveToR2(location: string, options: R2StorageOptions): Promise<MigrateResult> {
  // #region migrate
  const result = await migrate(new FileSystemStorage({ location }), new R2Storage(options), {
    verify: true, // reads every copy back and compares size and MD5
    onProgress: ({ copied, skipped, failed, name }) => console.log(copied, skipped, failed, name),
  })
  for (const { name, error } of result.failed) console.error(name, error.message)
  // #endregion
  return result
}

/** Names of files that are not alike on both sides. */
export async function differences(location: string, options: R2StorageOptions): Promise<string[]> {
  const found: string[] = []
  // #region check
  for await (const { name, status } of compare(new FileSystemStorage({ location }), new R2Storage(options))) {
    if (status !== 'same') found.push(`${status} ${name}`) // missing, extra, differs, error
  }
  // #endregion
  return found
}
