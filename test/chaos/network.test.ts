import { createHash } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  CreateBucketCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3'
import { isStorageError, S3Storage, type Storage, type StorageErrorCode } from 'stowage'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { startHostileProxy } from '../servers/hostile-proxy.js'
import { patternChunks, startStrictR2 } from '../servers/r2.js'
import { report } from './figures.js'
import { FORM, randomFrom, SEED } from './form.js'

const MIB = 1024 * 1024
const RATE = 0.1
const WORKERS = 16
/** Of each worker, on each server, with and without the fast path. */
const OPERATIONS = FORM === 'quick' ? 18 : 100
const PART = 5 * MIB
/** A network that nothing gets through for long: its faults outlast the tries. */
const OUTAGE = { rate: 0.8, operations: FORM === 'quick' ? 8 : 30 }

interface Times {
  readonly connectTimeout: number
  readonly idleTimeout: number
  readonly retryTimeout: number
}
const TIMES: Times = {
  connectTimeout: 1_000,
  idleTimeout: 2_000,
  retryTimeout: FORM === 'quick' ? 8_000 : 15_000,
}
const OUTAGE_TIMES: Times = { connectTimeout: 500, idleTimeout: 1_000, retryTimeout: 3_000 }

type Kind =
  | 'save'
  | 'save under a taken name'
  | 'save a multipart stream'
  | 'overwrite'
  | 'save where there is a file: error'
  | 'read bytes'
  | 'read stream'
  | 'read range'
  | 'read what was deleted'
  | 'delete'
  | 'deleteMany'
  | 'copy'
  | 'move'
  | 'list'
  | 'exists'

/**
 * The milliseconds that one call of each kind may take. A request has all its tries within them: the last one begins
 * before `retryTimeout` is over. What the server may be long at (copies, completions) may take ten times that.
 */
function deadlines({ connectTimeout, idleTimeout, retryTimeout }: Times): Readonly<Record<Kind, number>> {
  const request = (bytes: number) =>
    retryTimeout + connectTimeout + idleTimeout + (bytes / (64 * 1024)) * 1000
  const small = request(100_000)
  const long = retryTimeout * 11
  return {
    // The write, and whose it is that is there now.
    save: 2 * small,
    // Ten names and thousands of endings: the first is taken, the second is free.
    'save under a taken name': 4 * small,
    // Its creation, two parts side by side, the completion, whose it is, and the end of what was not completed.
    'save a multipart stream': 3 * small + request(PART) + long,
    overwrite: small,
    'save where there is a file: error': 2 * small,
    // It may be resumed five times.
    'read bytes': 6 * small,
    'read stream': 6 * small,
    'read range': 12 * small,
    'read what was deleted': small,
    delete: small,
    deleteMany: small,
    // Its source, the copy, whose it is, or for a server without conditional copies the steps of a multipart upload.
    copy: 4 * small + 2 * long,
    move: 5 * small + 2 * long,
    list: small,
    exists: small,
  }
}

interface Server {
  readonly name: string
  start(): Promise<{ endpoint: string; accessKeyId: string; secretAccessKey: string; bucket: string }>
  stop(): Promise<void>
}

function strictServer(): Server {
  let server: Awaited<ReturnType<typeof startStrictR2>> | undefined
  return {
    name: 'the strict R2 stand-in',
    async start() {
      server = await startStrictR2()
      const { endpoint, accessKeyId, secretAccessKey } = server
      return { endpoint, accessKeyId, secretAccessKey, bucket: server.bucket().name }
    },
    stop: async () => server?.stop(),
  }
}

function cephServer(ceph: { endpoint: string; accessKeyId: string; secretAccessKey: string }): Server {
  return {
    name: 'Ceph',
    async start() {
      const bucket = `network-${Date.now()}`
      const client = new S3Client({ ...plainClient, ...ceph, credentials: { ...ceph } })
      await client.send(new CreateBucketCommand({ Bucket: bucket }))
      client.destroy()
      return { ...ceph, bucket }
    },
    stop: async () => {},
  }
}

const plainClient = {
  region: 'us-east-1',
  forcePathStyle: true,
  requestChecksumCalculation: 'WHEN_REQUIRED',
  responseChecksumValidation: 'WHEN_REQUIRED',
} as const
const ceph = inject('ceph')
const servers = ceph ? [strictServer(), cephServer(ceph)] : [strictServer()]

const unhandled: unknown[] = []
const onUnhandled = (reason: unknown) => void unhandled.push(reason)
beforeAll(() => void process.on('unhandledRejection', onUnhandled))
afterAll(() => void process.off('unhandledRejection', onUnhandled))

interface Trial {
  readonly title: string
  readonly fastPath: boolean
  readonly times: Times
  readonly rate: number
  readonly mostInARow?: number
  /** Of each worker. */
  readonly operations: number
}

/** Works through the proxy, then compares with what is really there. Everything that is asked of any network is checked here. */
async function work(server: Server, { title, fastPath, times, operations, ...network }: Trial) {
  const place = await server.start()
  const descriptorsBefore = await descriptors()
  const random = randomFrom(SEED + (fastPath ? 1 : 0))
  const proxy = await startHostileProxy({ upstream: place.endpoint, random, ...network })
  const storage = new S3Storage({
    ...place,
    ...times,
    fastPath,
    endpoint: proxy.endpoint,
    partSize: PART,
    maxConnections: 32,
    conditionalCompletion: server.name === 'Ceph' ? undefined : true,
    conditionalCopy: server.name !== 'Ceph',
  })
  const tally = new Tally(deadlines(times))
  const workers = Array.from({ length: WORKERS }, (_, index) =>
    new Worker(storage, index, randomFrom(SEED * 31 + index), tally).work(operations),
  )
  const models = await Promise.all(workers)
  const connections = proxy.connections
  proxy.rate = 0
  // What is not idle now, and does not end by itself, nobody will ever end.
  const connectionsLeft = await settle(async () => {
    proxy.closeIdle()
    return proxy.connections
  }, 0)
  await proxy.stop()

  const truth = new S3Storage({ ...place, idleTimeout: 20_000 })
  const wrong = await compare(truth, models, tally)
  const uploads = await openUploads(place)
  await server.stop()
  const descriptorsAfter = await settle(descriptors, descriptorsBefore)

  const { slowest } = tally
  const faults = [...proxy.faults.values()].reduce((sum, count) => sum + count, 0)
  const kinds = [...proxy.faults].map(([kind, count]) => `${kind} ${count}`).sort()
  console.log(`faults: ${kinds.join(', ')}`)
  console.log(`operations: ${[...tally.counts].map(([kind, count]) => `${kind} ${count}`).join(', ')}`)
  console.log(`slowest of each kind: ${[...tally.slowestOf].map(([kind, ms]) => `${kind} ${ms}`).join(', ')}`)
  console.log(`uploads left by lost answers: ${uploads}`)
  report({
    trial: `${title}, ${server.name}, fast path ${fastPath ? 'on' : 'off'}`,
    tried: `${tally.total} operations, ${proxy.requests} requests, ${faults} faults of ${proxy.faults.size} kinds`,
    outcome:
      `${tally.failures.length} failed, ${wrong.length} lost, mixed or undead, ${tally.late.length} past the deadline, ` +
      `the nearest to it after ${(slowest.ms / 1000).toFixed(1)} of ${(slowest.limit / 1000).toFixed(0)} s (${slowest.kind}), ` +
      `${connectionsLeft} connections left`,
  })
  expect(wrong).toEqual([])
  expect(tally.twice).toEqual([])
  expect(tally.late).toEqual([])
  expect(unhandled).toEqual([])
  // The SDK has a pool of its own beside the fast path's.
  expect(connections).toBeLessThanOrEqual(fastPath ? 64 : 32)
  expect(connectionsLeft).toBe(0)
  expect(descriptorsAfter).toBeLessThanOrEqual(descriptorsBefore)
  // About as many of the requests are to have failed, or nothing was tried.
  expect(faults).toBeGreaterThan(proxy.requests * network.rate * 0.5)
  return tally
}

describe.each(servers)('between the package and $name', (server) => {
  describe.each([true, false])('fastPath %s', (fastPath) => {
    it(
      'one request in ten fails, and no operation does',
      async () => {
        const title = 'Hostile network'
        const tally = await work(server, {
          title,
          fastPath,
          times: TIMES,
          rate: RATE,
          operations: OPERATIONS,
        })
        expect(tally.failures).toEqual([])
      },
      30 * 60_000,
    )

    it(
      'eight requests in ten fail, also all tries: the call fails, says that it may be tried again, and nothing is lost',
      async () => {
        const { failures } = await work(server, {
          title: 'A network that hardly works',
          fastPath,
          times: OUTAGE_TIMES,
          mostInARow: Number.POSITIVE_INFINITY,
          ...OUTAGE,
        })
        expect(failures.length).toBeGreaterThan(0)
        expect(
          failures.filter((failure) => !/^[^:]+(?:: error)?: Unavailable, retryable true: /.test(failure)),
        ).toEqual([])
      },
      30 * 60_000,
    )
  })
})

/** What happened, of all workers. */
class Tally {
  readonly counts = new Map<string, number>()
  readonly failures: string[] = []
  /** Names that two saves were told. */
  readonly twice: string[] = []
  readonly shared = new Map<string, string>()
  readonly slowestOf = new Map<Kind, number>()
  /** The call that came nearest to its deadline. */
  slowest = { kind: '', ms: 0, limit: 1 }
  readonly late: string[] = []
  readonly #deadlines: Readonly<Record<Kind, number>>

  constructor(limits: Readonly<Record<Kind, number>>) {
    this.#deadlines = limits
  }

  get total(): number {
    return [...this.counts.values()].reduce((sum, times) => sum + times, 0)
  }

  async time<T>(kind: Kind, work: () => Promise<T>): Promise<T | undefined> {
    this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1)
    const start = Date.now()
    try {
      return await work()
    } catch (error) {
      const told = isStorageError(error)
        ? `${error.code}, retryable ${error.retryable}: ${error.message} (${String(error.cause)})`
        : `no StorageError: ${error instanceof Error ? error.stack : error}`
      this.failures.push(`${kind}: ${told}`)
      return undefined
    } finally {
      const ms = Date.now() - start
      const limit = this.#deadlines[kind]
      this.slowestOf.set(kind, Math.max(ms, this.slowestOf.get(kind) ?? 0))
      if (ms / limit > this.slowest.ms / this.slowest.limit) this.slowest = { kind, ms, limit }
      if (ms > limit) this.late.push(`${kind}: ${ms} of ${limit} ms`)
    }
  }

  give(name: string, digest: string): void {
    if (this.shared.has(name)) this.twice.push(name)
    this.shared.set(name, digest)
  }
}

/** What a worker knows about a file: the digests that it may have, `null` for its absence. */
type Known = ReadonlySet<string | null>

/** Works on files of its own, so that it knows what must be there; names are fought for in one shared folder. */
class Worker {
  readonly #storage: Storage
  readonly #index: number
  readonly #folder: string
  readonly #random: () => number
  readonly #tally: Tally
  readonly #files = new Map<string, Known>()
  #made = 0

  constructor(storage: Storage, index: number, random: () => number, tally: Tally) {
    this.#storage = storage
    this.#index = index
    this.#folder = `own/${index}`
    this.#random = random
    this.#tally = tally
  }

  async work(operations: number): Promise<ReadonlyMap<string, Known>> {
    for (let done = 0; done < operations; done++) await this.#step(done)
    return this.#files
  }

  async #step(done: number): Promise<void> {
    // Each worker streams parts in one operation of 18, not all at the same time.
    if (done % 18 === this.#index) return this.#saveStream()
    const at = this.#random()
    const steps: [number, () => Promise<void>][] = [
      [0.22, () => this.#save()],
      [0.3, () => this.#saveShared()],
      [0.37, () => this.#overwrite()],
      [0.42, () => this.#saveTaken()],
      [0.56, () => this.#read('bytes')],
      [0.64, () => this.#read('stream')],
      [0.71, () => this.#read('range')],
      [0.77, () => this.#delete(1)],
      [0.81, () => this.#delete(5)],
      [0.86, () => this.#copy('copy')],
      [0.91, () => this.#copy('move')],
      [0.95, () => this.#list()],
      [1, () => this.#stat()],
    ]
    const [, step] = steps.find(([end]) => at < end) ?? [1, () => this.#stat()]
    return step()
  }

  /** From nothing to 100 KB; digests tell whose it is. */
  #content(): Buffer {
    const size = this.#random() < 0.1 ? 0 : Math.floor(this.#random() ** 3 * 100_000)
    const head = `${this.#folder} ${++this.#made} `
    return Buffer.from(size === 0 ? head : head + 'x'.repeat(size))
  }

  /** A file whose state is known: what a failed call has left may come to be there later than what follows it. */
  #pick(): string | undefined {
    const names = [...this.#files].flatMap(([name, known]) => (known.size === 1 ? name : []))
    return names[Math.floor(this.#random() * names.length)]
  }

  async #save(): Promise<void> {
    const content = this.#content()
    const name = `${this.#folder}/${this.#made}.txt`
    const stored = await this.#tally.time('save', () => this.#storage.save(name, content))
    if (stored === undefined) this.#files.set(name, new Set([digestOf(content), null]))
    else this.#give(stored, name, digestOf(content))
  }

  /** A new name of a worker's own is free: whoever gets another has met itself. */
  #give(stored: string, asked: string, digest: string): void {
    if (stored !== asked) this.#tally.failures.push(`a free name, ${asked}, became ${stored}`)
    if (this.#files.has(stored)) this.#tally.twice.push(stored)
    this.#files.set(stored, new Set([digest]))
  }

  async #saveShared(): Promise<void> {
    const content = this.#content()
    const name = `shared/${this.#made % 10}.txt`
    const stored = await this.#tally.time('save under a taken name', () => this.#storage.save(name, content))
    if (stored !== undefined) this.#tally.give(stored, digestOf(content))
  }

  async #saveStream(): Promise<void> {
    const size = PART + 1 + Math.floor(this.#random() * MIB)
    const name = `${this.#folder}/stream-${++this.#made}.bin`
    const digest = createHash('md5')
    for (const chunk of patternChunks(this.#made, this.#made + size)) digest.update(chunk)
    const expected = digest.digest('hex')
    const work = () => this.#storage.save(name, patternStream(this.#made, size))
    const stored = await this.#tally.time('save a multipart stream', work)
    if (stored === undefined) this.#files.set(name, new Set([expected, null]))
    else this.#give(stored, name, expected)
  }

  async #overwrite(): Promise<void> {
    const name = this.#pick()
    if (name === undefined) return
    const content = this.#content()
    const save = () => this.#storage.save(name, content, { ifExists: 'overwrite' })
    const stored = await this.#tally.time('overwrite', save)
    const before = stored === undefined ? (this.#files.get(name) ?? []) : []
    this.#files.set(name, new Set([...before, digestOf(content)]))
  }

  async #saveTaken(): Promise<void> {
    const name = this.#pick()
    const known = name === undefined ? undefined : this.#files.get(name)
    if (name === undefined || known === undefined || known.has(null)) return
    await this.#tally.time('save where there is a file: error', async () => {
      const stored = await unless(
        'AlreadyExists',
        this.#storage.save(name, this.#content(), { ifExists: 'error' }),
      )
      if (stored !== undefined) throw new Error(`${name}: ${stored} instead of AlreadyExists`)
    })
  }

  async #read(way: 'bytes' | 'stream' | 'range'): Promise<void> {
    const name = this.#pick()
    const known = name === undefined ? undefined : this.#files.get(name)
    if (name === undefined || known === undefined || known.size !== 1) return
    if (known.has(null)) {
      await this.#tally.time('read what was deleted', async () => {
        if (await unless('NotFound', this.#storage.open(name)))
          throw new Error(`${name}: there instead of NotFound`)
      })
      return
    }
    await this.#tally.time(`read ${way}`, async () => {
      if (way !== 'range') {
        const file = await this.#storage.open(name)
        const bytes = way === 'bytes' ? await file.bytes() : Buffer.concat(await file.stream().toArray())
        if (!known.has(digestOf(bytes))) throw new Error(`${name} is not what was saved`)
        return
      }
      const whole = await (await this.#storage.open(name)).bytes()
      const offset = Math.floor(this.#random() * whole.byteLength)
      const length = 1 + Math.floor(this.#random() * (whole.byteLength - offset))
      const part = await (await this.#storage.open(name, { range: { offset, length } })).bytes()
      if (!part.equals(whole.subarray(offset, offset + length))) throw new Error(`${name}: another range`)
    })
  }

  async #delete(count: number): Promise<void> {
    const names = new Set<string>()
    for (let index = 0; index < count; index++) {
      const name = this.#pick()
      if (name !== undefined) names.add(name)
    }
    if (names.size === 0) return
    const [only = ''] = names
    const done = await this.#tally.time(count === 1 ? 'delete' : 'deleteMany', async () => {
      await (count === 1 ? this.#storage.delete(only) : this.#storage.deleteMany(names))
      return true
    })
    for (const name of names) {
      const before = done ? [] : (this.#files.get(name) ?? [])
      this.#files.set(name, new Set([...before, null]))
    }
  }

  async #copy(method: 'copy' | 'move'): Promise<void> {
    const from = this.#pick()
    const known = from === undefined ? undefined : this.#files.get(from)
    if (from === undefined || known === undefined || known.size !== 1 || known.has(null)) return
    const to = `${this.#folder}/${method}-${++this.#made}.txt`
    const [digest = null] = known
    const stored = await this.#tally.time(method, () => this.#storage[method](from, to))
    if (stored === undefined) {
      this.#files.set(to, new Set([digest, null]))
      if (method === 'move') this.#files.set(from, new Set([digest, null]))
    } else {
      this.#give(stored, to, digest ?? '')
      if (method === 'move') this.#files.set(from, new Set([null]))
    }
  }

  async #list(): Promise<void> {
    await this.#tally.time('list', async () => {
      const listed = new Set<string>()
      for await (const { name } of this.#storage.list(this.#folder)) listed.add(name)
      for (const [name, known] of this.#files) {
        if (known.size === 1 && known.has(null) === listed.has(name))
          throw new Error(`the list is wrong about ${name}`)
      }
    })
  }

  async #stat(): Promise<void> {
    const name = this.#pick()
    const known = name === undefined ? undefined : this.#files.get(name)
    if (name === undefined || known === undefined || known.size !== 1) return
    await this.#tally.time('exists', async () => {
      if ((await this.#storage.exists(name)) === known.has(null))
        throw new Error(`exists is wrong about ${name}`)
    })
  }
}

/** What is in the store, past the proxy, and should not be; or is not, and should be. */
async function compare(
  storage: Storage,
  models: readonly ReadonlyMap<string, Known>[],
  tally: Tally,
): Promise<string[]> {
  const wrong: string[] = []
  const expected = new Map<string, Known>(models.flatMap((files) => [...files]))
  for (const [name, digest] of tally.shared) expected.set(name, new Set([digest]))
  const there = new Set<string>()
  for await (const { name } of storage.list()) {
    there.add(name)
    if (!expected.has(name) && tally.failures.length === 0) wrong.push(`${name} was never told`)
  }
  for (const [name, known] of expected) {
    const found = there.has(name) ? await digestIn(storage, name) : null
    if (!known.has(found)) wrong.push(`${name}: ${found ?? 'not there'} instead of ${[...known]}`)
  }
  return wrong
}

/** What a listed name holds. On Ceph, a save that failed may have left its placeholder, which is listed but is no file. */
async function digestIn(storage: Storage, name: string): Promise<string | null> {
  const file = await unless('NotFound', storage.open(name))
  return file ? digestOf(await file.bytes()) : null
}

type Place = Awaited<ReturnType<Server['start']>>

/** Multipart uploads that a lost answer to their creation has left behind: nobody knows their ids. */
async function openUploads({ endpoint, bucket, ...credentials }: Place): Promise<number> {
  const client = new S3Client({ ...plainClient, endpoint, credentials })
  const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket }))
  client.destroy()
  return Uploads.length
}

async function descriptors(): Promise<number> {
  return (await readdir('/proc/self/fd')).length
}

/** The last value, as soon as it is down to `target`, or after 15 seconds. */
async function settle(measure: () => Promise<number>, target: number): Promise<number> {
  const end = Date.now() + 15_000
  for (;;) {
    const value = await measure()
    if (value <= target || Date.now() > end) return value
    await sleep(100)
  }
}

function digestOf(bytes: Uint8Array): string {
  return createHash('md5').update(bytes).digest('hex')
}

/** What comes of the work, or undefined where it fails by the code that is expected. */
async function unless<T>(code: StorageErrorCode, work: Promise<T>): Promise<T | undefined> {
  return work.catch((error: unknown) => {
    if (isStorageError(error) && error.code === code) return undefined
    throw error
  })
}

async function* patternStream(start: number, size: number): AsyncGenerator<Buffer> {
  for (const chunk of patternChunks(start, start + size)) yield chunk
}

/** The same network for the bare SDK, as a yardstick. What waits longer than 30 s counts as waiting for ever. */
describe.runIf(FORM !== 'quick')('the bare AWS SDK, for comparison', () => {
  it(
    'fails or waits where the package does not',
    async () => {
      const server = strictServer()
      const { endpoint, bucket, ...credentials } = await server.start()
      const proxy = await startHostileProxy({ upstream: endpoint, random: randomFrom(SEED), rate: RATE })
      const client = new S3Client({
        ...plainClient,
        endpoint: proxy.endpoint,
        credentials,
        region: 'auto',
      })
      const outcomes = { saves: new Map<string, number>(), reads: new Map<string, number>() }
      const stop = new AbortController()
      const content = (index: number) => Buffer.from(`content ${index} ${'x'.repeat(20_000)}`)
      const tryOne = async (outcome: Map<string, number>, work: () => Promise<boolean>) => {
        const late = sleep(30_000, 'waiting after 30 s', { signal: stop.signal }).catch(() => '')
        const ended = work().then(
          (right) => (right ? 'right' : 'wrong'),
          () => 'failed',
        )
        const how = await Promise.race([ended, late])
        outcome.set(how, (outcome.get(how) ?? 0) + 1)
      }
      const save = (index: number) =>
        tryOne(outcomes.saves, async () => {
          const Body = content(index)
          await client.send(new PutObjectCommand({ Bucket: bucket, Key: `${index}`, Body, IfNoneMatch: '*' }))
          return true
        })
      const read = (index: number) =>
        tryOne(outcomes.reads, async () => {
          const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: `${index}` }))
          const bytes = await Body?.transformToByteArray()
          return bytes !== undefined && content(index).equals(bytes)
        })
      for (const work of [save, read]) {
        let next = 0
        const worker = async () => {
          while (next < 400) await work(next++)
        }
        await Promise.all(Array.from({ length: WORKERS }, worker))
        if (work === save) {
          // What is read is there, whatever became of the saves.
          const direct = new S3Client({ ...plainClient, endpoint, credentials, region: 'auto' })
          for (let index = 0; index < 400; index++) {
            await direct.send(new PutObjectCommand({ Bucket: bucket, Key: `${index}`, Body: content(index) }))
          }
          direct.destroy()
        }
      }
      stop.abort()
      client.destroy()
      await proxy.stop()
      await server.stop()
      const tell = (outcome: Map<string, number>) =>
        [...outcome].map(([how, times]) => `${times} ${how}`).join(', ')
      report({
        trial: 'The same network, strict R2 stand-in: the bare AWS SDK, for comparison',
        tried: '400 create-only saves and 400 reads, 16 at a time',
        outcome: `saves: ${tell(outcomes.saves)}; reads: ${tell(outcomes.reads)}`,
      })
      expect(outcomes.saves.get('right')).toBeGreaterThan(0)
    },
    60 * 60_000,
  )
})
