import { format, inspect } from 'node:util'
import { S3Client } from '@aws-sdk/client-s3'
import {
  createDefaultStorage,
  FileSystemStorage,
  isStorageError,
  MemoryStorage,
  R2Storage,
  S3Storage,
} from 'stowage'
import { describe, expect, it } from 'vitest'
import type { Verdict } from '../servers/r2.js'
import { always, BUSY, MIB, setUpR2, streamOf } from './r2-setup.js'

const TOKEN = 'session-token-0123456789'

/** All that a log could show of a value: an error with its causes, a storage, a file, a stream. */
function everythingIn(value: unknown): string {
  const texts: string[] = []
  for (let each = value, depth = 0; each !== undefined && each !== null && depth < 6; depth++) {
    texts.push(inspect(each, { showHidden: true, depth: 12, maxStringLength: null, maxArrayLength: null }))
    texts.push(
      inspect(each, { showHidden: true, depth: 12, getters: true }),
      format('%s %o %O %j', each, each, each, 0),
    )
    texts.push(
      orError(() => JSON.stringify(each)),
      orError(() => inspect(structuredClone(each), { depth: 12 })),
    )
    if (!(each instanceof Error)) break
    texts.push(each.message, each.stack ?? '')
    each = each.cause
  }
  return texts.join('\n')
}

/** What cannot be cloned or has a circle shows nothing but the error that says so. */
function orError(text: () => string): string {
  try {
    return text()
  } catch (error) {
    return String(error)
  }
}

/** What of the forbidden is in a text; not the text, which would make a page of each failure. */
function leaksIn(text: string, secretAccessKey: string): string[] {
  const marks = /X-Amz-Signature|x-amz-security-token|authorization|AWS4-HMAC|Signature=/gi
  const found = new Set(text.match(marks) ?? [])
  if (text.includes(secretAccessKey)) found.add('secret key')
  if (text.includes(TOKEN)) found.add('session token')
  return [...found]
}

describe.each([true, false])('fastPath %s', (fastPath) => {
  const r2 = setUpR2(fastPath, { sessionToken: TOKEN })

  const situations: Record<string, Verdict> = {
    '400': { status: 400, code: 'InvalidRequest' },
    '401': { status: 401, code: 'Unauthorized' },
    '403': { status: 403, code: 'SignatureDoesNotMatch' },
    '404': { status: 404, code: 'NoSuchBucket' },
    '412': { status: 412, code: 'PreconditionFailed' },
    '416': { status: 416, code: 'InvalidRange' },
    '429': { status: 429, code: 'TooManyRequests', headers: { 'retry-after': '0' } },
    '501': { status: 501, code: 'NotImplemented' },
    '503': BUSY,
    '507': { status: 507, code: 'QuotaExceeded' },
    'a page of HTML': { status: 502, headers: { 'content-type': 'text/html' }, body: '<html>' },
    'a success that is none': { status: 200, headers: {}, body: 'OK' },
    'a broken connection': 'reset',
    'no answer': 'hang',
    'a body that is cut short': { cutAfter: 3 },
  }

  it.each(Object.entries(situations))('no error shows a secret or a signature: %s', showsNothing)

  it.each(Object.entries(situations).slice(0, 10))(
    "nor does one of a caller's own client: %s",
    async (_, verdict) => {
      const { endpoint, accessKeyId, secretAccessKey, sessionToken } = r2.server
      const credentials = {
        accessKeyId,
        secretAccessKey,
        ...(sessionToken !== undefined && { sessionToken }),
      }
      const client = new S3Client({
        endpoint,
        credentials,
        region: 'auto',
        forcePathStyle: true,
        maxAttempts: 1,
      })
      r2.server.behaviour.onRequest = always(verdict)
      const storage = r2.storage({ client })
      for (const work of [
        () => storage.open('a.txt'),
        () => storage.save('a.txt', 'x'),
        () => storage.listdir(),
      ]) {
        const error = await work().catch((caught: unknown) => caught)
        expect(isStorageError(error)).toBe(true)
        expect(leaksIn(everythingIn(error), secretAccessKey)).toEqual([])
      }
    },
  )

  async function showsNothing(what: string, verdict: Verdict): Promise<void> {
    const storage = r2.storage({ maxAttempts: 2, idleTimeout: 200, retryTimeout: 1_500 })
    r2.server.bucket().plant('a.txt', 'some content')
    r2.server.behaviour.onRequest = always(verdict)
    const signal = () => AbortSignal.timeout(100)
    const works: Promise<unknown>[] = [
      storage.save('a.txt', 'x', { ifExists: 'error' }),
      storage.save('big.bin', streamOf(9 * MIB)),
      storage.open('a.txt').then((file) => file.read()),
      storage.open('a.txt', { range: { offset: 2 } }).then((file) => file.stream().toArray()),
      storage.stat('a.txt'),
      storage.exists('a.txt'),
      storage.listdir(),
      storage.copy('a.txt', 'b.txt'),
      storage.move('a.txt', 'c.txt'),
      storage.delete('a.txt'),
      storage.deleteMany(['a.txt', 'b.txt']),
      storage.deletePrefix('a'),
      storage.save('aborted.txt', 'x', { signal: signal() }),
      storage.signedUrl('a.txt', { expiresIn: 0 }),
      storage.save('../a.txt', 'x'),
      storage.save('a.txt', 'x', { maxSize: 0 }),
      storage.save('a.txt', 'x', { allowedTypes: ['image/png'] }),
      storage.list()[Symbol.asyncIterator]().next(),
      storage.signedUpload('a.txt', { size: 1, contentType: 'text/plain' }),
    ]
    const { secretAccessKey } = r2.server
    const errors = (await Promise.allSettled(works)).flatMap((result) =>
      result.status === 'rejected' ? [result.reason] : [],
    )
    expect(errors.length, what).toBeGreaterThan(1)
    for (const error of errors) {
      expect(isStorageError(error)).toBe(true)
      expect(leaksIn(everythingIn(error), secretAccessKey), String(error)).toEqual([])
    }
  }

  it('no error about the options shows a secret', () => {
    const keys = {
      accessKeyId: 'key-id-0123456789',
      secretAccessKey: 'secret-key-0123456789',
      sessionToken: TOKEN,
    }
    for (const options of [
      { bucket: '' },
      { bucket: 'b-1', endpoint: 'nonsense' },
      { bucket: 'b-1', endpoint: 'https://key:secret-key-0123456789@e.example' },
      { bucket: 'b-1', endpoint: 'https://e.example', publicBaseUrl: 'ftp://x' },
      { bucket: 'b-1', endpoint: 'https://e.example', partSize: 1 },
    ]) {
      let error: unknown
      try {
        new R2Storage({ ...keys, ...options })
      } catch (caught) {
        error = caught
      }
      expect(isStorageError(error)).toBe(true)
      expect(everythingIn(error)).not.toMatch(/secret-key-0123456789|session-token-0123456789/)
    }
  })

  it('the storage itself shows none when it is logged', async () => {
    const storage = r2.storage()
    await storage.save('a.txt', 'x')
    const files = [
      await storage.open('a.txt'),
      await storage.open('a.txt'),
      await storage.open('a.txt'),
    ] as const
    const streams = [files[1].stream(), files[2].webStream()]
    for (const value of [storage, ...files, ...streams, storage.url('a.txt'), await storage.stat('a.txt')]) {
      expect(leaksIn(everythingIn(value), r2.server.secretAccessKey)).toEqual([])
    }
    await files[0].close()
    for (const stream of streams) for await (const chunk of stream) expect(chunk).toHaveLength(1)
  })
})

it('no storage of any kind shows its secrets, nor do the errors about them', async () => {
  const secret = 'a-secret-of-more-than-thirty-two-bytes'
  const keys = { accessKeyId: 'key-id', secretAccessKey: secret, sessionToken: TOKEN }
  const endpoint = 'http://127.0.0.1:1'
  const environment = {
    R2_ENABLED: '1',
    R2_ACCESS_KEY_ID: 'key-id',
    R2_SECRET_ACCESS_KEY: secret,
    R2_SESSION_TOKEN: TOKEN,
    R2_BUCKET_NAME: 'files',
    R2_ENDPOINT_URL: endpoint,
  }
  const storages = [
    new MemoryStorage(),
    new FileSystemStorage({ location: '/nowhere', signingSecret: secret }),
    new S3Storage({ ...keys, endpoint, bucket: 'files', maxAttempts: 1 }),
    new R2Storage({ ...keys, endpoint, bucket: 'files', maxAttempts: 1 }),
    new R2Storage({ credentials: async () => keys, endpoint, bucket: 'files', maxAttempts: 1 }),
    createDefaultStorage(environment),
    createDefaultStorage({ MEDIA_ROOT: '/nowhere', STORAGE_SIGNING_SECRET: secret }),
  ]
  for (const storage of storages) {
    // Before and after what is made with the first request.
    for (const value of [storage, await storage.open('a/../b').catch((error: unknown) => error), storage]) {
      expect(leaksIn(everythingIn(value), secret)).toEqual([])
    }
  }
  for (const changes of [
    { R2_ENDPOINT_URL: `https://key:${secret}@e.example` },
    { R2_BUCKET_NAME: '' },
    { R2_ENABLED: secret },
  ]) {
    let error: unknown
    try {
      createDefaultStorage({ ...environment, ...changes })
    } catch (caught) {
      error = caught
    }
    expect(isStorageError(error)).toBe(true)
    expect(leaksIn(everythingIn(error), secret)).toEqual([])
  }
})
