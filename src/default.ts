import { FileSystemStorage } from './backends/filesystem.js'
import { R2Storage } from './backends/r2.js'
import { silence } from './content.js'
import { toEndpoint, toPublicBaseUrl } from './drivers/s3/options.js'
import { ConfigurationError, inContext, Problem } from './errors.js'
import { DRIVER, driverOf, Storage } from './storage.js'
import { readThrough } from './wrappers/read-through.js'

/** Environment variables, as in `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>

/**
 * Makes the storage that the environment selects. With `R2_ENABLED=1` and the `R2_*` variables it is R2, otherwise the
 * folder `MEDIA_ROOT` on the filesystem. With R2 and `R2_FALLBACK_ROOT`, files that are not in R2 yet are read from that
 * folder: see {@link readThrough}. Empty variables count as unset.
 *
 * @throws {ConfigurationError} if variables are missing or malformed. It names all of them, and never a secret.
 */
export function createDefaultStorage(env: Environment = process.env): Storage {
  return inContext({ operation: 'createDefaultStorage' }, () => create(env))
}

function create(env: Environment): Storage {
  const read = (variable: string) => env[variable]?.trim() || undefined
  if (!isEnabled(read('R2_ENABLED'))) {
    const signingSecret = read('STORAGE_SIGNING_SECRET')
    if (signingSecret !== undefined && Buffer.byteLength(signingSecret) < 32) {
      throw new Problem('Misconfigured', 'STORAGE_SIGNING_SECRET must have 32 bytes or more')
    }
    return new FileSystemStorage({ location: read('MEDIA_ROOT'), baseUrl: read('MEDIA_URL'), signingSecret })
  }
  const missing: string[] = []
  const need = (variable: string) => {
    const value = read(variable)
    if (value === undefined) missing.push(variable)
    return value ?? ''
  }
  const accessKeyId = need('R2_ACCESS_KEY_ID')
  const secretAccessKey = need('R2_SECRET_ACCESS_KEY')
  const bucket = need('R2_BUCKET_NAME')
  const endpoint = need('R2_ENDPOINT_URL')
  if (missing.length > 0) {
    const verb = missing.length > 1 ? 'are' : 'is'
    const advice = 'set them, or unset R2_ENABLED to keep files on the disk'
    throw new Problem(
      'Misconfigured',
      `R2_ENABLED is on, but ${missing.join(', ')} ${verb} not set: ${advice}`,
    )
  }
  const storage = new R2Storage({
    accessKeyId,
    secretAccessKey,
    bucket,
    endpoint: toEndpoint(endpoint, bucket, 'R2_ENDPOINT_URL'),
    region: read('R2_REGION'),
    sessionToken: read('R2_SESSION_TOKEN'),
    prefix: read('R2_PREFIX'),
    cacheControl: read('R2_CACHE_CONTROL'),
    publicBaseUrl: toPublicBaseUrl(read('R2_PUBLIC_BASE_URL'), 'R2_PUBLIC_BASE_URL'),
  })
  const older = read('R2_FALLBACK_ROOT')
  return older === undefined ? storage : readThrough(storage, new FileSystemStorage({ location: older }))
}

const SWITCH = new Map(Object.entries({ 1: true, true: true, yes: true, 0: false, false: false, no: false }))

function isEnabled(value: string | undefined): boolean {
  const enabled = value === undefined ? false : SWITCH.get(value.toLowerCase())
  if (enabled === undefined) {
    throw new Problem(
      'Misconfigured',
      'R2_ENABLED must be 1, true or yes for R2, or 0, false, no or unset for the filesystem',
    )
  }
  return enabled
}

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
