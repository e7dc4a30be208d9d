/** A migration that is killed again and again, on a network that loses one request in ten. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { compare, FileSystemStorage, S3Storage, type S3StorageOptions } from 'stowage'
import { startHostileProxy } from '../servers/hostile-proxy.js'
import { inChildren, startChild } from './child/child.js'

const MIB = 1024 * 1024
/** Faults that end a request. One that stalls a completion is waited for ten minutes: the tests of the network have those. */
const FAULTS = [
  'reset before',
  'reset during',
  'reset after',
  '500',
  '503 SlowDown',
  '503 after it was done',
] as const

export interface Files {
  readonly small: number
  /** Larger than a part. */
  readonly large: number
}

/** A folder of random files, which goes with the test. */
export async function folderOf({
  small,
  large,
}: Files): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'stowage-migrate-'))
  for (let n = 0; n < small; n++) {
    const folder = join(path, 'files', `d${n % 10}`)
    await mkdir(folder, { recursive: true })
    await writeFile(join(folder, `f${n}.bin`), randomBytes(n % 7 === 0 ? 0 : 1 + (n % 5) * 4000))
  }
  for (let n = 0; n < large; n++)
    await writeFile(join(path, 'files', `d${n % 10}`, `large-${n}`), randomBytes(6 * MIB + n))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}

/** Kills a migration `kills` times, and lets the next one run to its end: the target is an exact copy then. */
export async function killAndFinish(
  folder: string,
  options: S3StorageOptions & { endpoint: string },
  kills: number,
): Promise<void> {
  const proxy = await startHostileProxy({
    upstream: options.endpoint,
    random: Math.random,
    rate: 0.1,
    only: FAULTS,
  })
  try {
    const storage = { kind: 's3', ...options, endpoint: proxy.endpoint } as const
    const start = async (run: number) => {
      const log = join(folder, `log-${run}`)
      const child = await startChild('migrateFolder', { location: join(folder, 'files'), storage, log })
      child.go()
      return { ...child, log }
    }
    let killed = 0
    for (let run = 0; run < kills; run++) {
      const child = await start(run)
      const closed = once(child.process, 'close')
      const hasBegun = async () => (await readFile(child.log, 'utf8').catch(() => '')) !== ''
      while (child.process.exitCode === null && !(await hasBegun())) await sleep(5)
      await sleep(Math.random() * 500)
      child.process.kill('SIGKILL')
      await closed
      if (child.process.signalCode === 'SIGKILL') killed += 1
    }
    const last = await start(kills)
    assert.deepEqual((await last.result).failed, [])
    assert.ok(killed > 0, 'no run was killed')
  } finally {
    await proxy.stop()
  }
  await expectExactCopy(folder, new S3Storage(options))
}

/** Four processes copy one shard each: the target is an exact copy then. */
export async function migrateInShards(
  folder: string,
  options: S3StorageOptions,
  files: Files,
): Promise<void> {
  const location = join(folder, 'files')
  const migrations = [0, 1, 2, 3].map((index) => ({
    location,
    storage: { kind: 's3', ...options } as const,
    log: join(folder, `log-${index}`),
    shard: { index, of: 4 },
  }))
  const results = await inChildren('migrateFolder', migrations)
  assert.deepEqual(
    results.flatMap(({ failed }) => failed),
    [],
  )
  assert.equal(
    results.reduce((sum, { copied }) => sum + copied, 0),
    files.small + files.large,
  )
  await expectExactCopy(folder, new S3Storage(options))
}

/** The same files with the same bytes, and nothing else: no placeholder and no probe. */
export async function expectExactCopy(folder: string, target: S3Storage): Promise<void> {
  const source = new FileSystemStorage({ location: join(folder, 'files') })
  const wrong: string[] = []
  let same = 0
  for await (const { name, status } of compare(source, target, { verify: true })) {
    if (status === 'same') same += 1
    else wrong.push(`${status} ${name}`)
  }
  for await (const _ of target.list('', { onInvalidName: (name) => wrong.push(`left ${name}`) })) same += 0
  assert.deepEqual(wrong, [])
  assert.ok(same > 0)
}
