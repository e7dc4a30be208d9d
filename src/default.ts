import { silence } from './content.js'
import { createDefaultStorage } from './create-storage.js'
import { ConfigurationError } from './errors.js'
import { BEHIND, DRIVER, driverOf, Storage } from './storage.js'

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

/** The methods of every storage, passed on. They need no receiver, so they may be detached and spied on. */
const methods: Storage = Object.create(Storage.prototype)
for (const method of Object.getOwnPropertyNames(Storage.prototype)) {
  if (method === 'constructor' || method === 'tee') continue // `tee` is synchronous, and made of `save`.
  Object.defineProperty(methods, method, { value: passedOn(method), writable: true, configurable: true })
}

function passedOn(method: string): unknown {
  if (method === 'toString') return describe
  if (method === 'url') return (name: string) => current().url(name)
  if (method === 'list') {
    return async function* (...options: Parameters<Storage['list']>) {
      yield* current().list(...options)
    }
  }
  // If the environment is wrong, a method rejects, as for every other error.
  return async (...given: unknown[]) => {
    if (method === 'save') silence(given[1])
    const storage = current()
    return Reflect.apply(Reflect.get(storage, method), storage, given)
  }
}

/**
 * The storage of the application. Its first use reads the environment, see {@link createDefaultStorage}; the import does
 * not. Tests replace it with {@link setDefaultStorage}.
 *
 * @example
 * import { defaultStorage, documentPath } from 'stowage'
 * const name = await defaultStorage.save(documentPath(roomId, file.name), file)
 */
export const defaultStorage: Storage = new Proxy<Storage>(Object.create(methods), {
  get(target, property) {
    if (property === DRIVER) return driverOf(current())
    if (property === BEHIND) return current()
    // `then` of an await, `inspect` and properties that a test has set do not read the environment.
    if (typeof property === 'symbol' || PROBED.has(property) || property in target) {
      return Reflect.get(target, property)
    }
    const value: unknown = Reflect.get(current(), property)
    return typeof value === 'function' ? value.bind(current()) : value
  },
})

/** Does not make the storage: a log line before the first use must not read the environment. */
function describe(): string {
  return String(shared.set.at(-1)?.storage ?? shared.made ?? 'defaultStorage, not used yet')
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
