/** A process among several that use one storage: `node worker.mjs <job as JSON>`. Prints what it did, as JSON. */
import { FileSystemStorage, isStorageError, R2Storage, S3Storage, type Storage } from 'stowage'
import type { StorageChoice } from '../../integration/child/programs.js'
import { randomFrom } from '../form.js'
import type { Operation } from '../history.js'
import { attributesOf, faultOf, textOf, toVersion, Unwhole, type Version, versionAt } from '../version.js'

export interface WorkerJob {
  readonly storage: StorageChoice
  readonly who: string
  readonly seed: number
  readonly ms: number
}

const NAMES = ['hot/a.txt', 'hot/b.txt', 'hot/deep/c.txt', 'hot/deep/d.bin', 'cold/e.txt']
const FOLDER = 'hot/deep'

export function storageOf(choice: StorageChoice): Storage {
  if (choice.kind === 'filesystem') return new FileSystemStorage(optionsOf(choice))
  return choice.kind === 'r2' ? new R2Storage(optionsOf(choice)) : new S3Storage(optionsOf(choice))
}

function optionsOf<Choice extends { kind: string }>({ kind: _, ...options }: Choice): Omit<Choice, 'kind'> {
  return options
}

/** One operation, timed. */
export async function timed(name: string, work: () => Promise<object>): Promise<Operation> {
  const start = Number(process.hrtime.bigint())
  const done = await work().catch((error: unknown) => ({ do: 'fail', name, reason: String(error) }))
  return { start, end: Number(process.hrtime.bigint()), name, ...done } as Operation // Each caller says what it is.
}

export async function read(storage: Storage, name: string): Promise<Operation> {
  return timed(name, async () => ({ do: 'read', version: await versionAt(storage, name) }))
}

export async function list(storage: Storage, folder: string): Promise<Operation> {
  return timed(folder, async () => {
    const files: [string, number][] = []
    for await (const { name, size } of storage.list(folder)) files.push([name, size])
    return { do: 'list', files }
  })
}

async function write(
  name: string,
  what: object,
  createOnly: boolean,
  work: () => Promise<string>,
): Promise<Operation> {
  return timed(name, async () => {
    const got = await work().catch((error: unknown) => {
      const code = isStorageError(error) ? error.code : ''
      if (code === 'AlreadyExists' || code === 'NotFound') return { refused: code }
      if (String(error).includes('the source was replaced while it was copied')) return null
      throw error
    })
    return got === null ? { do: 'busy' } : { ...what, createOnly, got }
  })
}

async function stat(storage: Storage, name: string): Promise<Operation> {
  return timed(name, async () => {
    try {
      const info = await storage.stat(name)
      const { version } = info.metadata
      // Of a plain file only its content tells the version.
      if (version === undefined) return { do: 'exists', there: true }
      const fault = faultOf(version, info)
      if (fault !== undefined) throw new Unwhole(`${name}: ${fault}`)
      return { do: 'read', version }
    } catch (error) {
      if (isStorageError(error) && error.code === 'NotFound') return { do: 'exists', there: false }
      throw error
    }
  })
}

async function run({ storage: choice, who, seed, ms }: WorkerJob): Promise<Operation[]> {
  const storage = storageOf(choice)
  const random = randomFrom(seed)
  const pick = <T>(items: readonly T[], otherwise: T): T =>
    items[Math.floor(random() * items.length)] ?? otherwise
  /** Names beside those of everybody, which only this process knows. */
  let own: string[] = []
  const operations: Operation[] = []
  await storage.exists('warm/up.txt') // The client is loaded only now.
  const end = Date.now() + ms
  for (let index = 0; Date.now() < end; index++) {
    const name = random() < 0.2 ? pick(own, 'hot/a.txt') : pick(NAMES, 'hot/a.txt')
    const kind = random()
    const ifExists = pick(['rename', 'overwrite', 'error'] as const, 'rename')
    const createOnly = ifExists !== 'overwrite'
    let done: Operation
    if (kind < 0.3) done = await read(storage, name)
    else if (kind < 0.38) done = await stat(storage, name)
    else if (kind < 0.42) done = await list(storage, pick(['', 'hot', FOLDER], ''))
    else if (kind < 0.68) {
      const version: Version = toVersion(random() < 0.7, index, who)
      const what = { do: 'save', version }
      const target = pick(NAMES, 'hot/a.txt')
      const options = { ifExists, ...attributesOf(version) }
      done = await write(target, what, createOnly, () => storage.save(target, textOf(version), options))
    } else if (kind < 0.84) {
      const call = random() < 0.5 ? 'copy' : 'move'
      const target = pick(
        NAMES.filter((each) => each !== name),
        'cold/e.txt',
      )
      const what = { do: call, from: name }
      done = await write(target, what, createOnly, () => storage[call](name, target, { ifExists }))
    } else if (kind < 0.97 || own.length > 20) {
      const doomed = own.length > 20 ? pick(own, name) : name
      done = await timed(doomed, async () => storage.delete(doomed).then(() => ({ do: 'delete' })))
      own = own.filter((each) => each !== doomed)
    } else {
      done = await timed(FOLDER, async () =>
        storage.deletePrefix(FOLDER).then(() => ({ do: 'deletePrefix' })),
      )
    }
    if ('got' in done && typeof done.got === 'string' && !NAMES.includes(done.got)) own.push(done.got)
    operations.push(done)
  }
  return operations
}

if (process.argv[2] !== undefined) {
  const operations = await run(JSON.parse(process.argv[2]))
  process.stdout.write(JSON.stringify(operations), () => process.exit(0))
}
