/** A process that changes files and is killed meanwhile: `node writer.mjs <job as JSON>`. Tells what it does on stdout. */
import fs from 'node:fs'
import { randomFrom } from '../form.js'
import { Expectation, openingStep, perform, randomStep, type Step } from '../steps.js'
import type { Version } from '../version.js'
import { interceptChanges, killOnChange } from './calls.js'

export type Job =
  /** Random steps in several lanes side by side, until it is killed. */
  | { job: 'onAndOn'; root: Root; files: [string, Version][]; seed: number; lanes: number; firstId: number }
  /** The steps of `setup`, then `step`, killing itself at the nth change to files that this makes. */
  | { job: 'killedAt'; root: Root; setup: Step[]; step: Step; nth: number }
  /** A step of each kind, then random ones, so many in each of several lanes; tells every change to files, and keeps each file in `attic`. */
  | { job: 'record'; root: Root; attic: string; seed: number; lanes: number; steps: number }

export interface Root {
  location: string
  fsync: boolean
}

/** A line of output. A step that ends was acknowledged: from then on its outcome is promised. */
export type Told = { begin: number; step: Step } | { end: number; name: string | null }

/** A change that was made to files. Paths are absolute, descriptors numbers, bytes only counted. */
export interface Change {
  readonly call: string
  readonly args: readonly (string | number)[]
  /** What the call returned: a descriptor, or a number of bytes. */
  readonly result: number
  /** For a file that was new: its name in the attic. */
  readonly made?: string
}

// Before anything is intercepted.
const { writeSync, existsSync, linkSync } = fs

/** Out of this process at once: what is told survives a kill in the next moment. */
function tell(told: Told | Change): void {
  for (let bytes = Buffer.from(`${JSON.stringify(told)}\n`); bytes.length > 0; ) {
    try {
      bytes = bytes.subarray(writeSync(1, bytes))
    } catch (error) {
      // The test has not read the last lines yet.
      if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) throw error
    }
  }
}

async function inLanes(
  { root, seed, lanes }: { root: Root; seed: number; lanes: number },
  files: Map<string, Version>,
  firstId: number,
  steps: number,
  opening?: typeof openingStep,
): Promise<void> {
  const { FileSystemStorage } = await import('stowage')
  const storage = new FileSystemStorage(root)
  const known = new Expectation(files)
  let id = firstId
  const lane = async (number: number) => {
    const random = randomFrom(seed + number)
    for (let done = 0; done < steps; done++) {
      const own = id++
      const step = opening?.(number, own, done) ?? randomStep(random, number, own, known.files)
      known.begin(own, step)
      tell({ begin: own, step })
      const name = await perform(storage, step)
      known.end(own, name)
      tell({ end: own, name })
    }
  }
  await Promise.all(Array.from({ length: lanes }, (_, number) => lane(number)))
}

async function record(job: Extract<Job, { job: 'record' }>): Promise<void> {
  let files = 0
  interceptChanges((call, args, run) => {
    const [first, second] = args
    const creates = call === 'open' && (Number(second) & fs.constants.O_CREAT) !== 0
    const makes = call === 'copyFile' || (creates && !existsSync(String(first)))
    // What a cut leaves is worked out afterwards, so nothing has to reach this disk.
    const result = call === 'fsync' || call === 'fdatasync' ? undefined : run()
    const made = makes ? String(files++) : undefined
    if (made !== undefined) linkSync(String(call === 'copyFile' ? second : first), `${job.attic}/${made}`)
    // A path may be bytes, as a name on the disk need not be UTF-8.
    const isPath = (arg: unknown) => arg instanceof Uint8Array && !call.startsWith('write')
    const plain = args.map((arg) =>
      typeof arg === 'number' || typeof arg === 'string' ? arg : isPath(arg) ? String(arg) : '',
    )
    tell({ call, args: plain, result: Number(result ?? 0), ...(made !== undefined && { made }) })
    return result
  })
  await inLanes(job, new Map(), 0, job.steps, openingStep)
}

async function killedAt({ root, setup, step, nth }: Extract<Job, { job: 'killedAt' }>): Promise<void> {
  const killAt = killOnChange()
  const { FileSystemStorage } = await import('stowage')
  const storage = new FileSystemStorage(root)
  for (const [id, each] of [...setup, step].entries()) {
    if (id === setup.length) killAt(nth)
    tell({ begin: id, step: each })
    tell({ end: id, name: await perform(storage, each) })
  }
}

const job: Job = JSON.parse(process.argv[2] ?? '')
if (job.job === 'record') await record(job)
else if (job.job === 'killedAt') await killedAt(job)
else await inLanes(job, new Map(job.files), job.firstId, Number.POSITIVE_INFINITY)
process.exit(0)
