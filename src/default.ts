import { silence } from './content.js'
import { createDefaultStorage } from './create-storage.js'
import { ConfigurationError } from './errors.js'
import { DRIVER, driverOf, Storage } from './storage.js'

interface Shared {
  /** The storage of the environment, once it was made. */
  made?: Storage
  /** Storages that replace it. The last one is in use. */
  readonly set: { readonly storage: Storage }[]
}

/** Shared by the ESM and the CommonJS copy of this package. */
const shared = sharedState()

function sharedState(): Shared {
  const key = Symbol.for('stowage.defaultStorage')
  const found: unknown = Reflect.get(globalThis, key)
  if (isShared(found)) return found
  const made: Shared = { set: [] }
  Reflect.set(globalThis, key, made)
  return made
}

function isShared(value: unknown): value is Shared {
  return typeof value === 'object' && value !== null && 'set' in value && Array.isArray(value.set)
}

function current(): Storage {
  const latest = shared.set.at(-1)
  if (latest) return latest.storage
  shared.made ??= createDefaultStorage()
  return shared.made
}

/**
 * The storage of the application. Its first use reads the environment, see {@link createDefaultStorage}; the import does
 * not. Tests replace it with {@link setDefaultStorage}.
 *
 * @example
 * import { defaultStorage, documentPath } from 'stowage'
 * const name = await defaultStorage.save(documentPath(roomId, file.name), file)
 */
export const defaultStorage: Storage = new Proxy<Storage>(Object.create(Storage.prototype), {
  get(target, property) {
    if (property === DRIVER) return driverOf(current())
    if (property === 'toString') return describe
    // `then` of an await, `inspect` and properties that a test has set do not read the environment.
    if (typeof property === 'symbol' || PROBED.has(property) || (property in target && !isMethod(property))) {
      return Reflect.get(target, property)
    }
    if (property === 'url') return (name: string) => current().url(name)
    if (property === 'list') {
      return async function* (...options: Parameters<Storage['list']>) {
        yield* current().list(...options)
      }
    }
    if (!isMethod(property)) {
      const value: unknown = Reflect.get(current(), property)
      return typeof value === 'function' ? value.bind(current()) : value
    }
    // If the environment is wrong, a method rejects, as for every other error.
    return async (...given: unknown[]) => {
      if (property === 'save') silence(given[1])
      const storage = current()
      return Reflect.apply(Reflect.get(storage, property), storage, given)
    }
  },
})

/** Does not make the storage: a log line before the first use must not read the environment. */
function describe(): string {
  return String(shared.set.at(-1)?.storage ?? shared.made ?? 'defaultStorage, not used yet')
}

/** Whether a property is a method of `Storage` that no test has replaced. */
function isMethod(property: string | symbol): boolean {
  return (
    property !== 'constructor' &&
    property !== 'tee' && // It is synchronous, and made of `save`.
    Object.hasOwn(Storage.prototype, property) &&
    !Object.hasOwn(defaultStorage, property)
  )
}

/** Properties that the language and tools look up on every object. */
const PROBED: ReadonlySet<string> = new Set(['then', 'toJSON'])

/**
 * Replaces the default storage. Returns a function that removes this replacement again, in any order with others;
 * `using` works as well.
 *
 * @throws {ConfigurationError} if `storage` is not a storage.
 * @example
 * const restore = setDefaultStorage(new MemoryStorage())
 */
export function setDefaultStorage(storage: Storage): (() => void) & Disposable {
  if (storage === defaultStorage || typeof storage?.save !== 'function') {
    const reason = 'setDefaultStorage takes a storage, such as a MemoryStorage'
    throw new ConfigurationError({ operation: 'setDefaultStorage', reason })
  }
  const entry = { storage }
  shared.set.push(entry)
  const restore = () => {
    const index = shared.set.indexOf(entry)
    if (index !== -1) shared.set.splice(index, 1)
  }
  return Object.assign(restore, { [Symbol.dispose]: restore })
}
