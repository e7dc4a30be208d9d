/** A mixed load on a storage, at full speed, and what the process weighs while it runs. */
import { readdirSync, readlinkSync } from 'node:fs'
import { inspect } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { isStorageError, type Storage } from 'stowage'
import { randomFrom } from './form.js'

/** How the process stood at a moment when nothing ran. */
export interface Sample {
  /** Seconds since the start. */
  readonly at: number
  /** Calls since the sample before, and in how many seconds. */
  readonly calls: number
  readonly seconds: number
  /** Bytes in use, after a garbage collection. */
  readonly heap: number
  /** Bytes of buffers and the like. */
  readonly external: number
  readonly rss: number
  /** Open descriptors of all kinds, and those among them that are sockets. */
  readonly descriptors: number
  readonly sockets: number
}

export interface Load {
  readonly samples: Sample[]
  readonly calls: Record<string, number>
  /** Errors that nothing in the load explains. */
  readonly surprises: string[]
}

const WORKERS = 8
const SLOTS = 40

export async function runLoad(storage: Storage, ms: number, samples: number, seed: number): Promise<Load> {
  setFlagsFromString('--expose-gc')
  const collectGarbage: () => void = runInNewContext('gc')
  const calls: Record<string, number> = {}
  const surprises: string[] = []
  const taken: Sample[] = []
  const randoms = Array.from({ length: WORKERS }, (_, worker) => randomFrom(seed + worker))
  const start = Date.now()
  let total = 0
  for (let index = 1; index <= samples; index++) {
    const begun = Date.now()
    const end = start + (ms * index) / samples
    const before = total
    const work = async (random: () => number, worker: number) => {
      do {
        const [kind, call] = pick(random)
        calls[kind] = (calls[kind] ?? 0) + 1
        total += 1
        await call(storage, random, worker).catch((error: unknown) => {
          if (!isExpected(error) && surprises.length < 20)
            surprises.push(`${kind}: ${inspect(error, { depth: 4 })}`)
        })
      } while (Date.now() < end)
    }
    await Promise.all(randoms.map(work))
    const seconds = (Date.now() - begun) / 1000
    // What is freed by a finaliser or a turn later is not in use. Buffers count until the next collection finds them swept.
    for (let collection = 0; collection < 3; collection++) {
      await new Promise((resolve) => setTimeout(resolve, 50))
      collectGarbage()
    }
    const { heapUsed, external, rss } = process.memoryUsage()
    taken.push({
      at: Math.round((Date.now() - start) / 1000),
      calls: total - before,
      seconds,
      heap: heapUsed,
      external,
      rss,
      ...openDescriptors(),
    })
  }
  return { samples: taken, calls, surprises }
}

function openDescriptors(): { descriptors: number; sockets: number } {
  const targets = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`)
    } catch {
      return '' // That of the look itself.
    }
  })
  const open = targets.filter((target) => target !== '')
  return { descriptors: open.length, sockets: open.filter((target) => target.startsWith('socket:')).length }
}

/** Others take files away and put them there at the same time; aborts and failing sources are of our own making. */
function isExpected(error: unknown): boolean {
  if (!isStorageError(error)) return error instanceof Error && error.message === 'the source fails'
  const replaced = error.code === 'Unavailable' && /replaced/.test(error.message)
  return replaced || ['NotFound', 'Aborted', 'AlreadyExists', 'Rejected'].includes(error.code)
}

type Call = (storage: Storage, random: () => number, worker: number) => Promise<unknown>

const nameOf = (random: () => number) =>
  `load/${Math.floor(random() * 5)}/${Math.floor(random() * SLOTS)}.txt`
const bytesOf = (random: () => number) => Buffer.alloc(1 + Math.floor(random() ** 3 * 200_000), 'x')

async function* streamed(bytes: number, fails = false): AsyncGenerator<Buffer> {
  for (let left = bytes; left > 0; left -= 65_536) yield Buffer.alloc(Math.min(left, 65_536), 'y')
  if (fails) throw new Error('the source fails')
}

/** Every kind of call with its share. */
const CALLS: readonly (readonly [share: number, kind: string, call: Call])[] = [
  [16, 'save', (storage, random) => storage.save(nameOf(random), bytesOf(random), { ifExists: 'overwrite' })],
  [
    8,
    'save with metadata',
    (storage, random) =>
      storage.save(nameOf(random), bytesOf(random), { ifExists: 'overwrite', metadata: { by: 'load' } }),
  ],
  [
    6,
    'save under another name',
    async (storage, random) => storage.delete(await storage.save(nameOf(random), bytesOf(random))),
  ],
  [
    5,
    'save of a stream',
    (storage, random) => storage.save(nameOf(random), streamed(200_000), { ifExists: 'overwrite' }),
  ],
  [
    1,
    'save in parts',
    (storage, _, worker) =>
      storage.save(`parts/${worker}.bin`, streamed(11 * 2 ** 20), { ifExists: 'overwrite' }),
  ],
  [2, 'save that fails', (storage, random) => storage.save(nameOf(random), streamed(150_000, true))],
  [
    2,
    'save that is refused',
    (storage, random) => storage.save(nameOf(random), streamed(150_000), { maxSize: 100_000 }),
  ],
  [
    2,
    'save that is aborted',
    (storage, random) =>
      storage.save(nameOf(random), streamed(2 ** 20), {
        signal: AbortSignal.timeout(1 + Math.floor(random() * 5)),
      }),
  ],
  [16, 'open', async (storage, random) => (await storage.open(nameOf(random))).bytes()],
  [
    4,
    'open a stream',
    async (storage, random) => {
      for await (const chunk of await storage.open(nameOf(random))) if (chunk.byteLength === 0) break
    },
  ],
  [
    4,
    'open a part',
    async (storage, random) => (await storage.open(nameOf(random), { range: { offset: -10 } })).bytes(),
  ],
  [
    2,
    'open and leave',
    async (storage, random) => {
      for await (const _ of await storage.open(nameOf(random))) break
    },
  ],
  [2, 'open and close', async (storage, random) => (await storage.open(nameOf(random))).close()],
  [8, 'stat', (storage, random) => storage.stat(nameOf(random))],
  [4, 'exists', (storage, random) => storage.exists(nameOf(random))],
  [2, 'stat of nothing', (storage) => storage.stat('load/missing')],
  [3, 'copy', (storage, random) => storage.copy(nameOf(random), nameOf(random), { ifExists: 'overwrite' })],
  [3, 'move', (storage, random) => storage.move(nameOf(random), nameOf(random), { ifExists: 'overwrite' })],
  [4, 'delete', (storage, random) => storage.delete(nameOf(random))],
  [1, 'deleteMany', (storage, random) => storage.deleteMany([nameOf(random), nameOf(random)])],
  [1, 'deletePrefix', (storage, random) => storage.deletePrefix(`load/${Math.floor(random() * 5)}`)],
  [2, 'listdir', (storage) => storage.listdir('load')],
  [
    1,
    'list',
    async (storage) => {
      for await (const { size } of storage.list('load')) if (size < 0) break
    },
  ],
]
const SHARES = CALLS.reduce((sum, [share]) => sum + share, 0)

function pick(random: () => number): readonly [string, Call] {
  let left = random() * SHARES
  for (const [share, kind, call] of CALLS) {
    left -= share
    if (left < 0) return [kind, call]
  }
  throw new Error('the shares are wrong')
}
