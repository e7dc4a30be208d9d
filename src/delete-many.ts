import type { RemoveFailure } from './driver.js'
import { isProblem, Problem, SourceFailure } from './errors.js'
import { type Name, toName } from './names.js'

/** The most names of one DeleteObjects request. */
const BATCH = 1000
/** Batches in a row that fail as a whole before the server counts as out. Each one would wait for all of its retries. */
const GIVE_UP_AFTER = 2

/** One name that is still there, with the error as it was thrown. */
export interface Undeleted {
  readonly name: string
  readonly error: unknown
}

/** The outcome for every name. */
export interface Deletion {
  readonly deleted: string[]
  readonly failures: Undeleted[]
}

/** Deletes one batch; see `StorageDriver.remove`. */
type Remove = (names: readonly Name[]) => Promise<readonly RemoveFailure[]>

/**
 * Deletes any number of names. A batch that fails as a whole counts for each of its names, and the next batches are
 * tried all the same. Throws what failed a whole batch where nothing at all was deleted.
 */
export async function deleteAll(
  names: Iterable<string> | AsyncIterable<string>,
  limit: number,
  remove: Remove,
  signal: AbortSignal | undefined,
): Promise<Deletion> {
  const deleted: string[] = []
  const failures: Undeleted[] = []
  let general: { readonly error: unknown } | undefined
  let failedInARow = 0
  const removeBatch = async (batch: readonly Name[]): Promise<readonly RemoveFailure[]> => {
    try {
      if (general && failedInARow === GIVE_UP_AFTER) throw general.error
      const failed = await remove(batch)
      failedInARow = 0
      return failed
    } catch (error) {
      if (signal?.aborted) throw error
      general ??= { error }
      failedInARow = Math.min(GIVE_UP_AFTER, failedInARow + 1)
      return batch.map((name) => ({ name, error }))
    }
  }
  for await (const { valid, invalid } of batchesOf(names, limit)) {
    signal?.throwIfAborted()
    failures.push(...invalid)
    if (valid.length === 0) continue
    const failed = await removeBatch(valid)
    failures.push(...failed)
    const remaining = new Set(failed.map(({ name }) => name))
    for (const name of valid) if (!remaining.has(name)) deleted.push(name)
  }
  if (general && deleted.length === 0) throw general.error
  return { deleted, failures }
}

interface Batch {
  readonly valid: readonly Name[]
  readonly invalid: readonly Undeleted[]
}

/** Names in batches. All names of a plain iterable are checked first; those of an async iterable as they come. */
async function* batchesOf(
  names: Iterable<string> | AsyncIterable<string>,
  limit: number,
): AsyncIterable<Batch> {
  if (
    typeof names !== 'object' ||
    names === null ||
    !(Symbol.iterator in names || Symbol.asyncIterator in names)
  ) {
    throw new Problem('InvalidArgument', 'deleteMany takes an array or another iterable of names')
  }
  if (!(Symbol.asyncIterator in names)) {
    const all = collect(names).map((name) => toName(name, limit))
    for (let start = 0; start < all.length; start += BATCH) {
      yield { valid: all.slice(start, start + BATCH), invalid: [] }
    }
    return
  }
  let valid: Name[] = []
  let invalid: Undeleted[] = []
  for await (const name of fromSource(names)) {
    try {
      valid.push(toName(name, limit))
    } catch (error) {
      if (!isProblem(error)) throw error
      invalid.push({ name: String(name), error })
    }
    if (valid.length === BATCH) {
      yield { valid, invalid }
      valid = []
      invalid = []
    }
  }
  yield { valid, invalid }
}

/** Passes an error of the caller's own iterable through unchanged. */
async function* fromSource<T>(source: AsyncIterable<T>): AsyncIterable<T> {
  try {
    yield* source
  } catch (error) {
    throw new SourceFailure(error)
  }
}

function collect<T>(source: Iterable<T>): T[] {
  try {
    return [...source]
  } catch (error) {
    throw new SourceFailure(error)
  }
}
