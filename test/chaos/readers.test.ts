/** Very many readers that go away or come back late, on every backend. */
import { readdir, readlink } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { FileSystemStorage, S3Storage, type Storage } from 'stowage'
import { describe, expect, inject, it } from 'vitest'
import { inChild } from '../integration/child/child.js'
import { newFolder } from '../integration/child/folders.js'
import type { StorageChoice } from '../integration/child/programs.js'
import { startServer } from '../integration/child/server.js'
import { CONTENT, leaveEarly } from '../integration/downloads.js'
import { report } from './figures.js'
import { FORM } from './form.js'

const CLIENTS = FORM === 'quick' ? 100 : 1_000
/** Milliseconds until all that readers held is back. */
const BACK = 40_000
/** Milliseconds that any other call waits at the most. A machine with work for others takes its time, too. */
const LONGEST_WAIT = 1_000
/** The same for calls of which 500 come at once, beyond what they take where nobody rests. */
const LONGEST_OPEN = 2_000

const ceph = inject('ceph')

/** Each kind of storage: where it is, and where another process finds it. */
async function places(): Promise<
  Record<string, (fastPath: boolean) => Promise<StorageChoice & AsyncDisposable>>
> {
  return {
    'the disk': async () => ({
      kind: 'filesystem',
      location: await newFolder(),
      fsync: false,
      async [Symbol.asyncDispose]() {},
    }),
    'a strict R2 server': async (fastPath) => {
      const server = await startServer({})
      const close = () => server[Symbol.asyncDispose]()
      return { kind: 's3', ...server.keys, bucket: 'test-bucket', fastPath, [Symbol.asyncDispose]: close }
    },
    ...(ceph && {
      Ceph: async (fastPath: boolean) => {
        const bucket = `readers-${Date.now()}`
        const { endpoint, ...credentials } = ceph
        const client = new S3Client({ endpoint, credentials, region: 'us-east-1', forcePathStyle: true })
        await client.send(new CreateBucketCommand({ Bucket: bucket }))
        client.destroy()
        return { kind: 's3' as const, ...ceph, bucket, fastPath, async [Symbol.asyncDispose]() {} }
      },
    }),
  }
}

function storageOf(choice: StorageChoice): Storage {
  if (choice.kind === 'filesystem') return new FileSystemStorage({ location: choice.location, fsync: false })
  const { kind: _, ...options } = choice
  return new S3Storage(withoutDispose(options))
}

/** Options alone: unknown ones are refused. */
function withoutDispose<T extends object>(options: T): T {
  const copy = { ...options }
  Reflect.deleteProperty(copy, Symbol.asyncDispose)
  return copy
}

/** Open files and sockets of this process. */
async function held(): Promise<number> {
  const descriptors = await readdir('/proc/self/fd')
  const paths = await Promise.all(descriptors.map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')))
  return paths.filter((path) => path.startsWith('socket:') || path.includes('/stowage-test-')).length
}

/**
 * Calls whose connections no reader holds. A small Ceph reads each of the many contents ahead, and lets every call wait
 * for that, from wherever it comes.
 */
function watch(storage: Storage, name: string): AsyncDisposable & { longest: number } {
  let over = false
  const calls = async () => {
    while (!over) {
      const begun = performance.now()
      await storage.exists(name)
      watched.longest = Math.max(watched.longest, performance.now() - begun)
      await sleep(5)
    }
  }
  const watched = {
    longest: 0,
    async [Symbol.asyncDispose]() {
      over = true
      await done
    },
  }
  const done = calls()
  return watched
}

const CASES = [
  ['the disk', true],
  ['a strict R2 server', true],
  ['a strict R2 server', false],
  ...(ceph ? ([['Ceph', true]] as const) : []),
] as const

describe.skipIf(process.platform !== 'linux').each(CASES)('on %s, fastPath %s', (where, fastPath) => {
  it(`${CLIENTS} clients that leave at a random moment cost nothing for long`, async () => {
    const place = (await places())[where]
    if (!place) throw new Error(`no place ${where}`)
    await using choice = await place(fastPath)
    const storage = storageOf(choice)
    await storage.save('big.bin', CONTENT)
    const before = await held()
    await using beside = watch(storageOf(choice), 'big.bin')
    const longest = await leaveEarly(storage, 'big.bin', { clients: CLIENTS, within: CLIENTS * 20 })
    await beside[Symbol.asyncDispose]()
    const left = Date.now()
    await expect.poll(held, { timeout: BACK, interval: 500 }).toBeLessThanOrEqual(before)
    const excused = where === 'Ceph' ? beside.longest : 0
    expect(longest).toBeLessThan(LONGEST_WAIT + excused)
    report({
      trial: `${CLIENTS} downloads from ${where}${fastPath ? '' : ' by the AWS SDK'} whose clients leave at a random moment`,
      tried: '`pipe`, `pipeline`, `for await`, `webStream`',
      outcome: `descriptors and sockets back after ${Math.ceil((Date.now() - left) / 1000)} s, no other call waited ${LONGEST_WAIT} ms for them`,
    })
  })

  it('500 files can be open, and are read one after the other without a wait', async () => {
    const place = (await places())[where]
    if (!place) throw new Error(`no place ${where}`)
    await using choice = await place(fastPath)
    await storageOf(choice).save('some.bin', CONTENT.subarray(0, 300_000))
    const storage = withoutDispose(choice)
    const surroundings = where === 'the disk' ? { openFiles: 256 } : {}
    const { longest, unrested, bytes } = await inChild(
      'openMany',
      { storage, name: 'some.bin', count: 500 },
      surroundings,
    )
    expect(bytes).toBe(500 * 300_000)
    expect(longest - unrested).toBeLessThan(LONGEST_OPEN)
    report({
      trial: `500 open files on ${where}${fastPath ? '' : ' by the AWS SDK'}, read one after the other`,
      tried: where === 'the disk' ? '256 descriptors (ulimit -n)' : '128 connections',
      outcome: `no call took ${LONGEST_OPEN} ms more than as many downloads at once`,
    })
  })
})
