/** A server that is killed while it completes an upload: at each of its steps, and at random moments. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { cp, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  CreateBucketCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  S3Client,
} from '@aws-sdk/client-s3'
import { FileSystemStorage, isStorageError, S3Storage, type Storage, sweep } from 'stowage'
import { afterAll, beforeAll, describe, inject, it } from 'vitest'
import { type Begun, json, PART, picture, UploadClient } from '../http/upload-client.js'
import { type DeadlyProxy, startDeadlyProxy } from '../servers/deadly-proxy.js'
import { AS_R2 } from '../servers/r2.js'
import { startChild } from './child/child.js'
import { filesIn, newFolder } from './child/folders.js'
import type { StorageChoice } from './child/programs.js'
import { type ServerProcess, startServer } from './child/server.js'

const NAME = 'docs/a.png'
const RANDOM_KILLS = 8
const AT_A_TIME = 4
const ORIGIN = 'http://app.test'

interface Sent {
  readonly client: UploadClient
  readonly upload: Begun
  readonly parts: object[]
  readonly bytes: Buffer
}

/** An upload of which only the completion is missing. */
async function send(storage: Storage, first: number): Promise<Sent> {
  const client = new UploadClient(storage, { allowedTypes: ['image/png'] }, ORIGIN)
  const bytes = picture(first + 1000)
  const upload = await client.begin('a.png')
  const parts = [
    await client.put(upload, 1, bytes.subarray(0, first)),
    await client.put(upload, 2, bytes.subarray(first)),
  ]
  return { client, upload, parts, bytes }
}

/** The completion by a process of its own. `dying` lets it die. Whether it did. */
async function completeElsewhere(
  storage: StorageChoice,
  { upload, parts }: Sent,
  more: { killAt?: number; log?: string },
  dying: (kill: () => void) => Promise<void> | void = () => {},
): Promise<boolean> {
  const query = new URLSearchParams({ key: upload.key })
  const url = `${ORIGIN}/s3/multipart/${upload.uploadId}/complete?${query}`
  const child = await startChild('completeUpload', { storage, url, parts, ...more })
  const closed = once(child.process, 'close')
  const dies = dying(() => child.process.kill('SIGKILL'))
  child.go()
  await dies
  await closed
  if (child.process.signalCode === 'SIGKILL') return true
  const { status, body } = await child.result
  assert.equal(status, 200, body)
  return false
}

/** The names of the files that are the uploaded one. Fails if one of them is not whole. */
async function copiesOf(storage: Storage, { bytes }: Sent): Promise<string[]> {
  const names: string[] = []
  for await (const { name } of storage.list()) {
    const found = await storage.open(name).then((file) => file.bytes(), placeholder)
    if (found === undefined || found.equals(Buffer.from('taken'))) continue
    assert.ok(found.equals(bytes), `${name} is not whole`)
    const { contentType, metadata } = await storage.stat(name)
    assert.deepEqual([contentType, { ...metadata }], ['image/png', {}])
    names.push(name)
  }
  return names
}

/** A server without conditional copies lists what holds a name. */
function placeholder(error: unknown): undefined {
  if (isStorageError(error) && error.code === 'NotFound') return undefined
  throw error
}

/** The client asks again, as it got no answer: there is one file, and each further answer is the same. */
async function expectAnswer(storage: Storage, sent: Sent): Promise<string> {
  const before = await copiesOf(storage, sent)
  const { client, upload, parts } = sent
  const { key } = await json<{ key: string }>(await client.complete(upload, parts))
  assert.deepEqual(await copiesOf(storage, sent), [key])
  if (before.length > 0) assert.deepEqual(before, [key])
  const again = await json<{ key: string }>(await client.complete(upload, parts))
  assert.equal(again.key, key)
  assert.deepEqual(await copiesOf(storage, sent), [key])
  return key
}

describe.each([
  ['a free name', false],
  ['a taken name', true],
])('a server on disk that dies while it completes an upload to %s', (_, taken) => {
  const begin = async (first: number) => {
    const location = await newFolder()
    const storage = new FileSystemStorage({ location, fsync: false })
    if (taken) await storage.save(NAME, 'taken')
    const choice = { kind: 'filesystem', location, fsync: false } as const
    return { location, storage, choice, sent: await send(storage, first) }
  }
  /** The client never comes back. */
  const expectSwept = async (location: string, sent: Sent) => {
    const copy = await newFolder()
    await cp(location, copy, { recursive: true, preserveTimestamps: true })
    const storage = new FileSystemStorage({ location: copy, fsync: false })
    await sleep(5)
    await sweep(storage, { olderThan: 0 })
    const names = await copiesOf(storage, sent)
    const hidden = (await filesIn(copy)).filter((path) => /^\.stowage\/(?!meta\/|swept$)/.test(path))
    assert.deepEqual(hidden, [])
    const sidecars = (await filesIn(copy)).filter((path) => path.startsWith('.stowage/meta/'))
    assert.ok(sidecars.length <= 2 * names.length, sidecars.join())
  }

  it('at any change to a file, leaves all or nothing, and the client gets its answer', {
    timeout: 300_000,
  }, async () => {
    let killAt = 0
    let ended = false
    const worker = async () => {
      while (!ended) {
        const { location, storage, choice, sent } = await begin(1000)
        const died = await completeElsewhere(choice, sent, { killAt: ++killAt })
        ended ||= !died
        await copiesOf(storage, sent)
        await expectSwept(location, sent)
        await expectAnswer(storage, sent)
        await expectSwept(location, sent)
      }
    }
    await Promise.all(Array.from({ length: AT_A_TIME }, worker))
    assert.ok(killAt > 12, `${killAt} changes`)
  })

  it('at a random moment, leaves all or nothing, and the client gets its answer', async () => {
    for (let run = 0; run < RANDOM_KILLS; run++) {
      const { location, storage, choice, sent } = await begin(PART)
      const log = join(await newFolder(), 'log')
      await completeElsewhere(choice, sent, { log }, (kill) => killSoon(log, 60, kill))
      await copiesOf(storage, sent)
      await expectSwept(location, sent)
      await expectAnswer(storage, sent)
    }
  })
})

const ceph = inject('ceph')
const servers = ceph ? ['the stand-in for R2', 'Ceph'] : ['the stand-in for R2']

describe.each(servers)('a server on %s that dies while it completes an upload', (name) => {
  let server: ServerProcess | undefined
  let proxy: DeadlyProxy
  let client: S3Client
  const bucket = `uploads-${Date.now()}`
  let options: { endpoint: string; accessKeyId: string; secretAccessKey: string; bucket: string }
  beforeAll(async () => {
    if (name !== 'Ceph') server = await startServer({})
    const keys = server?.keys ?? ceph
    assert.ok(keys)
    options = { ...keys, bucket: server ? 'test-bucket' : bucket }
    const { endpoint, ...credentials } = keys
    client = new S3Client({ region: 'us-east-1', endpoint, credentials, forcePathStyle: true })
    if (!server) await client.send(new CreateBucketCommand({ Bucket: bucket }))
    proxy = await startDeadlyProxy(endpoint)
  })
  afterAll(async () => {
    client.destroy()
    await proxy.stop()
    await server?.[Symbol.asyncDispose]()
  })

  let places = 0
  const begin = async (taken: boolean) => {
    const own = { ...options, prefix: `${++places}`, ...(server && AS_R2) }
    const storage = new S3Storage(own)
    if (taken) await storage.save(NAME, 'taken')
    const choice = { kind: 's3', ...own, endpoint: proxy.endpoint } as const
    return { storage, choice, sent: await send(storage, PART) }
  }

  it.each([
    ['a free name', false],
    ['a taken name', true],
  ])(
    'at any request to %s, leaves all or nothing, and the client gets its answer',
    {
      timeout: 300_000,
    },
    async (_, taken) => {
      let died = true
      for (let nth = 1; died; nth++) {
        const { storage, choice, sent } = await begin(taken)
        died = await completeElsewhere(choice, sent, {}, (kill) => proxy.arm(nth, kill))
        if (!died) assert.ok(nth > 4, `${nth} requests`)
        await copiesOf(storage, sent)
        await expectAnswer(storage, sent)
      }
    },
  )

  it('leaves nothing that a sweep does not remove', { timeout: 300_000 }, async () => {
    const trials: { storage: Storage; sent: Sent; prefix: string }[] = []
    let died = true
    for (let nth = 1; died; nth++) {
      const { storage, choice, sent } = await begin(false)
      died = await completeElsewhere(choice, sent, {}, (kill) => proxy.arm(nth, kill))
      trials.push({ storage, sent, prefix: choice.prefix })
    }
    await sleep(2_500) // The times of uploads are whole seconds.
    for (const { storage, sent, prefix } of trials) {
      await sweep(storage, { olderThan: 1 })
      const names = await copiesOf(storage, sent)
      const below = { Bucket: options.bucket, Prefix: `${prefix}/` }
      const { Contents = [] } = await client.send(new ListObjectsV2Command(below))
      assert.deepEqual(
        Contents.map(({ Key }) => Key),
        names.map((name) => `${prefix}/${name}`),
      )
      const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand(below))
      assert.deepEqual(Uploads, [])
    }
  })

  it('at a random moment, leaves all or nothing, and the client gets its answer', {
    timeout: 300_000,
  }, async () => {
    for (let run = 0; run < RANDOM_KILLS; run++) {
      const { storage, choice, sent } = await begin(run % 2 === 0)
      const log = join(await newFolder(), 'log')
      await completeElsewhere(choice, sent, { log }, (kill) => killSoon(log, 150, kill))
      await copiesOf(storage, sent)
      await expectAnswer(storage, sent)
    }
  })
})

/** Kills within so many milliseconds after the beginning. */
async function killSoon(log: string, range: number, kill: () => void): Promise<void> {
  const hasBegun = async () => (await readFile(log, 'utf8').catch(() => '')) !== ''
  for (let waits = 0; waits < 2000 && !(await hasBegun()); waits++) await sleep(5)
  await sleep(Math.random() * range)
  kill()
}
