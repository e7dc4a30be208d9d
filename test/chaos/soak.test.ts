/** Full speed for long: memory, descriptors, sockets and throughput stay where they are. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { inject, it } from 'vitest'
import { inChild } from '../integration/child/child.js'
import { temporaryFilesIn } from '../integration/child/folders.js'
import type { StorageChoice } from '../integration/child/programs.js'
import { startServer } from '../integration/child/server.js'
import { report } from './figures.js'
import { FORM, SEED } from './form.js'
import type { Sample } from './load.js'

const MIB = 2 ** 20
const ceph = inject('ceph')
const BACKENDS = ceph === null ? 2 : 3
/** Seconds for each backend: a minute, five minutes or an hour for all of them. */
const SECONDS = Math.floor({ quick: 36, long: 280, soak: 3_580 }[FORM] / BACKENDS)
const SAMPLES = { quick: 20, long: 60, soak: 120 }[FORM]

function mean(samples: readonly Sample[], of: (sample: Sample) => number): number {
  return samples.reduce((sum, sample) => sum + of(sample), 0) / samples.length
}

/** Memory that is about to be freed comes and goes. A leak lifts the lowest value. */
function lowest(samples: readonly Sample[], of: (sample: Sample) => number): number {
  return Math.min(...samples.map(of))
}

/** The samples as a table, at most twenty lines of it. */
function tableOf(samples: readonly Sample[]): string {
  const every = Math.ceil(samples.length / 20)
  const lines = samples
    .filter((_, index) => index % every === every - 1)
    .map(({ at, calls, seconds, heap, external, rss, descriptors, sockets }) => {
      const memory = [heap, external, rss].map((bytes) => (bytes / MIB).toFixed(1).padStart(8))
      const counts = [descriptors, sockets].map((count) => String(count).padStart(8))
      return `${String(at).padStart(8)}${(calls / seconds).toFixed(0).padStart(8)}${memory.join('')}${counts.join('')}`
    })
  const heads = ['s', 'calls/s', 'heap MiB', 'external', 'rss', 'fds', 'sockets'].map((head) =>
    head.padStart(8),
  )
  return [heads.join(''), ...lines].join('\n')
}

/** The first third after the warm-up against the last. */
async function soak(backend: string, storage: StorageChoice): Promise<void> {
  const load = await inChild('load', { storage, ms: SECONDS * 1000, samples: SAMPLES, seed: SEED })
  console.log(`${backend}\n${tableOf(load.samples)}`)
  assert.deepEqual(load.surprises, [])
  const warm = load.samples.slice(Math.floor(load.samples.length / 4))
  const third = Math.floor(warm.length / 3)
  const [first, last] = [warm.slice(0, third), warm.slice(-third)]
  const both = (of: (sample: Sample) => number, judge = mean) => [judge(first, of), judge(last, of)] as const
  const [heapBefore, heapAfter] = both(({ heap }) => heap, lowest)
  const [externalBefore, externalAfter] = both(({ external }) => external, lowest)
  const [rssBefore, rssAfter] = both(({ rss }) => rss, lowest)
  const [fdsBefore, fdsAfter] = both(({ descriptors, sockets }) => descriptors - sockets)
  const [socketsBefore, socketsAfter] = both(({ sockets }) => sockets)
  const [speedBefore, speedAfter] = both(({ calls, seconds }) => calls / seconds)
  const calls = load.samples.reduce((sum, sample) => sum + sample.calls, 0)
  assert.ok(calls > SECONDS * 3, `${calls} calls`)
  assert.ok(heapAfter - heapBefore < 2 * MIB, `memory in use grows: ${heapBefore} ${heapAfter}`)
  assert.ok(externalAfter - externalBefore < 2 * MIB, `buffers grow: ${externalBefore} ${externalAfter}`)
  // Freed memory stays with the process: half of the eight workers' uploads may have met late for the first time.
  assert.ok(rssAfter - rssBefore < 44 * MIB + rssBefore * 0.1, `the process grows: ${rssBefore} ${rssAfter}`)
  assert.ok(Math.abs(fdsAfter - fdsBefore) < 1.5, `descriptors: ${fdsBefore} ${fdsAfter}`)
  // Idle connections are kept for the next request: at most one for each of the requests at a time.
  assert.ok(socketsAfter - socketsBefore < 8, `sockets: ${socketsBefore} ${socketsAfter}`)
  // Others use the machine, too.
  assert.ok(speedAfter > speedBefore / 3, `throughput: ${speedBefore} ${speedAfter}`)
  const shown = (before: number, after: number, digits = 0) =>
    `${before.toFixed(digits)} → ${after.toFixed(digits)}`
  report({
    trial: `full speed for long: ${backend}`,
    tried: `${calls.toLocaleString('en')} calls of ${Object.keys(load.calls).length} kinds in ${SECONDS} s`,
    outcome: `heap ${shown(heapBefore / MIB, heapAfter / MIB, 1)} MiB, buffers ${shown(externalBefore / MIB, externalAfter / MIB)} MiB, process ${shown(rssBefore / MIB, rssAfter / MIB)} MiB, descriptors ${shown(fdsBefore, fdsAfter)}, sockets ${shown(socketsBefore, socketsAfter)}, ${shown(speedBefore, speedAfter)} calls/s`,
  })
}

it('the filesystem', async () => {
  const location = await mkdtemp(join(tmpdir(), 'stowage-soak-'))
  try {
    await soak('FileSystemStorage', { kind: 'filesystem', location, fsync: false })
    assert.deepEqual(await temporaryFilesIn(location), [])
  } finally {
    await rm(location, { recursive: true, force: true })
  }
})

it('R2', async () => {
  await using server = await startServer({})
  await soak('R2Storage', { kind: 'r2', ...server.keys, bucket: 'test-bucket', partSize: 5 * MIB })
})

it.runIf(ceph !== null)('Ceph', async () => {
  if (ceph === null) return
  const bucket = `soak-${process.pid}`
  const { endpoint } = ceph
  const client = new S3Client({
    endpoint,
    region: 'us-east-1',
    credentials: { ...ceph },
    forcePathStyle: true,
  })
  await client.send(new CreateBucketCommand({ Bucket: bucket }))
  client.destroy()
  await soak('S3Storage on Ceph', { kind: 's3', ...ceph, bucket, partSize: 5 * MIB })
})
