import { Readable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import type { Verdict } from '../servers/r2.js'
import { always, BUSY, first, MIB, setUpR2, streamOf } from './r2-setup.js'

const html = { 'content-type': 'text/html' }
const PASSING: { what: string; verdict: Verdict }[] = [
  { what: 'a 500', verdict: { status: 500, code: 'InternalError' } },
  {
    what: 'a 502 with a page of HTML',
    verdict: { status: 502, headers: html, body: '<html><h1>Bad gateway' },
  },
  { what: 'a 503', verdict: BUSY },
  { what: "Cloudflare's 520", verdict: { status: 520, headers: html, body: 'error code: 520' } },
  { what: "Cloudflare's 522", verdict: { status: 522, body: '' } },
  { what: "Cloudflare's 530", verdict: { status: 530, headers: html, body: '<html>1016' } },
  { what: 'a connection that breaks', verdict: 'reset' },
  { what: 'a 503 before the body was read', verdict: { ...BUSY, early: true } },
]

describe.each([true, false])('fastPath %s', (fastPath) => {
  const r2 = setUpR2(fastPath)

  it.each(PASSING)('gets over $what, whatever it does', async ({ verdict }) => {
    const storage = r2.storage()
    const { behaviour } = r2.server
    behaviour.onRequest = first('PutObject', verdict)
    await storage.save('a/x.txt', 'content')
    behaviour.onRequest = first('HeadObject', verdict)
    expect(await storage.exists('a/x.txt')).toBe(true)
    behaviour.onRequest = first('GetObject', verdict)
    expect(await (await storage.open('a/x.txt')).text()).toBe('content')
    behaviour.onRequest = first('ListObjectsV2', verdict)
    expect(await storage.listdir('a')).toEqual({ directories: [], files: ['x.txt'] })
    behaviour.onRequest = first('CopyObject', verdict)
    await storage.copy('a/x.txt', 'a/y.txt')
    behaviour.onRequest = first('DeleteObjects', verdict)
    await storage.deleteMany(['a/x.txt', 'a/y.txt'])
    behaviour.onRequest = first('DeleteObject', verdict)
    await storage.delete('a/x.txt')
    for (const operation of ['CreateMultipartUpload', 'UploadPart', 'CompleteMultipartUpload']) {
      behaviour.onRequest = first(operation, verdict)
      const name = await storage.save(`${operation}.bin`, streamOf(9 * MIB))
      expect(r2.server.bucket().get(name)?.content.size).toBe(9 * MIB)
    }
    expect(r2.server.bucket().keys()).toHaveLength(3)
  })

  it('sends a body again whose answer never came, however long the body might have been on its way', async () => {
    // 128 KiB may take two seconds, longer than the tries.
    const storage = r2.storage({ connectTimeout: 200, idleTimeout: 200, retryTimeout: 1_000 })
    r2.server.behaviour.onRequest = first('PutObject', 'hang')
    await storage.save('a.bin', Buffer.alloc(128 * 1024, 'x'))
    expect(r2.operations('HeadObject')).toEqual(['PutObject', 'PutObject'])
    expect(r2.server.bucket().get('a.bin')?.content.size).toBe(128 * 1024)
  })

  it('waits a second or more after a 429, and succeeds then', async () => {
    r2.server.behaviour.sameKeyWriteIntervalMs = 1_000
    const storage = r2.storage()
    await storage.save('hot.txt', 'one')
    const start = Date.now()
    await storage.save('hot.txt', 'two', { ifExists: 'overwrite' })
    expect(Date.now() - start).toBeGreaterThan(950)
    expect(r2.operations('HeadObject')).toEqual(['PutObject', 'PutObject', 'PutObject'])
    expect(await (await storage.open('hot.txt')).text()).toBe('two')
  })

  it('ends after maxAttempts, with one layer of retries, and says what may help', async () => {
    const storage = r2.storage({ maxAttempts: 2 })
    const unavailable = { code: 'Unavailable', retryable: true, status: 503, file: 'a.txt' }
    for (const verdict of [BUSY, 'reset'] as const) {
      r2.server.behaviour.onRequest = always(verdict)
      for (const [operation, work] of Object.entries({
        GetObject: () => storage.open('a.txt'),
        HeadObject: () => storage.exists('a.txt'),
        DeleteObject: () => storage.delete('a.txt'),
      })) {
        r2.server.requests.length = 0
        await expect(work()).rejects.toMatchObject(unavailable)
        expect(r2.operations()).toEqual([operation, operation])
      }
      r2.server.requests.length = 0
      // A create-only one would go on to look for what it may have stored.
      const save = storage.save('a.txt', 'x', { ifExists: 'overwrite' })
      await expect(save).rejects.toMatchObject(unavailable)
      await expect(save).rejects.toThrow(/save "a.txt": the storage server (has a problem|cannot be reached)/)
      expect(r2.operations()).toEqual(['PutObject', 'PutObject'])
    }
    expect(r2.server.bucket().size).toBe(0)
  })

  it.each([
    [400, 'RequestTimeout'],
    [400, 'IncompleteBody'],
    [400, 'BadDigest'],
    [400, 'ClientDisconnect'],
    [400, 'TooMuchConcurrency'],
    [409, 'ConditionalRequestConflict'],
    [409, 'OperationAborted'],
    [408, 'Unknown'],
  ])('says of a %i %s to the last that a later try may help', async (status, code) => {
    r2.server.behaviour.onRequest = always({ status, code })
    const save = r2.storage({ maxAttempts: 2 }).save('a.txt', 'x')
    await expect(save).rejects.toMatchObject({ code: 'Unavailable', retryable: true })
    expect(r2.operations('HeadObject')).toEqual(['PutObject', 'PutObject'])
  })

  it('does not take a Retry-After of 0 for leave to come back at once', async () => {
    const busy = { status: 429, code: 'TooManyRequests', headers: { 'retry-after': '0' } }
    r2.server.bucket().plant('a.txt', 'x')
    r2.server.behaviour.onRequest = first('GetObject', busy)
    const start = Date.now()
    await r2.storage().open('a.txt')
    expect(Date.now() - start).toBeGreaterThan(950)
  })

  it.each([
    { status: 413, code: 'Unknown', expected: 'InvalidArgument' },
    { status: 301, code: 'PermanentRedirect', expected: 'Misconfigured' },
    { status: 307, code: 'TemporaryRedirect', expected: 'Misconfigured' },
    { status: 400, code: 'AuthorizationHeaderMalformed', expected: 'Misconfigured' },
    { status: 400, code: 'InvalidRequest', expected: 'InvalidArgument' },
    { status: 403, code: 'AccessDenied', expected: 'PermissionDenied' },
    { status: 404, code: 'NoSuchKey', expected: 'NotFound' },
    { status: 501, code: 'NotImplemented', expected: 'Unsupported' },
  ])('does not repeat what a $status has refused', async ({ status, code, expected }) => {
    r2.server.behaviour.onRequest = always({ status, code })
    const storage = r2.storage()
    await expect(storage.open('a.txt')).rejects.toMatchObject({ code: expected, retryable: false })
    await expect(storage.save('a.txt', 'x')).rejects.toMatchObject({ code: expected })
    await expect(storage.listdir()).rejects.toMatchObject({ code: expected })
    expect(r2.operations('HeadObject')).toEqual(['GetObject', 'PutObject', 'ListObjectsV2'])
  })

  it("rejects with the source's own error, and leaves neither a file nor an upload", async () => {
    const broken = new Error('the camera is gone')
    async function* failing(bytes: number) {
      yield* streamOf(bytes)
      throw broken
    }
    const storage = r2.storage({ partSize: 5 * MIB })
    for (const bytes of [0, 100, 5 * MIB, 17 * MIB]) {
      const contents = [failing(bytes), Readable.from(failing(bytes)), ReadableStream.from(failing(bytes))]
      for (const content of contents) {
        const error = await storage.save('a.bin', content).catch((caught: unknown) => caught)
        expect(error).toBe(broken)
      }
    }
    expect(r2.server.openUploads).toBe(0)
    expect(r2.server.bucket().size).toBe(0)
  })
})
