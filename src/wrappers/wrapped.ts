import type { StorageDriver } from '../driver.js'
import { Problem } from '../errors.js'
import { driverOf, isStorage, Storage } from '../storage.js'

/**
 * A driver that is asked for at each use: the default storage may be replaced, and reads its environment only when it
 * is first used.
 */
export type Inner = () => StorageDriver

/** The driver of a storage that is to be wrapped. */
export function innerOf(storage: Storage): Inner {
  if (!isStorage(storage)) {
    throw new Problem('InvalidArgument', 'a storage is needed, such as a FileSystemStorage')
  }
  return () => driverOf(storage)
}

/** The storage of a wrapper's driver. */
export class WrappedStorage extends Storage {
  constructor(driver: StorageDriver) {
    super(driver)
  }
}
