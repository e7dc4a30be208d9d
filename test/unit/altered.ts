import { driverOf, type StorageDriver } from 'stowage'
import { Storage } from '../../src/storage.js'

class AlteredStorage extends Storage {
  constructor(driver: StorageDriver) {
    super(driver)
  }
}

/**
 * The same files, by a driver of which some methods are replaced. Each replacement is given the driver that it alters.
 *
 * @example altered(new MemoryStorage(), (inner) => ({ stage: (request) => delayed(() => inner.stage(request)) }))
 */
export function altered(storage: Storage, change: (inner: StorageDriver) => Partial<StorageDriver>): Storage {
  const inner = driverOf(storage)
  const changes = change(inner)
  const driver = new Proxy(inner, {
    get: (_, method) => {
      if (method in changes) return Reflect.get(changes, method)
      const value: unknown = Reflect.get(inner, method)
      return typeof value === 'function' ? value.bind(inner) : value // Private fields want their own object.
    },
  })
  return new AlteredStorage(driver)
}
