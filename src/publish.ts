import { hasFile, type Staged, type StorageDriver } from './driver.js'
import { Problem } from './errors.js'
import { alternativeName, type Name } from './names.js'
import { contextOf, wrap } from './operation.js'
import type { IfExists } from './types.js'

/** Names that are tried for one save before it gives up. */
const RENAME_ATTEMPTS = 100

/** The collision loop. Only the write itself finds out that a name is taken, so no other writer can come between. */
export async function publish(
  driver: StorageDriver,
  staged: Staged,
  target: Name,
  ifExists: IfExists,
  signal: AbortSignal | undefined,
): Promise<Name> {
  try {
    let name = target
    for (let attempt = 0; attempt < RENAME_ATTEMPTS; attempt++) {
      signal?.throwIfAborted()
      if (await staged.publish(name, ifExists !== 'overwrite')) return name
      if (ifExists === 'error') throw new Problem('AlreadyExists', `${JSON.stringify(target)} already exists`)
      name = alternativeName(target, driver.nameLimit)
    }
    throw noFreeName()
  } finally {
    await staged.discard()
  }
}

/** A name that is free now, for somebody who writes later. */
export async function freeName(
  driver: StorageDriver,
  target: Name,
  signal: AbortSignal | undefined,
): Promise<Name> {
  let name = target
  for (let attempt = 0; attempt < RENAME_ATTEMPTS; attempt++) {
    if (!(await isKnown(driver, name, signal))) return name
    name = alternativeName(target, driver.nameLimit)
  }
  throw noFreeName()
}

/** Where the backend must not say whether there is a file, the upload finds out. */
async function isKnown(driver: StorageDriver, name: Name, signal: AbortSignal | undefined): Promise<boolean> {
  try {
    return await hasFile(driver, name, signal)
  } catch (error) {
    const { code } = wrap(driver, error, contextOf(driver, 'signedUpload', name))
    if (code !== 'PermissionDenied' || signal?.aborted) throw error
    return false
  }
}

function noFreeName(): Problem {
  return new Problem('Unknown', `no free name was found in ${RENAME_ATTEMPTS} attempts`)
}
