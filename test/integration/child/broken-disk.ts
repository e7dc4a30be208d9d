/** Every operation, again and again, on a disk of which another call fails each time. */
import { mkdir, readdir, readlink, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import type { FileSystemStorage } from 'stowage'
import { failingAny } from './faults.js'

const OLD = { metadata: { version: 'old' } }
const NEW = { metadata: { version: 'new' } }
const overwrite = { ifExists: 'overwrite' } as const

interface Operation {
  before?(storage: FileSystemStorage): Promise<unknown>
  run(storage: FileSystemStorage): Promise<unknown>
  /** What there is afterwards if it succeeds, by name: content and version. */
  readonly after: Readonly<Record<string, string>>
  /** Whether it may fail when it is done: what was replaced or removed cannot be brought back, but it may not last. */
  readonly final?: true
  /** What else there may be if it fails. */
  readonly halfway?: Readonly<Record<string, string>>
}

const saveOld = (storage: FileSystemStorage) => storage.save('t/a.txt', 'old', OLD)
const saveSource = (storage: FileSystemStorage) => storage.save('from/x.txt', 'new', NEW)
async function* chunks() {
  yield 'n'
  yield 'ew'
}

export const operations: Readonly<Record<string, Operation>> = {
  'save of a plain file': {
    run: (storage) => storage.save('t/a.txt', 'new'),
    after: { 't/a.txt': 'new' },
  },
  'save with metadata': {
    run: (storage) => storage.save('t/u/a.txt', 'new', NEW),
    after: { 't/u/a.txt': 'new, new' },
  },
  'save into an empty folder': {
    before: (storage) => mkdir(storage.path('t')),
    run: (storage) => storage.save('t/a.txt', 'new', NEW),
    after: { 't/a.txt': 'new, new' },
  },
  'save of a stream': {
    run: (storage) => storage.save('t/u/a.txt', chunks(), NEW),
    after: { 't/u/a.txt': 'new, new' },
  },
  'save over a file': {
    before: saveOld,
    run: (storage) => storage.save('t/a.txt', 'new', { ...NEW, ...overwrite }),
    after: { 't/a.txt': 'new, new' },
    final: true,
  },
  'save of a plain file over one with metadata': {
    before: saveOld,
    run: (storage) => storage.save('t/a.txt', 'new', overwrite),
    after: { 't/a.txt': 'new' },
    final: true,
  },
  copy: {
    before: saveSource,
    run: (storage) => storage.copy('from/x.txt', 't/a.txt'),
    after: { 'from/x.txt': 'new, new', 't/a.txt': 'new, new' },
  },
  'copy over a file': {
    before: async (storage) => [await saveOld(storage), await saveSource(storage)],
    run: (storage) => storage.copy('from/x.txt', 't/a.txt', overwrite),
    after: { 'from/x.txt': 'new, new', 't/a.txt': 'new, new' },
    final: true,
  },
  move: {
    before: saveSource,
    run: (storage) => storage.move('from/x.txt', 't/a.txt'),
    after: { 't/a.txt': 'new, new' },
    final: true,
  },
  'move to another extension': {
    before: (storage) => storage.save('from/x.png', 'new'),
    run: (storage) => storage.move('from/x.png', 't/a.txt'),
    after: { 't/a.txt': 'new' },
    final: true,
  },
  'move over a file': {
    before: async (storage) => [await saveOld(storage), await saveSource(storage)],
    run: (storage) => storage.move('from/x.txt', 't/a.txt', overwrite),
    after: { 't/a.txt': 'new, new' },
    final: true,
    halfway: { 'from/x.txt': 'new, new', 't/a.txt': 'new, new' },
  },
  delete: { before: saveOld, run: (storage) => storage.delete('t/a.txt'), after: {}, final: true },
  open: {
    before: saveOld,
    run: async (storage) => (await storage.open('t/a.txt')).bytes(),
    after: { 't/a.txt': 'old, old' },
  },
  stat: {
    before: saveOld,
    run: (storage) => storage.stat('t/a.txt'),
    after: { 't/a.txt': 'old, old' },
  },
  exists: {
    before: saveOld,
    run: (storage) => storage.exists('t/a.txt'),
    after: { 't/a.txt': 'old, old' },
  },
}

export interface Failure {
  /** The call that failed. */
  readonly call: string
  readonly rejected: boolean
  /** Of the error that it rejected with. */
  readonly message: string
  readonly before: Readonly<Record<string, string>>
  readonly after: Readonly<Record<string, string>>
  /** Folders that came or went. */
  readonly folders: readonly string[]
  /** Temporary files and open descriptors that are left. */
  readonly left: readonly string[]
}

/** One for each call of the operation. */
export async function failEachCallOf(name: string, parent: string): Promise<Failure[]> {
  const faults = failingAny()
  const { FileSystemStorage } = await import('stowage')
  const operation = operations[name]
  if (!operation) throw new Error(`no operation ${name}`)
  const failures: Failure[] = []
  for (let nth = 1; ; nth++) {
    const location = join(parent, String(nth))
    const quick = new FileSystemStorage({ location, fsync: false })
    await quick.save('warm-up.txt', 'x')
    await operation.before?.(quick)
    await swept(location)
    const storage = new FileSystemStorage({ location })
    const before = await stateOf(storage)
    const foldersBefore = await foldersIn(location)
    faults.arm(nth)
    const message = await operation.run(storage).then(
      () => undefined,
      (error: Error) => error.message,
    )
    const rejected = message !== undefined
    const call = faults.disarm()
    if (call === undefined) return failures
    const after = await stateOf(storage)
    const folders = difference(foldersBefore, await foldersIn(location))
    for (let turns = 0; turns < 100 && (await openIn(location)).length > 0; turns++) await turn()
    const left = [...(await temporaryFilesIn(location)), ...(await openIn(location))]
    failures.push({
      call: call.replace(location, ''),
      rejected,
      message: message ?? '',
      before,
      after,
      folders,
      left,
    })
    await rm(location, { recursive: true })
  }
}

/** Until the sweep of the first save is over. */
async function swept(location: string): Promise<void> {
  while (!(await readdir(join(location, '.stowage'))).includes('swept')) await turn()
}

async function stateOf(storage: FileSystemStorage): Promise<Record<string, string>> {
  const state: Record<string, string> = {}
  for await (const { name } of storage.list()) {
    if (name === 'warm-up.txt') continue
    const file = await storage.open(name)
    state[name] = [await file.text(), ...Object.values(file.metadata)].join(', ')
  }
  return state
}

async function foldersIn(location: string): Promise<string[]> {
  const entries = await readdir(location, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(location.length + 1))
    .filter((path) => !path.startsWith('.stowage'))
}

function difference(some: readonly string[], others: readonly string[]): string[] {
  return [...some.filter((each) => !others.includes(each)), ...others.filter((each) => !some.includes(each))]
}

async function temporaryFilesIn(location: string): Promise<string[]> {
  return (await readdir(join(location, '.stowage/tmp'))).map((name) => `temporary file ${name}`)
}

/** What this process has open below a folder, but for what is just being closed. Only Linux tells. */
async function openIn(location: string): Promise<string[]> {
  if (process.platform !== 'linux') return []
  const descriptors = await readdir('/proc/self/fd')
  const paths = await Promise.all(descriptors.map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')))
  return paths.filter((path) => path.startsWith(`${location}/`)).map((path) => `descriptor of ${path}`)
}
