import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { CreateBucketCommand, PutBucketPolicyCommand, S3Client } from '@aws-sdk/client-s3'
import {
  type Check,
  type CheckOutcome,
  cloudflarePurge,
  defaultExpiry,
  defaultStorage,
  diagnose,
  FileSystemStorage,
  MemoryStorage,
  Problem,
  prefixed,
  R2Storage,
  readOnly,
  readThrough,
  S3Storage,
  type S3StorageOptions,
  type Storage,
  setDefaultStorage,
} from 'stowage'
import { createFileHandler, toNodeListener } from 'stowage/http'
import { afterEach, beforeAll, describe, inject, it } from 'vitest'
import { filesIn, newFolder } from '../integration/child/folders.js'
import { first, setUpR2 } from '../integration/r2-setup.js'
import { sdkFor } from '../servers/r2-client.js'
import { altered } from '../unit/altered.js'
import { checksOf, diagnosed, expectHealthy, problemIn } from './diagnosed.js'
import { failingDeletes, namesIn } from './storages.js'

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

/** A server on a free port. Returns its origin. */
async function listening(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closing.push(
    () => server.close(),
    () => server.closeAllConnections(),
  )
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const FILE_CHECKS = ['write', 'list', 'create-only', 'read', 'range', 'metadata', 'delete']
const ADDRESSES = ['public-url', 'cache-headers', 'signed-get', 'signed-head', 'signed-put']
const SPEED = ['latency', 'throughput']

describe('a healthy storage', () => {
  it('in memory', async () => {
    const storage = new MemoryStorage()
    await storage.save('kept.txt', 'x')
    const results = await diagnosed(storage)
    expectHealthy(results)
    assert.deepEqual(checksOf(results, 'ok'), [...FILE_CHECKS, ...SPEED])
    assert.deepEqual(checksOf(results, 'skipped'), ADDRESSES)
    assert.deepEqual(await namesIn(storage), ['kept.txt'])
  })

  it('on disk, also by the default storage', async () => {
    const location = await newFolder()
    const storage = new FileSystemStorage({ location })
    await storage.save('kept.txt', 'x')
    const restore = setDefaultStorage(storage)
    closing.push(restore)
    const results = await diagnosed(defaultStorage)
    expectHealthy(results)
    const disk = ['root', 'space', 'writable', 'modes', 'fsync', 'hard-links', 'letter-case', 'times']
    assert.deepEqual(checksOf(results, 'ok'), [...disk, ...FILE_CHECKS, ...SPEED])
    const left = (await filesIn(location)).filter((path) => path !== '.stowage/swept')
    assert.deepEqual(left, ['kept.txt'])
  })

  it('in a folder that is not there yet', async () => {
    const storage = new FileSystemStorage({
      location: `${await newFolder()}/a/b`,
      fsync: false,
      fileMode: null,
    })
    const results = await diagnosed(storage)
    expectHealthy(results)
    assert.match(results[0]?.message ?? '', /is not there yet; the first save makes it/)
    assert.ok(checksOf(results, 'skipped').includes('fsync'))
    assert.deepEqual(await namesIn(storage), [])
  })

  it('on disk, where the application serves it', async () => {
    const location = await newFolder()
    const signingSecret = 'a-secret-of-more-than-thirty-two-bytes'
    const handlers: ((request: Request) => Promise<Response | undefined>)[] = []
    const origin = await listening(
      createServer(toNodeListener(async (request: Request) => handlers[0]?.(request))),
    )
    const storage = new FileSystemStorage({ location, baseUrl: `${origin}/uploads/`, signingSecret })
    for (const access of ['signed', 'public'] as const) {
      handlers[0] = createFileHandler(storage, { access, cors: ['https://app.test'] })
      const results = await diagnosed(storage, { secrets: [signingSecret], origin: 'https://app.test' })
      expectHealthy(results)
      const served = access === 'public' ? ADDRESSES : ADDRESSES.slice(2)
      assert.deepEqual(checksOf(results, 'ok').slice(8), [...FILE_CHECKS, ...served, 'cors', ...SPEED])
    }
    assert.deepEqual(await namesIn(storage), [])
  })

  it('behind wrappers', async () => {
    const [newer, older] = [new MemoryStorage(), new FileSystemStorage({ location: await newFolder() })]
    for (const storage of [
      prefixed(newer, 'a/b'),
      readThrough(newer, older),
      prefixed(readThrough(newer, older), 'c'),
    ]) {
      expectHealthy(await diagnosed(storage))
    }
    expectHealthy(await diagnosed(prefixed(older, 't/7')))
    assert.deepEqual([...(await namesIn(newer)), ...(await namesIn(older))], [])
  })

  it('that is read-only is not written to', async () => {
    const location = await newFolder()
    const before = await filesIn(location)
    for (const storage of [
      readOnly(new FileSystemStorage({ location })),
      prefixed(readOnly(new FileSystemStorage({ location })), 'a'),
    ]) {
      const results = await diagnosed(storage)
      expectHealthy(results)
      assert.deepEqual(checksOf(results, 'ok'), ['root', 'list'])
      for (const { status, message } of results) if (status === 'skipped') assert.match(message, /read-only/)
    }
    assert.deepEqual(await filesIn(location), before)
  })
})

describe.each([true, false])('a healthy bucket (fastPath %s)', (fastPath) => {
  const r2 = setUpR2(fastPath)
  const SERVER = ['address', 'endpoint', 'clock', 'credentials', 'bucket', 'cors', 'lifecycle', 'conditions']

  it.each([{}, { prefix: 'a/b' }, { conditionalCompletion: undefined, conditionalCopy: undefined }])(
    'of the stand-in, with %j',
    async (options) => {
      const storage = r2.storage(options)
      await storage.setCors({ origins: ['https://app.test'] })
      await storage.setLifecycle(defaultExpiry)
      r2.server.bucket().plant('kept.txt', 'x')
      const secrets = [r2.server.accessKeyId, r2.server.secretAccessKey]
      const results = await diagnosed(storage, { secrets })
      expectHealthy(results)
      assert.deepEqual(checksOf(results, 'ok'), [...SERVER, ...FILE_CHECKS, ...ADDRESSES.slice(2), ...SPEED])
      const tried = await diagnosed(storage, { origin: 'https://app.test' })
      expectHealthy(tried)
      assert.match(tried.find(({ check }) => check === 'cors')?.message ?? '', /app\.test may upload/)
      for (const storage of [prefixed(r2.storage(options), 'x'), readOnly(r2.storage(options))]) {
        expectHealthy(await diagnosed(storage))
      }
      expectHealthy(await diagnosed(readThrough(storage, prefixed(r2.storage(options), 'old'))))
      assert.deepEqual(r2.server.bucket().keys(), ['kept.txt'])
      assert.equal(r2.server.openUploads, 0)
    },
  )

  it("through a caller's own client", async () => {
    const storage = new S3Storage({
      bucket: 'test-bucket',
      client: sdkFor(r2.server),
      conditionalCompletion: true,
    })
    await storage.setCors({ origins: ['https://app.test'] })
    await storage.setLifecycle(defaultExpiry)
    expectHealthy(await diagnosed(storage, { secrets: [r2.server.secretAccessKey] }))
    const wrong = new S3Storage({ bucket: 'no-such-bucket', client: sdkFor(r2.server) })
    assert.equal(problemIn(await diagnosed(wrong)).check, 'bucket')
    assert.deepEqual(r2.server.bucket().keys(), [])
  })
})

const [ceph, guest] = [inject('ceph'), inject('cephGuest')]
describe.skipIf(ceph === null)('Ceph', () => {
  it.each([true, false])('has no failure (fastPath %s)', async (fastPath) => {
    if (ceph === null) return
    const { endpoint, ...credentials } = ceph
    const client = new S3Client({ endpoint, credentials, region: 'us-east-1', forcePathStyle: true })
    closing.push(() => client.destroy())
    const bucket = `doctor-${fastPath}-${process.pid}`
    await client.send(new CreateBucketCommand({ Bucket: bucket }))
    const storage = new S3Storage({ ...ceph, bucket, fastPath })
    const results = await diagnosed(storage, { secrets: [ceph.secretAccessKey] })
    assert.deepEqual(checksOf(results, 'failed'), [])
    assert.deepEqual(checksOf(results, 'warning'), ['cors', 'lifecycle'])
    assert.match(results.find(({ check }) => check === 'conditions')?.message ?? '', /placeholder/)
    await storage.setCors({ origins: ['https://app.test'] })
    await storage.setLifecycle(defaultExpiry)
    expectHealthy(await diagnosed(storage, { origin: 'https://app.test' }))
    expectHealthy(await diagnosed(prefixed(storage, 'a')))
    assert.deepEqual(await namesIn(storage), [])
  })
})

describe.skipIf(ceph === null || guest === null)('a fault on Ceph', () => {
  const bucket = `doctor-faults-${process.pid}`
  /** Diagnoses the bucket by these options. The owner looks for what is left. */
  const found = async (options: Partial<S3StorageOptions>) => {
    if (ceph === null) throw new Error('no Ceph')
    const secretAccessKey = options.secretAccessKey ?? ceph.secretAccessKey
    const results = await diagnosed(new S3Storage({ ...ceph, bucket, ...options }), {
      secrets: [secretAccessKey],
    })
    assert.deepEqual(await namesIn(new S3Storage({ ...ceph, bucket })), [])
    const failures = results.filter(({ status }) => status === 'failed')
    assert.equal(failures.length, 1, JSON.stringify(failures))
    return failures[0]?.check
  }
  beforeAll(async () => {
    if (ceph === null) return
    const { endpoint, ...credentials } = ceph
    const client = new S3Client({ endpoint, credentials, region: 'us-east-1', forcePathStyle: true })
    await client.send(new CreateBucketCommand({ Bucket: bucket }))
    client.destroy()
  })

  it('is found', async () => {
    assert.equal(await found({ accessKeyId: 'other' }), 'credentials')
    assert.equal(await found({ secretAccessKey: 'other' }), 'credentials')
    assert.equal(await found({ bucket: 'no-such-bucket' }), 'bucket')
    assert.equal(await found({ conditionalCompletion: true }), 'conditions')
    if (guest !== null) assert.equal(await found({ ...guest }), 'bucket')
  })

  it('of rights is found', async () => {
    if (ceph === null || guest === null) return
    const { endpoint, ...credentials } = ceph
    const client = new S3Client({
      endpoint,
      credentials,
      region: 'us-east-1',
      forcePathStyle: true,
      requestChecksumCalculation: 'WHEN_REQUIRED',
    })
    const allow = (...actions: string[]) => {
      const Statement = [
        {
          Effect: 'Allow',
          Principal: { AWS: ['arn:aws:iam:::user/guest'] },
          Action: actions,
          Resource: [`arn:aws:s3:::${bucket}/*`, `arn:aws:s3:::${bucket}`],
        },
      ]
      const Policy = JSON.stringify({ Version: '2012-10-17', Statement })
      return client.send(new PutBucketPolicyCommand({ Bucket: bucket, Policy }))
    }
    const [read, write] = [['s3:GetObject'], ['s3:PutObject', 's3:DeleteObject', 's3:AbortMultipartUpload']]
    await allow(...read, ...write)
    assert.equal(await found({ ...guest }), 'list')
    await allow(...read, 's3:ListBucket')
    assert.equal(await found({ ...guest }), 'write')
    client.destroy()
  })
})

describe('the public address', () => {
  const r2 = setUpR2(true)

  /** A CDN in front of the bucket, as it answers. */
  async function withCdn(
    answer: (content: Buffer | undefined) => {
      status: number
      headers?: Record<string, string>
      body?: Buffer
    },
  ) {
    const server = createServer(async (request, response) => {
      const key = decodeURIComponent((request.url ?? '').slice(1))
      const content = await inner
        .open(key)
        .then((file) => file.read())
        .catch(() => undefined)
      const { status, headers = {}, body } = answer(content)
      response.writeHead(status, headers).end(body)
    })
    const publicBaseUrl = await listening(server)
    const inner = r2.storage()
    const storage = r2.storage({ publicBaseUrl })
    await storage.setCors({ origins: ['https://app.test'] })
    await storage.setLifecycle(defaultExpiry)
    return storage
  }

  it('serves the file, with its cache headers', async () => {
    const storage = await withCdn((body) => ({
      status: 200,
      headers: { 'cache-control': 'max-age=86400', 'cf-cache-status': 'MISS' },
      ...(body && { body }),
    }))
    const results = await diagnosed(storage)
    expectHealthy(results)
    assert.equal(
      results.find(({ check }) => check === 'cache-headers')?.message,
      'Cache-Control is max-age=86400; the cache says MISS.',
    )
  })

  it.each([
    [401, /refuses the file \(401\)/, /public access/],
    [403, /refuses the file \(403\)/, /public access/],
    [404, /does not know the file/, /R2_PUBLIC_BASE_URL/],
    [500, /answers 500/, /the server or the CDN/],
  ])('answers %i', async (status, message, remedy) => {
    const problem = problemIn(await diagnosed(await withCdn(() => ({ status }))))
    assert.equal(problem.check, 'public-url')
    assert.equal(problem.status, 'failed')
    assert.match(problem.message, message)
    assert.match(problem.remedy ?? '', remedy)
    assert.deepEqual(r2.server.bucket().keys(), [])
  })

  it('serves something else', async () => {
    const page = Buffer.from('<html>Welcome')
    const problem = problemIn(await diagnosed(await withCdn(() => ({ status: 200, body: page }))))
    assert.equal(problem.check, 'public-url')
    assert.match(problem.message, /serves something else than the file/)
  })

  it('does not answer', async () => {
    const storage = r2.storage({ publicBaseUrl: 'http://127.0.0.1:1' })
    await storage.setCors({ origins: ['https://app.test'] })
    await storage.setLifecycle(defaultExpiry)
    const problem = problemIn(await diagnosed(storage))
    assert.equal(problem.check, 'public-url')
    assert.match(problem.message, /127\.0\.0\.1:1 does not answer/)
  })

  it.each([
    [{ 'cache-control': 'private, no-store' }, /sends Cache-Control: private, no-store/],
    [{}, /does not send the Cache-Control/],
  ])('has other cache headers: %j', async (headers, message) => {
    const problem = problemIn(
      await diagnosed(await withCdn((body) => ({ status: 200, headers, ...(body && { body }) }))),
    )
    assert.equal(problem.check, 'cache-headers')
    assert.equal(problem.status, 'warning')
    assert.match(problem.message, message)
  })

  it('of an application that is down is one failure', async () => {
    const storage = new FileSystemStorage({
      location: await newFolder(),
      baseUrl: 'http://127.0.0.1:1/uploads/',
    })
    const problem = problemIn(await diagnosed(storage))
    assert.equal(problem.check, 'public-url')
    assert.match(problem.message, /does not answer/)
  })

  it('is purged by a token that may not', async () => {
    const server = createServer((_, response) => {
      response.writeHead(403).end(JSON.stringify({ success: false, errors: [{ message: 'no such zone' }] }))
    })
    const purge = cloudflarePurge({
      zoneId: 'a'.repeat(32),
      apiToken: 'the-token',
      endpoint: await listening(server),
    })
    const { endpoint, accessKeyId, secretAccessKey } = r2.server
    const storage = new R2Storage({
      endpoint,
      accessKeyId,
      secretAccessKey,
      bucket: 'test-bucket',
      publicBaseUrl: `${endpoint}/nowhere`,
      purge,
    })
    const results = await diagnosed(storage, { secrets: ['the-token'] })
    const problem = results.find(({ check }) => check === 'purge')
    assert.equal(problem?.status, 'failed')
    assert.match(problem?.message ?? '', /The CDN was not purged: Cloudflare answered 403.*no such zone/)
  })
})

describe('a check of a driver', () => {
  const base = { group: 'Server', essential: false, writes: false, needs: [] }

  it('that throws at once is a failure like others', async () => {
    const run = () => {
      throw new Problem('Unavailable', 'the server is away')
    }
    const storage = altered(new MemoryStorage(), () => ({
      checks: async () => [{ ...base, check: 'own', run }],
    }))
    const problem = problemIn(await diagnosed(storage))
    assert.deepEqual([problem.check, problem.message], ['own', 'It failed: the server is away.'])
  })

  it('may be an object of a class', async () => {
    class Own implements Check {
      readonly group = 'Server'
      readonly check = 'own'
      readonly essential = false
      readonly writes = false
      readonly needs = []
      readonly #message = 'All is well.'
      async run(): Promise<CheckOutcome> {
        return { status: 'ok', message: this.#message }
      }
    }
    const results = await diagnosed(altered(new MemoryStorage(), () => ({ checks: async () => [new Own()] })))
    assert.equal(results[0]?.message, 'All is well.')
  })
})

describe('files', () => {
  /** A driver that does one thing wrong. */
  it.each<[string, string, RegExp, () => Storage]>([
    [
      'other bytes are read than were written',
      'read',
      /reads back other than it was written/,
      () =>
        altered(new MemoryStorage(), (inner) => ({
          read: async (request) => {
            const opened = await inner.read(request)
            return request.range
              ? opened
              : { ...opened, body: { ...opened.body, bytes: async () => Buffer.from('?') } }
          },
        })),
    ],
    [
      'a range is ignored',
      'range',
      /A part of the file reads back wrong/,
      () =>
        altered(new MemoryStorage(), (inner) => ({
          read: async (request) => {
            const opened = await inner.read({ ...request, range: undefined })
            return opened
          },
        })),
    ],
    [
      'metadata is lost',
      'metadata',
      /lost attributes: metadata\./,
      () =>
        altered(new MemoryStorage(), (inner) => ({
          head: async (name, signal) => {
            const state = await inner.head(name, signal)
            return state && { ...state, metadata: {} }
          },
        })),
    ],
    [
      'a taken name is overwritten',
      'create-only',
      /was overwritten: the server ignores If-None-Match/,
      () =>
        altered(new MemoryStorage(), (inner) => ({
          stage: async (request) => {
            const staged = await inner.stage(request)
            return { ...staged, publish: (name) => staged.publish(name, false) }
          },
        })),
    ],
    [
      'a listing lacks new files',
      'list',
      /just written is not listed/,
      () => altered(new MemoryStorage(), () => ({ list: async function* () {} })),
    ],
    [
      'a delete does nothing',
      'delete',
      /is still there/,
      () => altered(new MemoryStorage(), () => ({ remove: async () => [] })),
    ],
    [
      'a delete fails',
      'delete',
      /cannot be deleted: the disk is broken/,
      () => failingDeletes(new MemoryStorage(), () => true),
    ],
  ])('%s', async (_, check, message, make) => {
    const problem = problemIn(await diagnosed(make()))
    assert.equal(problem.check, check)
    assert.equal(problem.status, 'failed')
    assert.match(problem.message, message)
  })

  it('a check that hangs ends by its time, and the others go on', async () => {
    const storage = altered(new MemoryStorage(), () => ({ head: () => new Promise<null>(() => {}) }))
    const results = await diagnosed(storage, { timeout: 50 })
    const late = results.filter(({ status }) => status === 'failed')
    assert.deepEqual(
      late.map(({ check }) => check),
      ['metadata'],
    )
    for (const { message } of late) assert.match(message, /no result within 0\.05 s/)
    assert.deepEqual(await namesIn(storage), [])
  })
})

describe('diagnose', () => {
  const r2 = setUpR2(true)

  it('leaves nothing where the loop is left, at whatever record', async () => {
    for (let records = 1; records < 24; records++) {
      const storage = r2.storage()
      let seen = 0
      for await (const _ of diagnose(storage)) {
        seen += 1
        if (seen === records) break
      }
      assert.deepEqual(r2.server.bucket().keys(), [], `after ${records}`)
    }
  })

  it('ends with its signal, and leaves nothing', async () => {
    for (const at of ['address', 'write', 'read', 'signed-put']) {
      const stop = new AbortController()
      const seen: string[] = []
      const run = async () => {
        for await (const { check } of diagnose(r2.storage(), { signal: stop.signal })) {
          seen.push(check)
          if (check === at) stop.abort('enough')
        }
      }
      await assert.rejects(run(), { code: 'Aborted', operation: 'diagnose', cause: 'enough' })
      assert.equal(seen.at(-1), at)
      assert.deepEqual(r2.server.bucket().keys(), [])
    }
  })

  it.each(['PutObject', 'CreateMultipartUpload', 'UploadPart', 'CompleteMultipartUpload'])(
    'leaves nothing where it is aborted during %s',
    async (operation) => {
      const stop = new AbortController()
      r2.server.behaviour.onRequest = (info) => {
        if (info.operation === operation) stop.abort('enough')
        return undefined
      }
      const run = async () => {
        for await (const _ of diagnose(r2.storage(), { signal: stop.signal }));
      }
      await assert.rejects(run(), { code: 'Aborted', cause: 'enough' })
      assert.deepEqual(r2.server.bucket().keys(), [])
      assert.equal(r2.server.openUploads, 0)
    },
  )

  it('ends at once in the middle of a check', async () => {
    const stop = new AbortController()
    r2.server.behaviour.onRequest = (info) => {
      setTimeout(() => stop.abort('enough'), 20)
      return first('GetObject', 'hang')(info)
    }
    const next = diagnose(r2.storage(), { signal: stop.signal })
    const run = async () => {
      for await (const _ of next);
    }
    await assert.rejects(run(), { code: 'Aborted', cause: 'enough' })
  })

  it('refuses wrong options, and what is no storage', async () => {
    const memory = new MemoryStorage()
    for (const options of [{ timeout: 0 }, { timeout: 600_001 }, { origin: 'app.test' }, { origins: [] }]) {
      const given = options as Parameters<typeof diagnose>[1]
      await assert.rejects(diagnose(memory, given).next(), { code: 'InvalidArgument', operation: 'diagnose' })
    }
    const nothing: unknown = {}
    await assert.rejects(diagnose(nothing as Storage).next(), { code: 'InvalidArgument' })
    const signal = AbortSignal.abort('before')
    await assert.rejects(diagnose(memory, { signal }).next(), { code: 'Aborted', cause: 'before' })
    assert.deepEqual(await namesIn(memory), [])
  })
})
