import { inContext, isProblem, isStorageError, Problem, StorageError, toStorageError } from '../errors.js'
import { checkOptions, type OptionNames, toSignal } from '../options.js'
import { isStorage, type Storage } from '../storage.js'
import type { AbortOptions } from '../types.js'

/** Seconds of a day. */
export const DAY = 86_400
/** Seconds of a week: the default age of everything that is cleaned up. */
export const WEEK = 7 * DAY
/** The most names of one DeleteObjects request, and of one question to a database. */
export const BATCH = 1000

/** An operation on a storage, and the names of its options. */
export interface Operation<Options> {
  /** The public function. */
  readonly name: string
  /** The options that it knows. */
  readonly known: OptionNames<Options>
}

/** Checks what every operation is given: a storage, and options that it knows. Returns the signal. */
export function begin<Options extends AbortOptions>(
  { name, known }: Operation<Options>,
  storage: Storage,
  options: Options,
): AbortSignal | undefined {
  return inContext({ operation: name }, () => {
    if (!isStorage(storage)) throw new Problem('InvalidArgument', 'a storage is needed, such as an R2Storage')
    const signal = toSignal(options)
    checkOptions(options, known)
    return signal
  })
}

/** Runs an operation: what it throws of its own becomes a `StorageError`; an abort becomes `Aborted`. */
export async function run<Options extends AbortOptions, T>(
  operation: Operation<Options>,
  storage: Storage,
  options: Options,
  work: (signal: AbortSignal | undefined) => Promise<T>,
): Promise<T> {
  const signal = begin(operation, storage, options)
  try {
    signal?.throwIfAborted()
    return await work(signal)
  } catch (error) {
    throw explain(operation.name, storage, error, signal)
  }
}

/** The public error of an operation. Foreign errors, such as those of a callback, stay as they are. */
export function explain(
  operation: string,
  storage: Storage,
  error: unknown,
  signal: AbortSignal | undefined,
): unknown {
  const context = { operation, storage: String(storage) }
  if (signal?.aborted && !(isStorageError(error) && error !== signal.reason)) {
    const reason = 'aborted by the caller'
    return new StorageError('Aborted', { ...context, reason, cause: signal.reason })
  }
  return isProblem(error) ? toStorageError(error, context) : error
}

/** Checks an age in seconds. The default is a week. */
export function toAge(olderThan: number | undefined, least = 0): number {
  const age = olderThan ?? WEEK
  if (!Number.isSafeInteger(age) || age < least) {
    throw new Problem('InvalidArgument', `olderThan must be a whole number of seconds, ${least} or more`)
  }
  return age
}
