/** Random sequences of calls, on every backend and on the model at once: what comes of them must be the same. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import fc from 'fast-check'
import { FileSystemStorage, R2Storage, S3Storage, type Storage } from 'stowage'
import { afterAll, inject, it } from 'vitest'
import { temporaryFilesIn } from '../integration/child/folders.js'
import { optionsOf, startStrictR2 } from '../servers/r2.js'
import { report } from './figures.js'
import { FORM, SEED } from './form.js'
import { crowdedStep, everythingIn, Model, type Step, step, type Traits } from './model.js'

interface Subject {
  readonly name: string
  readonly traits: Traits
  /** Runs, of which each form has so many {@link TIMES}. */
  readonly runs: number
  /** A storage with nothing in it, and what to look at and tidy up when its run is over. */
  begin(): Promise<{ storage: Storage; end(): Promise<void> }>
  close(): Promise<void>
}

const TIMES = FORM === 'quick' ? 0.5 : 8
const MIB = 1024 * 1024
/** R2 and S3 give every file a `Cache-Control`; the smallest parts make the smallest multipart uploads. */
const BUCKET: Traits = { folders: false, cacheControl: 'max-age=86400', largeBytes: 5 * MIB }
const OPTIONS = { partSize: 5 * MIB, cacheControl: 'max-age=86400' }

async function onDisk(): Promise<Subject> {
  const folder = await mkdtemp(join(tmpdir(), 'stowage-model-'))
  let made = 0
  return {
    name: 'FileSystemStorage',
    traits: { folders: true },
    runs: 150,
    begin: async () => {
      made += 1
      const location = join(folder, String(made))
      const end = async () => {
        assert.deepEqual(await temporaryFilesIn(location), [])
        await rm(location, { recursive: true, force: true })
      }
      return { storage: new FileSystemStorage({ location, fsync: false }), end }
    },
    close: () => rm(folder, { recursive: true, force: true }),
  }
}

async function onR2(fastPath: boolean, prefix: string): Promise<Subject> {
  const server = await startStrictR2()
  return {
    name: `R2Storage, fast path ${fastPath ? 'on' : 'off'}`,
    traits: BUCKET,
    runs: 60,
    begin: async () => {
      server.reset()
      const end = async () => assert.equal(server.openUploads, 0)
      return {
        storage: new R2Storage({ ...optionsOf(server), ...OPTIONS, bucket: 'test-bucket', prefix, fastPath }),
        end,
      }
    },
    close: () => server.stop(),
  }
}

async function onCeph(): Promise<Subject | undefined> {
  const ceph = inject('ceph')
  if (ceph === null) return undefined
  const bucket = `model-${process.pid}`
  const { endpoint } = ceph
  const client = new S3Client({
    endpoint,
    region: 'us-east-1',
    credentials: { ...ceph },
    forcePathStyle: true,
  })
  await client.send(new CreateBucketCommand({ Bucket: bucket }))
  let made = 0
  return {
    name: 'S3Storage on Ceph',
    traits: BUCKET,
    runs: 15,
    begin: async () => {
      made += 1
      const whole = new S3Storage({ ...ceph, ...OPTIONS, bucket })
      const end = async () => {
        await whole.deletePrefix(`run-${made}`)
        await whole.deletePrefix('.stowage').catch(() => {})
      }
      return { storage: new S3Storage({ ...ceph, ...OPTIONS, bucket, prefix: `run-${made}` }), end }
    },
    close: async () => client.destroy(),
  }
}

const subjects = (await Promise.all([onDisk(), onR2(true, ''), onR2(false, 'ä b/%2f'), onCeph()])).filter(
  (subject) => subject !== undefined,
)
afterAll(() => Promise.all(subjects.map((subject) => subject.close())))

interface Count {
  runs: number
  calls: number
  errors: number
}

/** One call: its outcome is that of the model. */
class Call implements fc.AsyncCommand<Model, Storage> {
  readonly #step: Step
  readonly #count: Count

  constructor(step: Step, count: Count) {
    this.#step = step
    this.#count = count
  }

  check(): boolean {
    return true
  }

  async run(model: Model, storage: Storage): Promise<void> {
    const { resolved, actual } = await model.act(storage, this.#step)
    this.#count.calls += 1
    if (!('value' in actual)) this.#count.errors += 1
    assert.deepEqual(actual, await model.expect(resolved, actual), JSON.stringify(resolved))
  }

  toString(): string {
    return JSON.stringify(this.#step)
  }
}

/** Several calls at the same moment: in some order, one after the other, they would have come to the same. */
class Crowd implements fc.AsyncCommand<Model, Storage> {
  readonly #steps: readonly Step[]
  readonly #count: Count
  readonly #traits: Traits

  constructor(steps: readonly Step[], count: Count, traits: Traits) {
    this.#steps = steps
    this.#count = count
    this.#traits = traits
  }

  check(): boolean {
    return true
  }

  async run(model: Model, storage: Storage): Promise<void> {
    const acts = await Promise.all(this.#steps.map((each) => model.act(storage, each)))
    const actual = {
      outcomes: acts.map((act) => act.actual),
      files: await everythingIn(storage, this.#traits),
    }
    this.#count.calls += acts.length
    const others: unknown[] = []
    for (const order of ordersOf(acts.map((_, index) => index))) {
      const candidate = await model.clone()
      const outcomes: unknown[] = []
      for (const index of order) {
        const act = acts[index]
        if (act) outcomes[index] = await candidate.expect(act.resolved, act.actual)
      }
      const expected = { outcomes, files: await candidate.everything() }
      if (isEqual(actual, expected)) return model.become(candidate)
      others.push(expected)
    }
    assert.fail(`no order explains ${JSON.stringify(actual)}: ${JSON.stringify(others)}`)
  }

  toString(): string {
    return `at once ${JSON.stringify(this.#steps)}`
  }
}

function ordersOf<T>(items: readonly T[]): T[][] {
  if (items.length <= 1) return [[...items]]
  return items.flatMap((item, index) =>
    ordersOf(items.filter((_, other) => other !== index)).map((rest) => [item, ...rest]),
  )
}

function isEqual(actual: unknown, expected: unknown): boolean {
  try {
    assert.deepEqual(actual, expected)
    return true
  } catch {
    return false
  }
}

type Commands = Iterable<fc.AsyncCommand<Model, Storage>>

/** Runs sequences on a subject until one shows a difference, which is then made as short as it can be. */
async function explore(
  { begin, traits }: Subject,
  count: Count,
  sequences: fc.Arbitrary<Commands>,
  runs: number,
): Promise<void> {
  const property = fc.asyncProperty(sequences, async (commands) => {
    const { storage, end } = await begin()
    const model = new Model(traits)
    await fc.asyncModelRun(() => ({ model, real: storage }), commands)
    assert.deepEqual(await everythingIn(storage, traits), await model.everything())
    await end()
    count.runs += 1
  })
  await fc.assert(property, { numRuns: runs, seed: SEED, endOnFailure: false })
}

for (const subject of subjects) {
  it(`${subject.name} does what the model does`, async () => {
    const count: Count = { runs: 0, calls: 0, errors: 0 }
    const calls = fc.commands([step.map((each) => new Call(each, count))], { maxCommands: 40, size: 'max' })
    await explore(subject, count, calls, Math.ceil(subject.runs * TIMES))
    assert.ok(count.errors > count.calls / 20 && count.errors < count.calls * 0.7, JSON.stringify(count))
    report({
      trial: `random calls, held against the model: ${subject.name}`,
      tried: `${count.runs.toLocaleString('en')} sequences, ${count.calls.toLocaleString('en')} calls`,
      outcome: '0 differences',
    })
  })

  it(`${subject.name} does calls at the same moment as if one after the other`, async () => {
    const count: Count = { runs: 0, calls: 0, errors: 0 }
    const crowds = fc
      .array(crowdedStep, { minLength: 2, maxLength: 4, size: 'max' })
      .map((steps) => new Crowd(steps, count, subject.traits))
    const sequences = fc.commands([crowds], { maxCommands: 8, size: 'max' })
    await explore(subject, count, sequences, Math.ceil((subject.runs / 3) * TIMES))
    report({
      trial: `calls at the same moment, held against every order: ${subject.name}`,
      tried: `${count.runs.toLocaleString('en')} sequences, ${count.calls.toLocaleString('en')} calls`,
      outcome: '0 that no order explains',
    })
  })
}
