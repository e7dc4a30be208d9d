import { type DeleteFailure, isStorageError, Problem, SourceFailure } from './errors.js'
import { type Name, toName } from './names.js'

/** What one DeleteObjects request takes. */
const DELETE_BATCH = 1000

/** Names in batches of what one request takes. A bad name of an async iterable comes too late to refuse everything. */
export async function* batchesOf(
  names: Iterable<string> | AsyncIterable<string>,
  limit: number,
): AsyncIterable<{ valid: readonly Name[]; invalid: readonly DeleteFailure[] }> {
  if (
    typeof names !== 'object' ||
    names === null ||
    !(Symbol.iterator in names || Symbol.asyncIterator in names)
  ) {
    throw new Problem('InvalidArgument', 'deleteMany takes an array or another iterable of names')
  }
  if (!(Symbol.asyncIterator in names)) {
    const all = collect(names).map((name) => toName(name, 'deleteMany', limit))
    for (let start = 0; start < all.length; start += DELETE_BATCH) {
      yield { valid: all.slice(start, start + DELETE_BATCH), invalid: [] }
    }
    return
  }
  let valid: Name[] = []
  let invalid: DeleteFailure[] = []
  for await (const name of fromSource(names)) {
    try {
      valid.push(toName(name, 'deleteMany', limit))
    } catch (error) {
      if (!isStorageError(error)) throw error
      invalid.push({ name: String(name), error })
    }
    if (valid.length === DELETE_BATCH) {
      yield { valid, invalid }
      valid = []
      invalid = []
    }
  }
  yield { valid, invalid }
}

/** An error of the caller's own iterable reaches the caller as it is. */
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
