import {
  GetObjectCommand,
  HeadObjectCommand,
  NoSuchKey,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3'
import { mockClient } from 'aws-sdk-client-mock'
import { R2Storage, type R2StorageOptions, type S3Credentials } from 'stowage'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { AS_R2 } from '../servers/r2.js'
import { rawAnswer, startRawServer } from '../servers/raw-server.js'
import { MIB, setUpR2, streamOf } from './r2-setup.js'

afterEach(() => vi.restoreAllMocks())

describe('url()', () => {
  const given = { bucket: 'files', accessKeyId: 'a', secretAccessKey: 's', endpoint: 'https://e.example' }
  const urlWith = (options: Partial<R2StorageOptions>, name = 'a b/ü?#%+.pdf') =>
    new R2Storage({ ...given, ...options }).url(name)
  const encoded = 'a%20b/%C3%BC%3F%23%25%2B.pdf'

  it.each<[string, Partial<R2StorageOptions>, string]>([
    ['the endpoint', {}, 'https://e.example/files/'],
    [
      'an endpoint with the bucket as its path',
      { endpoint: 'https://e.example/files' },
      'https://e.example/files/',
    ],
    ['an endpoint that ends in slashes', { endpoint: 'https://e.example//' }, 'https://e.example/files/'],
    [
      'an account',
      { endpoint: undefined, accountId: 'abc123' },
      'https://abc123.r2.cloudflarestorage.com/files/',
    ],
    [
      'a jurisdiction',
      { endpoint: undefined, accountId: 'abc123', jurisdiction: 'eu' },
      'https://abc123.eu.r2.cloudflarestorage.com/files/',
    ],
    ['a CDN', { publicBaseUrl: 'https://cdn.example' }, 'https://cdn.example/'],
    ['a CDN without scheme', { publicBaseUrl: 'cdn.example' }, 'https://cdn.example/'],
    ['a CDN by http', { publicBaseUrl: 'http://localhost:8080/' }, 'http://localhost:8080/'],
    ['a CDN with a path', { publicBaseUrl: 'cdn.example/media/' }, 'https://cdn.example/media/'],
    ['a prefix', { publicBaseUrl: 'cdn.example', prefix: 'room 1/' }, 'https://cdn.example/room%201/'],
    ['a prefix at the endpoint', { prefix: 'p' }, 'https://e.example/files/p/'],
  ])('is built from %s', (_, options, start) => {
    expect(urlWith(options)).toBe(start + encoded)
  })

  it.each([
    'https://cdn.example/?a=b',
    'ftp://cdn.example',
    'https://user:pass@cdn.example',
    'https://:pass@cdn.example',
    'https://',
    '/media',
    '//cdn.example',
  ])('refuses the public address %s', (publicBaseUrl) => {
    expect(() => urlWith({ publicBaseUrl })).toThrow(/publicBaseUrl must be a public address/)
  })
})

describe('options', () => {
  const given = { bucket: 'files', accessKeyId: 'a', secretAccessKey: 's', endpoint: 'https://e.example' }

  it.each(['a\nb', ' a', 'a ', 'ü', ''])('refuses %j as the Cache-Control of all files', (cacheControl) => {
    expect(() => new R2Storage({ ...given, cacheControl })).toThrow(/cacheControl must be a header value/)
  })

  it.each(['connectTimeout', 'idleTimeout', 'retryTimeout'])('refuses a %s that no timer takes', (option) => {
    expect(() => new R2Storage({ ...given, [option]: 2 ** 31 })).toThrow(new RegExp(`${option} must be`))
  })
})

describe.each([true, false])('fastPath %s', (fastPath) => {
  describe('a server that is not R2, behind R2Storage', () => {
    const r2 = setUpR2(fastPath, { conditionalCopyHeader: false })

    it.each(['copy', 'move'] as const)('never overwrites by %s, whatever it ignores', async (method) => {
      r2.server.bucket().plant('a.txt', 'source')
      r2.server.bucket().plant('b.txt', 'precious')
      const storage = r2.storage({ conditionalCopy: undefined, conditionalCompletion: undefined })
      const copied = storage[method]('a.txt', 'b.txt', { ifExists: 'error' })
      await expect(copied).rejects.toMatchObject({ code: 'AlreadyExists' })
      expect(r2.server.bucket().get('b.txt')?.content.bytes().toString()).toBe('precious')
      await storage[method]('a.txt', 'c.txt')
      expect(r2.server.bucket().get('c.txt')?.content.bytes().toString()).toBe('source')
    })
  })

  it('many operations may share one signal, without a warning of a leak', async () => {
    const warn = vi.spyOn(process, 'emitWarning')
    const { signal } = new AbortController()
    const options = { endpoint: 'http://127.0.0.1:1', maxAttempts: 1, fastPath }
    const storage = new R2Storage({ ...options, bucket: 'files', accessKeyId: 'a', secretAccessKey: 's' })
    await Promise.allSettled(Array.from({ length: 20 }, () => storage.exists('a.txt', { signal })))
    expect(warn.mock.calls.filter(([warning]) => /MaxListeners/.test(String(warning)))).toEqual([])
  })

  describe('with temporary credentials', () => {
    const r2 = setUpR2(fastPath, { sessionToken: 'the-session-token' })

    it('sends the session token, and signs addresses with it', async () => {
      const storage = r2.storage()
      await storage.save('a.txt', 'x')
      expect(await (await fetch(await storage.signedUrl('a.txt'))).text()).toBe('x')
      const without = r2.storage({ sessionToken: undefined })
      await expect(without.exists('a.txt')).rejects.toMatchObject({ retryable: false })
    })

    it('asks a provider once, and again when its credentials come to their end', async () => {
      const { accessKeyId, secretAccessKey, sessionToken } = r2.server
      let end = new Date(Date.now() + 3_600_000)
      const provider = vi.fn(async (): Promise<S3Credentials> => {
        return { accessKeyId, secretAccessKey, sessionToken, expiration: end }
      })
      const keys = { accessKeyId: undefined, secretAccessKey: undefined, sessionToken: undefined }
      const storage = r2.storage({ ...keys, credentials: provider })
      await Promise.all([storage.save('a.txt', 'x'), storage.exists('b.txt'), storage.listdir()])
      expect(await (await storage.open('a.txt')).text()).toBe('x')
      await storage.signedUrl('a.txt')
      expect(provider).toHaveBeenCalledTimes(1)
      const now = Date.now() + 3_590_000
      end = new Date(now + 3_600_000)
      vi.spyOn(Date, 'now').mockReturnValue(now)
      await storage.signedUrl('a.txt')
      expect(provider).toHaveBeenCalledTimes(2)
    })

    it('passes the error of a provider on, and asks it again the next time', async () => {
      const { accessKeyId, secretAccessKey, sessionToken } = r2.server
      let calls = 0
      const credentials = async (): Promise<S3Credentials> => {
        calls += 1
        if (calls === 1) throw new TypeError('the vault is sealed')
        return { accessKeyId, secretAccessKey, sessionToken }
      }
      const storage = r2.storage({ accessKeyId: undefined, secretAccessKey: undefined, credentials })
      await expect(storage.save('a.txt', 'x')).rejects.toThrow(/the vault is sealed/)
      await storage.save('a.txt', 'x')
    })
  })

  describe('a client of the caller', () => {
    const r2 = setUpR2(fastPath)
    const clientFor = () =>
      new S3Client({
        endpoint: r2.server.endpoint,
        region: 'auto',
        forcePathStyle: true,
        credentials: r2.server,
        requestChecksumCalculation: 'WHEN_REQUIRED',
        responseChecksumValidation: 'WHEN_REQUIRED',
        maxAttempts: 1,
      })

    it('is used as it is, with its middleware, for every request', async () => {
      const client = clientFor()
      const commands: string[] = []
      client.middlewareStack.add(
        (next, context) => (args) => {
          commands.push(String(context.commandName))
          return next(args)
        },
        { step: 'initialize' },
      )
      const { endpoint } = r2.server
      const storage = new R2Storage({ client, endpoint, ...AS_R2, bucket: 'test-bucket', fastPath })
      await storage.save('a.txt', 'x')
      await (await storage.open('a.txt')).text()
      await storage.listdir()
      await storage.delete('a.txt')
      expect(commands).toEqual([
        'PutObjectCommand',
        'GetObjectCommand',
        'ListObjectsV2Command',
        'DeleteObjectCommand',
      ])
      expect(r2.server.requests).toHaveLength(4)
      client.destroy()
    })

    it.each([
      { forcePathStyle: true, start: 'https://e.example/gateway/s3/files/a.txt?' },
      { forcePathStyle: false, start: 'https://files.e.example/gateway/s3/a.txt?' },
    ])('signs addresses as it is set up: $start', async ({ forcePathStyle, start }) => {
      const client = new S3Client({
        endpoint: 'https://e.example/gateway/s3',
        region: 'auto',
        credentials: { accessKeyId: 'a', secretAccessKey: 's' },
        forcePathStyle,
      })
      const storage = new R2Storage({ client, bucket: 'files' })
      expect((await storage.signedUrl('a.txt')).slice(0, start.length)).toBe(start)
      const { url } = await storage.signedUpload('a.txt', {
        size: 1,
        contentType: 'text/plain',
        ifExists: 'overwrite',
      })
      expect(url.slice(0, start.length)).toBe(start)
      // The CRC of no content would refuse every upload.
      expect(url).not.toMatch(/checksum/i)
    })

    it('may be a mock, as an application has it in its tests', async () => {
      const client = clientFor()
      const mock = mockClient(client)
      mock.on(PutObjectCommand).resolves({ ETag: '"e"' })
      mock.on(HeadObjectCommand).resolves({ ContentLength: 3, ETag: '"e"', ContentType: 'text/plain' })
      mock.on(GetObjectCommand).rejects(
        Object.assign(new Error('gone'), {
          name: 'NoSuchKey',
          $metadata: { httpStatusCode: 404 },
        }),
      )
      const storage = new R2Storage({ client, endpoint: 'https://e.example', bucket: 'b-1', fastPath })
      expect(await storage.save('a.txt', 'x')).toBe('a.txt')
      expect(mock.commandCalls(PutObjectCommand)[0]?.args[0].input).toMatchObject({
        Bucket: 'b-1',
        Key: 'a.txt',
        IfNoneMatch: '*',
      })
      expect(await storage.stat('a.txt')).toMatchObject({ size: 3, etag: '"e"' })
      await expect(storage.open('a.txt')).rejects.toMatchObject({ code: 'NotFound' })
      mock.on(GetObjectCommand).rejects(new NoSuchKey({ message: 'gone', $metadata: {} }))
      await expect(storage.open('a.txt')).rejects.toMatchObject({ code: 'NotFound' })
      expect(r2.server.requests).toEqual([])
    })
  })

  describe('connections', () => {
    const keys = { bucket: 'test-bucket', accessKeyId: 'a', secretAccessKey: 's', fastPath }

    it('are used again, also after an answer without a body', async () => {
      const sockets = new Set<unknown>()
      const head = { ETag: '"e"', 'Content-Length': '10', 'Last-Modified': 'Tue, 03 Nov 2026 10:00:00 GMT' }
      await using server = await startRawServer((_, socket) => {
        sockets.add(socket)
        socket.write(rawAnswer(200, head))
      })
      const storage = new R2Storage({ ...keys, endpoint: server.endpoint })
      for (let times = 0; times < 5; times++) expect(await storage.exists('a.txt')).toBe(true)
      expect(sockets.size).toBeLessThan(3)
    })

    it('are no more than maxConnections', async () => {
      let most = 0
      await using server = await startRawServer(() => {
        most = Math.max(most, server.connections)
      })
      const times = { connectTimeout: 500, idleTimeout: 500, retryTimeout: 500, maxAttempts: 1 }
      const storage = new R2Storage({ ...keys, ...times, endpoint: server.endpoint, maxConnections: 2 })
      await Promise.allSettled(Array.from({ length: 10 }, () => storage.stat('a.txt')))
      expect(most).toBe(2)
    })
  })

  describe('signed addresses that stay the same for a while', () => {
    const r2 = setUpR2(fastPath)

    it('are good for as long as was asked for when they are handed out', async () => {
      const url = new URL(await r2.storage().signedUrl('a.txt', { stableFor: 100_000, expiresIn: 60 }))
      const [, year, month, day, hour, minute, second] =
        /^(....)(..)(..)T(..)(..)(..)Z$/.exec(url.searchParams.get('X-Amz-Date') ?? '') ?? []
      const signedAt = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`)
      const end = signedAt + Number(url.searchParams.get('X-Amz-Expires')) * 1000
      expect(end).toBeGreaterThanOrEqual(Date.now() + 59_000)
    })
  })

  describe('what is sent', () => {
    const r2 = setUpR2(fastPath)

    it('never has an ACL, a checksum of the SDK, an Expect or a chunked body in it', async () => {
      const storage = r2.storage({ partSize: 5 * MIB })
      await storage.save('a.txt', 'x', { metadata: { by: 'me' } })
      await storage.save('big.bin', streamOf(11 * MIB))
      await (await storage.open('a.txt')).text()
      await storage.copy('a.txt', 'b.txt')
      await storage.move('b.txt', 'c.txt', { ifExists: 'overwrite' })
      await storage.stat('c.txt')
      await storage.listdir()
      await storage.deleteMany(['a.txt', 'c.txt'])
      const upload = await storage.signedUpload('d.txt', { size: 1, contentType: 'text/plain' })
      await fetch(upload.url, { method: 'PUT', headers: upload.headers, body: 'd' })
      expect(r2.server.requests.length).toBeGreaterThan(10)
      for (const { operation, headers, query, status } of r2.server.requests) {
        // A free name is looked for by HEAD.
        if (operation !== 'HeadObject') expect(status, operation).toBeLessThan(300)
        const names = [...Object.keys(headers), ...Object.keys(query)].map((name) => name.toLowerCase())
        // DeleteObjects must carry a checksum or an MD5; S3 asks for it.
        const refused = names.filter((name) =>
          /acl|grant|expect|trailer|transfer-encoding|checksum/.test(name),
        )
        const allowed = operation === 'DeleteObjects' ? /checksum/ : /^$/
        expect(
          refused.filter((name) => !allowed.test(name)),
          operation,
        ).toEqual([])
        expect(headers['content-encoding']).toBeUndefined()
      }
    })

    it('has the MD5 of a small body, so that no damaged one is stored', async () => {
      await r2.storage().save('a.txt', 'hello')
      expect(r2.server.requests[0]?.headers['content-md5']).toBe('XUFAKrxLKna5cZ2REBfFkg==')
    })
  })
})
