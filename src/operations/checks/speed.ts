import { type Check, type CheckOutcome, ok, warning } from '../../checks.js'
import { attempt } from './files.js'
import type { Trial } from './trial.js'

const MIB = 1024 * 1024
const ONE_BYTE = { offset: 0, length: 1 }
const TIMES = 5
/** Milliseconds that the read of a byte takes on a storage far away. */
const SLOW = 2_000

/** How fast the storage is from here. */
export function speedChecks(trial: Trial): Check[] {
  const base = { group: 'Speed', essential: false, needs: ['write', 'read'], writes: true }
  return [
    {
      ...base,
      check: 'latency',
      run: ({ signal }) => attempt('The file cannot be read', {}, () => latency(trial, signal)),
    },
    {
      ...base,
      check: 'throughput',
      run: ({ signal }) => attempt('A larger file fails', {}, () => throughput(trial, signal)),
    },
  ]
}

async function latency({ storage, folder }: Trial, signal: AbortSignal): Promise<CheckOutcome> {
  const times: number[] = []
  for (let time = 0; time < TIMES; time++) {
    const begun = performance.now()
    await (await storage.open(`${folder}/file.txt`, { range: ONE_BYTE, signal })).read()
    times.push(performance.now() - begun)
  }
  const median = times.sort((one, other) => one - other)[Math.floor(TIMES / 2)] ?? 0
  const message = `A read of one byte takes ${median < 10 ? median.toFixed(1) : Math.round(median)} ms.`
  return median < SLOW ? ok(message) : warning(message, 'Run the application near the storage.')
}

async function throughput(trial: Trial, signal: AbortSignal): Promise<CheckOutcome> {
  const begun = performance.now()
  await trial.save('large.bin', Buffer.alloc(MIB, 'x'), { signal })
  const written = performance.now()
  await (await trial.storage.open(trial.name('large.bin'), { signal })).read()
  const rate = (from: number, to: number) => (1000 / Math.max(to - from, 0.1)).toFixed(1)
  const read = performance.now()
  return ok(`1 MiB is written at ${rate(begun, written)} MiB/s and read at ${rate(written, read)} MiB/s.`)
}
