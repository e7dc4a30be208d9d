/** The storages that every operation is tried on. */
import { utimes } from 'node:fs/promises'
import {
  driverOf,
  FileSystemStorage,
  MemoryStorage,
  prefixed,
  R2Storage,
  readThrough,
  type Storage,
} from 'stowage'
import { newFolder } from '../integration/child/folders.js'
import { AS_R2, optionsOf, startStrictR2 } from '../servers/r2.js'
import { altered } from '../unit/altered.js'

/** A storage whose files can be made older. */
export interface Aged {
  readonly storage: Storage
  /** Makes a file look as if it was written this many seconds ago. */
  age(name: string, seconds: number): Promise<void>
  close(): Promise<void>
}

const nothing = async () => {}

/** Listings of this storage say what `age` was told. For backends whose times cannot be set. */
function withAges(base: Storage): Pick<Aged, 'storage' | 'age'> {
  const ages = new Map<string, Date>()
  const storage = altered(base, (inner) => ({
    async *list(...given) {
      for await (const batch of inner.list(...given)) {
        yield batch.map((file) => ({ ...file, lastModified: ages.get(file.name) ?? file.lastModified }))
      }
    },
  }))
  return {
    storage,
    age: async (name, seconds) => {
      ages.set(name, new Date(Date.now() - seconds * 1000))
    },
  }
}

async function onDisk(): Promise<Aged> {
  const storage = new FileSystemStorage({ location: await newFolder(), fsync: false })
  const age = async (name: string, seconds: number) => {
    const time = Date.now() / 1000 - seconds
    await utimes(storage.path(name), time, time)
  }
  return { storage, age, close: nothing }
}

async function onR2(fastPath: boolean): Promise<Aged> {
  const server = await startStrictR2()
  const options = { ...optionsOf(server), ...AS_R2, bucket: 'test-bucket', prefix: 'app', fastPath }
  return { ...withAges(new R2Storage(options)), close: () => server.stop() }
}

/** By name: how to make each of them. */
export const STORAGES: [string, () => Promise<Aged>][] = [
  ['disk', onDisk],
  ['memory', async () => ({ ...withAges(new MemoryStorage()), close: nothing })],
  ['R2', () => onR2(true)],
  ['R2 by the SDK', () => onR2(false)],
  [
    'prefixed',
    async () => {
      const { storage, age, close } = await onDisk()
      return { storage: prefixed(storage, 't/7'), age: (name, seconds) => age(`t/7/${name}`, seconds), close }
    },
  ],
  [
    'readThrough',
    async () => ({ ...withAges(readThrough(new MemoryStorage(), new MemoryStorage())), close: nothing }),
  ],
]

/** All names, in order. */
export async function namesIn(storage: Storage, prefix?: string): Promise<string[]> {
  const names: string[] = []
  for await (const { name } of storage.list(prefix)) names.push(name)
  return names
}

/** A storage that lists what it is told and has nothing. */
export function listing(files: Iterable<{ name: string; size?: number; lastModified?: Date }>): Storage {
  return altered(new MemoryStorage(), () => ({
    async *list() {
      for (const { name, size = 1, lastModified = new Date(0) } of files) {
        yield [{ name, size, lastModified, etag: '"x"' }]
      }
    },
  }))
}

/** Deletes of these names fail. */
export function failingDeletes(storage: Storage, isBroken: (name: string) => boolean): Storage {
  return altered(storage, (inner) => ({
    async remove(names, signal) {
      const broken = names.filter(isBroken)
      const failures = await inner.remove(
        names.filter((name) => !isBroken(name)),
        signal,
      )
      return [...failures, ...broken.map((name) => ({ name, error: new Error('the disk is broken') }))]
    },
    classify: (error) => driverOf(new MemoryStorage()).classify(error),
  }))
}
