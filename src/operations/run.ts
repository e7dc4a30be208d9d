import type { StorageDriver } from '../driver.js'
import { inContext, Problem } from '../errors.js'
import { perform } from '../operation.js'
import { checkOptions, type OptionNames } from '../options.js'
import { driverOf, isStorage, type Storage } from '../storage.js'
import type { AbortOptions } from '../types.js'

/** Seconds of a day. */
export const DAY = 86_400
/** The most names of one DeleteObjects request, and of one question to a database. */
export const BATCH = 1000

/** An operation on a storage, and the names of its options. */
export interface Operation<Options> {
  /** The public function. */
  readonly name: string
  /** The options that it knows. */
  readonly known: OptionNames<Options>
}

/** The driver of what an operation is given, which may be no storage. */
export function toDriver(operation: string, storage: Storage): StorageDriver {
  return inContext({ operation }, () => {
    if (!isStorage(storage)) {
      throw new Problem('InvalidArgument', 'a storage is needed, such as an R2Storage')
    }
    return driverOf(storage)
  })
}

/** Runs an operation on a storage, as the storage runs its own. */
export async function run<Options extends AbortOptions, T>(
  { name, known }: Operation<Options>,
  storage: Storage,
  options: Options,
  work: (signal: AbortSignal | undefined, driver: StorageDriver) => Promise<T>,
): Promise<T> {
  const driver = toDriver(name, storage)
  return perform(driver, name, undefined, options, async (signal) => {
    checkOptions(options, known)
    return work(signal, driver)
  })
}
