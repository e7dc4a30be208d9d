/** Where requests and signed addresses go: paths of endpoints, buckets in host names, hosts of browsers. */
import dns from 'node:dns'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import {
  createDefaultStorage,
  createStorage,
  R2Storage,
  S3Storage,
  type S3StorageOptions,
  type Storage,
} from 'stowage'
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest'
import { optionsOf } from '../servers/r2.js'
import { MIB, setUpR2, streamOf } from './r2-setup.js'

/** Every kind of request, and what the addresses lead to. */
async function useIt(storage: Storage) {
  const name = "a b/it's (1)+ü.txt"
  expect(await storage.save(name, 'hello', { metadata: { by: 'me' } })).toBe(name)
  expect(await storage.save(name, 'other')).not.toBe(name)
  expect(await (await storage.open(name)).text()).toBe('hello')
  await storage.save('big.bin', streamOf(9 * MIB))
  await storage.copy('big.bin', 'c/copy.bin')
  await storage.move('c/copy.bin', 'c/moved.bin')
  expect((await storage.stat('c/moved.bin')).size).toBe(9 * MIB)
  expect((await storage.listdir()).directories).toEqual(['a b', 'c'])
  expect(await (await fetch(await storage.signedUrl(name))).text()).toBe('hello')
  const upload = await storage.signedUpload('up.txt', { size: 2, contentType: 'text/plain' })
  const sent = await fetch(upload.url, { method: upload.method, headers: upload.headers, body: 'hi' })
  expect([sent.status, await sent.text()]).toEqual([200, ''])
  expect(await (await storage.open('up.txt')).text()).toBe('hi')
  await storage.deleteMany(['big.bin', 'c/moved.bin'])
  expect(await storage.deletePrefix('a b')).toEqual({ deleted: 2 })
  return upload
}

describe.each([true, false])('fastPath %s', (fastPath) => {
  describe('an endpoint with a path of its own', () => {
    const basePath = '/storage/v1/s3'
    const r2 = setUpR2(fastPath, { basePath })
    const expectPaths = () => {
      expect(r2.server.requests.length).toBeGreaterThan(0)
      for (const { path, operation, status } of r2.server.requests) {
        expect(path).toMatch(/^\/storage\/v1\/s3\/test-bucket(?:\/|$)/)
        if (operation !== 'HeadObject')
          expect([operation, status < 300 || status === 412]).toEqual([operation, true])
      }
    }

    it.each(['', '/', '/test-bucket', '/test-bucket/'])('and %j behind it is reached', async (end) => {
      const storage = r2.storage({ endpoint: r2.server.endpoint + basePath + end })
      const { url } = await useIt(storage)
      expect(url.startsWith(`${r2.server.endpoint}${basePath}/test-bucket/up.txt?`)).toBe(true)
      expect(storage.url('a b')).toBe(`${r2.server.endpoint}${basePath}/test-bucket/a%20b`)
      expectPaths()
    })

    it('is reached by the environment and by an address', async () => {
      const { endpoint, accessKeyId, secretAccessKey } = r2.server
      const keys = { R2_ACCESS_KEY_ID: accessKeyId, R2_SECRET_ACCESS_KEY: secretAccessKey }
      const place = { R2_BUCKET_NAME: 'test-bucket', R2_ENDPOINT_URL: `${endpoint}${basePath}/test-bucket` }
      const env = {
        ...keys,
        ...place,
        AWS_ACCESS_KEY_ID: accessKeyId,
        AWS_SECRET_ACCESS_KEY: secretAccessKey,
      }
      for (const storage of [
        createDefaultStorage({ ...env, R2_ENABLED: '1' }),
        createStorage('r2:test-bucket', env),
        createStorage(`r2:test-bucket?endpoint=${endpoint}${basePath}`, env),
        createStorage(`s3:test-bucket?endpoint=${endpoint}${basePath}`, env),
        createStorage('s3:test-bucket', { ...env, AWS_ENDPOINT_URL_S3: `${endpoint}${basePath}` }),
      ]) {
        await storage.save('a.txt', 'x', { ifExists: 'overwrite' })
        await storage.delete('a.txt')
      }
      expectPaths()
    })
  })

  describe('signingEndpoint', () => {
    const r2 = setUpR2(fastPath)

    it('leads signed addresses to another host, and nothing else', async () => {
      const other = r2.server.endpoint.replace('127.0.0.1', 'localhost')
      const own = { ...optionsOf(r2.server), bucket: 'test-bucket', region: 'auto', fastPath }
      const storage = new S3Storage({
        ...own,
        conditionalCompletion: true,
        signingEndpoint: `${other}/test-bucket`,
      })
      const { url } = await useIt(storage)
      expect(url.startsWith(`${other}/test-bucket/up.txt?`)).toBe(true)
      expect((await storage.signedUrl('a')).startsWith(`${other}/test-bucket/a?`)).toBe(true)
      expect(storage.url('a')).toBe(`${r2.server.endpoint}/test-bucket/a`)
      const hosts = r2.server.requests.map(({ headers }) => headers.host)
      expect(hosts.filter((host) => host?.startsWith('localhost'))).toHaveLength(2)
    })

    it('leads addresses there that a client of the caller signs', async () => {
      const client = new S3Client({
        endpoint: 'http://127.0.0.1:1/gateway',
        region: 'auto',
        credentials: r2.server,
        forcePathStyle: false,
      })
      const signingEndpoint = r2.server.endpoint.replace('127.0.0.1', 'localhost')
      const storage = new S3Storage({ client, bucket: 'test-bucket', signingEndpoint, fastPath })
      r2.server.bucket().plant('a.txt', 'content')
      expect(await (await fetch(await storage.signedUrl('a.txt'))).text()).toBe('content')
    })
  })

  describe('signed addresses for HEAD', () => {
    const r2 = setUpR2(fastPath)

    it('allow nothing else, whatever the address answers with', async () => {
      const storage = r2.storage()
      await storage.save('a.txt', 'content')
      const url = await storage.signedUrl('a.txt', { method: 'HEAD', expiresIn: 60 })
      const head = await fetch(url, { method: 'HEAD' })
      expect([head.status, head.headers.get('content-length')]).toEqual([200, '7'])
      for (const method of ['GET', 'PUT', 'DELETE']) expect((await fetch(url, { method })).status).toBe(403)
      const get = await storage.signedUrl('a.txt')
      expect((await fetch(get, { method: 'HEAD' })).status).toBe(403)
    })
  })

  describe('writeHeaders', () => {
    const r2 = setUpR2(fastPath)

    it('are sent with every put, create and copy, and with nothing else', async () => {
      const storage = new S3Storage({
        ...optionsOf(r2.server),
        bucket: 'test-bucket',
        region: 'auto',
        conditionalCompletion: true,
        fastPath,
        writeHeaders: { 'x-amz-storage-class': 'STANDARD' },
      })
      const { headers } = await useIt(storage)
      expect(headers['x-amz-storage-class']).toBe('STANDARD')
      const having = new Set<string>()
      const lacking = new Set<string>()
      for (const { operation, headers } of r2.server.requests) {
        ;('x-amz-storage-class' in headers ? having : lacking).add(operation)
      }
      const writing = ['PutObject', 'CreateMultipartUpload', 'CopyObject']
      expect([...having].filter((operation) => !writing.includes(operation))).toEqual([])
      expect(writing.filter((operation) => lacking.has(operation))).toEqual([])
      expect(having.has('PutObject') && having.has('CreateMultipartUpload')).toBe(true)
      const { url } = await storage.signedUpload('b.txt', { size: 1, contentType: 'text/plain' })
      const without = await fetch(url, {
        method: 'PUT',
        headers: { 'content-type': 'text/plain' },
        body: 'x',
      })
      expect(without.status).toBe(403)
    })
  })

  const ceph = inject('ceph')
  describe.runIf(ceph)('Ceph', () => {
    const lookup = dns.lookup
    const bucket = `reach-${fastPath}-${process.pid}`
    const options = (changes: Partial<S3StorageOptions>): S3StorageOptions => {
      if (!ceph) throw new Error('Ceph is not running')
      const { accessKeyId, secretAccessKey } = ceph
      return { accessKeyId, secretAccessKey, endpoint: byName(), bucket, fastPath, ...changes }
    }
    const byName = () => (ceph?.endpoint ?? '').replace('127.0.0.1', 'localhost')
    beforeAll(async () => {
      // As browsers resolve it, RFC 6761 §6.3; not every system does.
      const local = (host: string, ...rest: unknown[]) =>
        Reflect.apply(lookup, dns, [host.endsWith('.localhost') ? '127.0.0.1' : host, ...rest])
      vi.spyOn(dns, 'lookup').mockImplementation(local as typeof lookup) // It has five signatures.
      const client = new S3Client({
        endpoint: ceph?.endpoint ?? '',
        region: 'us-east-1',
        credentials: options({}) as { accessKeyId: string; secretAccessKey: string }, // Both are there.
        forcePathStyle: true,
      })
      await client.send(new CreateBucketCommand({ Bucket: bucket }))
      client.destroy()
    })
    afterAll(() => vi.restoreAllMocks())

    it('finds the bucket in the host name', async () => {
      const storage = new S3Storage(options({ addressing: 'virtual' }))
      const { url } = await useIt(storage)
      expect(url.startsWith(byName().replace('localhost', `${bucket}.localhost`))).toBe(true)
      // The host without the bucket would be another bucket.
      expect(storage.url('a')).toBe(`${byName().replace('localhost', `${bucket}.localhost`)}/a`)
      await storage.delete('up.txt')
    })

    it.each([
      ['path', 'localhost', '127.0.0.1'],
      ['virtual', 'localhost', 'localhost'],
    ] as const)('is signed for by another host, %s style', async (addressing, host, own) => {
      const at = (name: string) => byName().replace('localhost', name)
      const settings = { addressing, endpoint: at(own), signingEndpoint: at(host) }
      const storage = new S3Storage(options(settings))
      const { url } = await useIt(storage)
      expect(new URL(url).hostname).toBe(addressing === 'virtual' ? `${bucket}.${host}` : host)
      await storage.delete('up.txt')
    })

    it('takes an ACL and a storage class with every kind of write', async () => {
      const writeHeaders = { 'x-amz-acl': 'public-read', 'X-Amz-Storage-Class': 'STANDARD' } as const
      const storage = new S3Storage(
        options({ writeHeaders: writeHeaders as S3StorageOptions['writeHeaders'] }),
      )
      const open = async (name: string) => (await fetch(storage.url(name), { method: 'HEAD' })).status
      await storage.save('acl/put.txt', 'x')
      await storage.save('acl/parts.bin', streamOf(9 * MIB))
      await storage.copy('acl/put.txt', 'acl/copy.txt', { ifExists: 'overwrite' })
      await storage.copy('acl/parts.bin', 'acl/copy.bin')
      const upload = await storage.signedUpload('acl/up.txt', { size: 1, contentType: 'text/plain' })
      await fetch(upload.url, { method: 'PUT', headers: upload.headers, body: 'x' })
      for (const name of ['put.txt', 'parts.bin', 'copy.txt', 'copy.bin', 'up.txt']) {
        expect([name, await open(`acl/${name}`)]).toEqual([name, 200])
      }
      const plain = new S3Storage(options({}))
      await plain.save('acl/private.txt', 'x')
      expect(await open('acl/private.txt')).toBe(403)
      await plain.deletePrefix('acl')
    })
  })
})

describe('url()', () => {
  const keys = { accessKeyId: 'a', secretAccessKey: 's', bucket: 'files' }
  it.each([
    [{ endpoint: 'https://e.example/files/files' }, 'https://e.example/files/files/a%20b'],
    [{ endpoint: 'https://e.example/my%20s3/!' }, 'https://e.example/my%20s3/%21/files/a%20b'],
    [{ addressing: 'virtual', endpoint: 'https://e.example' }, 'https://files.e.example/a%20b'],
    [{ addressing: 'virtual', endpoint: 'http://e.example:81/x/' }, 'http://files.e.example:81/x/a%20b'],
    [{ addressing: 'virtual', region: 'eu-west-1' }, 'https://files.s3.eu-west-1.amazonaws.com/a%20b'],
    [{ addressing: 'virtual', endpoint: 'http://e.example', bucket: 'a.b' }, 'http://a.b.e.example/a%20b'],
    [{ addressing: 'virtual', publicBaseUrl: 'cdn.example' }, 'https://cdn.example/a%20b'],
  ] as const)('with %j', (options, url) => {
    expect(new S3Storage({ ...keys, ...options }).url('a b')).toBe(url)
  })

  it('the bucket is taken off the end of R2_ENDPOINT_URL once', () => {
    const env = { R2_ENABLED: '1', R2_ACCESS_KEY_ID: 'a', R2_SECRET_ACCESS_KEY: 's', R2_BUCKET_NAME: 'files' }
    const storage = createDefaultStorage({ ...env, R2_ENDPOINT_URL: 'https://e.example/files/files' })
    expect(storage.url('a')).toBe('https://e.example/files/files/a')
  })
})

describe('options that cannot be', () => {
  const given = { accessKeyId: 'a', secretAccessKey: 's', bucket: 'files', endpoint: 'https://e.example' }
  it.each<[Record<string, unknown>, RegExp]>([
    [{ endpoint: 'https://e.example/%zz' }, /endpoint must be the address of the server/],
    [{ endpoint: 'https://e.example/x?y' }, /endpoint must be the address of the server/],
    [{ endpoint: 'https://abc.r2.cloudflarestorage.com/other' }, /its path is not the bucket/],
    [{ endpoint: 'https://s3.eu-west-1.amazonaws.com/other/files' }, /its path is not the bucket/],
    [{ addressing: 'host' }, /addressing must be 'path' or 'virtual'/],
    [{ addressing: 'virtual', endpoint: 'https://127.0.0.1' }, /not an IP address/],
    [{ addressing: 'virtual', endpoint: 'http://[::1]:9000' }, /not an IP address/],
    [{ addressing: 'virtual', signingEndpoint: 'http://10.0.0.1' }, /signingEndpoint must have a host name/],
    [{ addressing: 'virtual', bucket: 'a.bc' }, /no certificate fits/],
    [{ addressing: 'virtual', bucket: 'my_files' }, /can be part of a host name/],
    [{ addressing: 'virtual', bucket: 'Files' }, /can be part of a host name/],
    [{ signingEndpoint: 's3.example' }, /signingEndpoint must be the address/],
    [{ writeHeaders: { 'x-acl': 'private' } }, /"x-acl", but its names begin with x-amz-/],
    [{ writeHeaders: { 'content-type': 'a/b' } }, /begin with x-amz-/],
    [{ writeHeaders: { 'x-amz-a b': 'x' } }, /begin with x-amz-/],
    [{ writeHeaders: { 'x-amz-acl': 'a\r\nb: c' } }, /not a header value/],
    [{ writeHeaders: { 'x-amz-acl': '' } }, /not a header value/],
    [{ writeHeaders: { 'x-amz-acl': 'a', 'X-Amz-Acl': 'b' } }, /twice/],
    [{ writeHeaders: null }, /must be an object/],
    ...[
      'x-amz-content-sha256',
      'x-amz-date',
      'x-amz-security-token',
      'X-Amz-Meta-by',
      'x-amz-copy-source',
      'x-amz-copy-source-if-match',
      'x-amz-metadata-directive',
      'x-amz-checksum-crc32',
      'x-amz-server-side-encryption-customer-key',
    ].map((name): [object, RegExp] => [
      { writeHeaders: { [name]: 'x' } },
      /cannot be the same for every write/,
    ]),
  ] as [Record<string, unknown>, RegExp][])('%j', (options, message) => {
    const make = () => Reflect.construct(S3Storage, [{ ...given, ...options }])
    expect(make).toThrow(message)
    expect(make).toThrow(expect.objectContaining({ code: 'Misconfigured' }))
  })

  it('R2 is path-style, whatever the caller wishes', () => {
    const make = () => Reflect.construct(R2Storage, [{ ...given, addressing: 'virtual' }])
    expect(make).toThrow(/there is no option "addressing"/)
  })
})
