import { hasFile, type StageCopyRequest, type Staged, type StorageDriver } from './driver.js'
import { Problem, SourceFailure } from './errors.js'
import { alternativeName, type Name, seededSuffix } from './names.js'
import { contextOf, wrap } from './operation.js'
import type { IfExists } from './types.js'

/** Names that are tried for one save before it gives up. */
const RENAME_ATTEMPTS = 100

/**
 * The collision loop. Only the write itself finds out that a name is taken, so no other writer can come between.
 * `seed`: see {@link candidates}.
 */
export async function publish(
  driver: StorageDriver,
  staged: Staged,
  target: Name,
  ifExists: IfExists,
  signal: AbortSignal | undefined,
  seed?: string,
): Promise<Name> {
  try {
    for (const name of candidates(driver, target, seed)) {
      signal?.throwIfAborted()
      if (await staged.publish(name, ifExists !== 'overwrite')) return name
      if (ifExists === 'error') throw new Problem('AlreadyExists', `${JSON.stringify(target)} already exists`)
    }
    throw noFreeName()
  } finally {
    await staged.discard()
  }
}

/** The names that are tried, in their order: the target, then alternatives. `seed`: the same ones each time. */
export function* candidates(driver: StorageDriver, target: Name, seed?: string): Generator<Name> {
  yield target
  for (let attempt = 0; attempt < RENAME_ATTEMPTS - 1; attempt++) {
    const suffix = seed === undefined ? undefined : seededSuffix(`${seed}/${attempt}`)
    yield alternativeName(target, driver.nameLimit, suffix)
  }
}

/** Prepares a copy. Its source is a file of the storage itself, so the errors of the source are the storage's. */
export async function stageCopy(driver: StorageDriver, request: StageCopyRequest): Promise<Staged> {
  return driver.stageCopy(request).catch((error: unknown) => {
    throw error instanceof SourceFailure ? error.cause : error
  })
}

/** A name that is free now, for somebody who writes later. */
export async function freeName(
  driver: StorageDriver,
  target: Name,
  signal: AbortSignal | undefined,
): Promise<Name> {
  for (const name of candidates(driver, target)) {
    if (!(await isKnown(driver, name, signal))) return name
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
