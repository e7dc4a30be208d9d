/** A process that changes files and is killed meanwhile: `node writer.mjs <job as JSON>`. Tells what it does on stdout. */
import fs from 'node:fs'
import { randomFrom } from '../form.js'
import { Expectation, perform, randomStep, type Step } from '../steps.js'
import type { Version } from '../version.js'
import { interceptChanges } from './calls.js'

export type Job =
  /** Random steps in several lanes side by side, until it is killed. */
  | { job: 'onAndOn'; root: Root; files: [string, Version][]; seed: number; lanes: number; firstId: number }
  /** The steps of `setup`, then `step`, killing itself at the nth change to files that this makes. */
  | { job: 'killedAt'; root: Root; setup: Step[]; step: Step; nth: number }

export interface Root {
  location: string
  fsync: boolean
}

/** A line of output. A step that ends was acknowledged: from then on its outcome is promised. */
export type Told = { begin: number; step: Step } | { end: number; name: string | null }

const { writeSync } = fs // Before anything is intercepted.

/** Out of this process at once: what is told survives a kill in the next moment. */
function tell(told: Told): void {
  for (let bytes = Buffer.from(`${JSON.stringify(told)}\n`); bytes.length > 0; ) {
    try {
      bytes = bytes.subarray(writeSync(1, bytes))
    } catch (error) {
      // The test has not read the last lines yet.
      if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) throw error
    }
  }
}

async function onAndOn(job: Extract<Job, { job: 'onAndOn' }>): Promise<void> {
  const { FileSystemStorage } = await import('stowage')
  const storage = new FileSystemStorage(job.root)
  const known = new Expectation(new Map(job.files))
  let id = job.firstId
  const lane = async (number: number) => {
    const random = randomFrom(job.seed + number)
    for (;;) {
      const own = id++
      const step = randomStep(random, number, own, known.files)
      known.begin(own, step)
      tell({ begin: own, step })
      const name = await perform(storage, step)
      known.end(own, name)
      tell({ end: own, name })
    }
  }
  await Promise.all(Array.from({ length: job.lanes }, (_, number) => lane(number)))
}

async function killedAt({ root, setup, step, nth }: Extract<Job, { job: 'killedAt' }>): Promise<void> {
  let left = Number.POSITIVE_INFINITY
  interceptChanges((call, args, run) => {
    left -= 1
    if (left > 0) return run()
    if (call === 'write') {
      const [fd, bytes, offset, length, position] = args
      writeSync(
        fd as number,
        bytes as Uint8Array,
        offset as number,
        Math.ceil((length as number) / 2),
        position as number | null,
      )
    }
    process.kill(process.pid, 'SIGKILL')
    for (;;); // The signal takes a moment.
  })
  const { FileSystemStorage } = await import('stowage')
  const storage = new FileSystemStorage(root)
  for (const [id, each] of [...setup, step].entries()) {
    if (id === setup.length) left = nth
    tell({ begin: id, step: each })
    tell({ end: id, name: await perform(storage, each) })
  }
}

const job: Job = JSON.parse(process.argv[2] ?? '')
await (job.job === 'onAndOn' ? onAndOn(job) : killedAt(job))
process.exit(0)
