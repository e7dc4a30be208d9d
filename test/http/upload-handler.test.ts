import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm, utimes } from 'node:fs/promises'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import {
  driverOf,
  FileSystemStorage,
  MemoryStorage,
  prefixed,
  R2Storage,
  readOnly,
  readThrough,
  type Storage,
} from 'stowage'
import { createUploadHandler, toNodeListener } from 'stowage/http'
import { afterAll, beforeAll, describe, it, onTestFinished } from 'vitest'
import { sweepBelow } from '../../src/driver.js'
import { AS_R2, Bucket, optionsOf, type StrictR2, startStrictR2 } from '../servers/r2.js'
import { type Begun, json, namesOf, PART, PNG, picture, refusal, UploadClient } from './upload-client.js'

const SECRET = 'a'.repeat(32)

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'stowage-uploads-'))
  onTestFinished(() => rm(path, { recursive: true, force: true }))
  return path
}

let r2: StrictR2
let buckets = 0
beforeAll(async () => {
  r2 = await startStrictR2()
})
afterAll(() => r2.stop())

function onR2(options: object = {}): R2Storage {
  const bucket = `uploads-${++buckets}`
  r2.buckets.set(bucket, new Bucket(bucket))
  return new R2Storage({ ...optionsOf(r2), ...AS_R2, bucket, publicBaseUrl: 'https://cdn.test', ...options })
}

const BACKENDS: Record<string, () => Promise<Storage>> = {
  memory: async () => new MemoryStorage({ signingSecret: SECRET }),
  disk: async () => new FileSystemStorage({ location: await folder(), signingSecret: SECRET, fsync: false }),
  R2: async () => onR2(),
  'R2 by the SDK': async () => onR2({ fastPath: false }),
  'R2 with a prefix': async () => onR2({ prefix: 'a/b' }),
  'a folder of the disk': async () =>
    prefixed(new FileSystemStorage({ location: await folder(), signingSecret: SECRET }), 'tenants/7'),
  'a folder of R2': async () => prefixed(onR2({ prefix: 'p' }), 'tenants/7'),
  readThrough: async () =>
    readThrough(new MemoryStorage({ signingSecret: SECRET }), new MemoryStorage({ signingSecret: SECRET })),
}

describe.each(Object.entries(BACKENDS))('uploads to %s', (backend, makeStorage) => {
  it('store a file in parts, under its name and with its type, and nobody sees it before', async () => {
    const storage = await makeStorage()
    const client = new UploadClient(storage)
    const bytes = picture(PART + 1000)
    const upload = await client.begin('a.png')
    assert.equal(upload.key, 'docs/a.png')
    const second = await client.put(upload, 2, bytes.subarray(PART))
    const first = await client.put(upload, 1, bytes.subarray(0, PART))
    assert.deepEqual(await namesOf(storage), [])
    assert.deepEqual(await storage.listdir(), { directories: [], files: [] })
    // In any order, with and without quotes.
    const parts = [second, { ...first, ETag: first.ETag.replaceAll('"', '') }]
    const { key, location } = await json<{ key: string; location: string }>(
      await client.complete(upload, parts),
    )
    assert.equal(key, 'docs/a.png')
    assert.equal(location, storage.url(key))
    const file = await storage.open(key)
    assert.equal(file.contentType, 'image/png')
    assert.deepEqual(file.metadata, {})
    assert.ok((await file.read()).equals(bytes))
    assert.deepEqual(await namesOf(storage), ['docs/a.png'])
    assert.equal((await client.list(upload)).status, 404)
    // Its answer may have been lost.
    assert.deepEqual(await json(await client.complete(upload, parts)), { key, location })
    const another = { ...upload, key: 'docs/b.png' }
    assert.equal((await client.complete(another, parts)).status, 404)
    assert.deepEqual(await namesOf(storage), ['docs/a.png'])
    await storage.delete(key)
    assert.equal((await client.complete(upload, parts)).status, 404)
  })

  it('are listed, so that another handler can go on', async () => {
    const storage = await makeStorage()
    const client = new UploadClient(storage)
    const upload = await client.begin('a.bin', '')
    const parts = [
      await client.put(upload, 3, Buffer.from('c')),
      await client.put(upload, 1, picture(PART, 'old')),
      await client.put(upload, 1, picture(PART, 'new')),
    ]
    const other = new UploadClient(storage)
    const listed = await json<{ PartNumber: number; ETag: string; Size: number }[]>(await other.list(upload))
    assert.deepEqual(
      listed.map(({ PartNumber, Size }) => [PartNumber, Size]),
      [
        [1, PART],
        [3, 1],
      ],
    )
    assert.equal(listed[0]?.ETag, parts[2]?.ETag)
    await json(await other.complete(upload, listed))
    const stored = await (await storage.open('docs/a.bin')).read()
    assert.ok(stored.equals(Buffer.concat([picture(PART, 'new'), Buffer.from('c')])))
  })

  it('rename a taken name', async () => {
    const storage = await makeStorage()
    await storage.save('docs/a.png', 'first')
    const { key } = await json<{ key: string }>(await new UploadClient(storage).send('a.png', PNG))
    assert.match(key, /^docs\/a_[A-Za-z0-9]{7}\.png$/)
    assert.equal(await (await storage.open('docs/a.png')).text(), 'first')
    assert.ok((await (await storage.open(key)).read()).equals(PNG))
  })

  it('make one empty part an empty file', async () => {
    const storage = await makeStorage()
    const { key } = await json<{ key: string }>(
      await new UploadClient(storage).send('a.txt', Buffer.alloc(0)),
    )
    assert.equal(await storage.size(key), 0)
  })

  it('are refused by what the bytes are, and nothing is left', async () => {
    const storage = await makeStorage()
    const client = new UploadClient(storage, { allowedTypes: ['image/png'] })
    const upload = await client.begin('a.png')
    const parts = [await client.put(upload, 1, Buffer.from('<html><script>alert(1)</script>'))]
    const { status, message } = await refusal(await client.complete(upload, parts))
    assert.equal(status, 415)
    assert.equal(message, 'Files of this type are not accepted.')
    assert.deepEqual(await namesOf(storage), [])
    assert.equal((await client.list(upload)).status, 404)
    const { key } = await json<{ key: string }>(await client.send('b.png', PNG, 'text/html'))
    assert.equal((await storage.stat(key)).contentType, 'image/png')
  })

  it('are refused when all parts together are too large', async () => {
    const storage = await makeStorage()
    const upload = await new UploadClient(storage).begin('a.bin')
    const parts = [
      await new UploadClient(storage).put(upload, 1, picture(PART)),
      await new UploadClient(storage).put(upload, 2, Buffer.from('ab')),
    ]
    const client = new UploadClient(storage, { maxSize: PART + 1 })
    assert.equal((await refusal(await client.complete(upload, parts))).status, 413)
    assert.equal((await client.list(upload)).status, 404)
    assert.deepEqual(await namesOf(storage), [])
    const { key } = await json<{ key: string }>(await client.send('b.bin', picture(PART + 1)))
    assert.equal(await storage.size(key), PART + 1)
  })

  it('refuse parts that were not sent', async () => {
    const storage = await makeStorage()
    const client = new UploadClient(storage)
    const upload = await client.begin('a.bin')
    const part = await client.put(upload, 1, Buffer.from('a'))
    const wrong: unknown[] = [
      [],
      undefined,
      'x',
      {},
      [null],
      [{ PartNumber: '1', ETag: part.ETag }],
      [{ PartNumber: 1 }],
      [{ ...part, PartNumber: 0 }],
      [{ ...part, PartNumber: 1.5 }],
      [part, part],
      [part, { ...part, PartNumber: 2 }],
      [{ ...part, ETag: '"0123456789abcdef0123456789abcdef"' }],
      Array.from({ length: 10_001 }, (_, index) => ({ PartNumber: index + 1, ETag: 'x' })),
    ]
    for (const parts of wrong) {
      assert.equal((await refusal(await client.complete(upload, parts))).status, 400, JSON.stringify(parts))
    }
    await json(await client.complete(upload, [part]))
  })

  it('refuse a key that is not that of the id, and ids of nobody', async () => {
    const storage = await makeStorage()
    const client = new UploadClient(storage)
    const upload = await client.begin('a.png')
    const part = await client.put(upload, 1, PNG)
    const wrong: Begun[] = [
      { ...upload, key: 'docs/b.png' },
      { ...upload, uploadId: `${upload.uploadId.slice(0, -1)}_` },
      { ...upload, uploadId: `A${upload.uploadId}` },
      { ...upload, uploadId: 'AAAAAAAAAAAAAAAAAAAAAA' },
      { ...upload, uploadId: 'x' },
    ]
    for (const other of wrong) {
      // On R2, an address for what only the server knows leads nowhere.
      const signed = await client.sign(other, 1)
      if (signed.status === 200) {
        const { url } = await json<{ url: string }>(signed)
        assert.equal((await client.ask(url, { method: 'PUT', body: PNG })).status, 404)
      } else assert.equal((await refusal(signed)).status, 404)
      for (const answer of [client.list(other), client.complete(other, [part]), client.abort(other)]) {
        assert.equal((await refusal(await answer)).status, 404, other.uploadId)
      }
    }
    const { status } = await client.sign({ ...upload, key: 'docs/b.png' }, 1)
    assert.equal(status, 404)
    for (const key of ['../a', '/a', 'a\0', '.stowage/x']) {
      assert.equal((await refusal(await client.list({ ...upload, key }))).status, 400)
    }
    await json(await client.complete(upload, [part]))
    assert.deepEqual(await namesOf(storage), ['docs/a.png'])
  })

  it('can be given up', async () => {
    const storage = await makeStorage()
    const client = new UploadClient(storage)
    const upload = await client.begin('a.png')
    const part = await client.put(upload, 1, PNG)
    await json(await client.abort(upload))
    assert.equal((await client.complete(upload, [part])).status, 404)
    assert.equal((await client.abort(upload)).status, 404)
    assert.deepEqual(await namesOf(storage), [])
  })

  it('make one file when they are completed twice at the same time', async () => {
    const storage = await makeStorage()
    await storage.save('docs/a.png', 'taken')
    const client = new UploadClient(storage)
    const upload = await client.begin('a.png')
    const parts = [await client.put(upload, 1, PNG)]
    const answers = await Promise.all(Array.from({ length: 4 }, () => client.complete(upload, parts)))
    const keys = new Set<string>()
    for (const answer of answers) keys.add((await json<{ key: string }>(answer)).key)
    assert.equal(keys.size, 1)
    assert.deepEqual(await namesOf(storage), ['docs/a.png', ...keys].sort())
  })

  it('are swept when nothing comes to them', async () => {
    const storage = await makeStorage()
    const client = new UploadClient(storage)
    const upload = await client.begin('a.png')
    await client.put(upload, 1, PNG)
    const sweep = (seconds: number) =>
      sweepBelow(driverOf(storage), '', new Date(Date.now() + seconds * 1000), undefined)
    assert.equal(await sweep(-60), 0)
    await json(await client.list(upload))
    // A part of a storage cannot tell which uploads are its own.
    const swept = backend.startsWith('a folder of') ? 0 : 1
    assert.equal(await sweep(60), swept)
    if (swept === 0) return
    assert.equal((await client.list(upload)).status, 404)
  })
})

describe('an upload handler', () => {
  const storage = () => new MemoryStorage({ signingSecret: SECRET })

  it('asks who may do what, and lets a part in by its signature alone', async () => {
    const asked: object[] = []
    const client = new UploadClient(storage(), {
      authorize: (request, action) => {
        asked.push({ method: request.method, ...action })
        return true
      },
    })
    const upload = await client.begin('a.png')
    const part = await client.put(upload, 1, PNG)
    await client.list(upload)
    await client.complete(upload, [part])
    await client.abort(upload)
    const { key, uploadId } = upload
    assert.deepEqual(asked, [
      { method: 'POST', action: 'create' },
      { method: 'GET', action: 'sign', key, uploadId },
      { method: 'GET', action: 'list', key, uploadId },
      { method: 'POST', action: 'complete', key, uploadId },
      { method: 'DELETE', action: 'abort', key, uploadId },
    ])
    const closed = new UploadClient(storage(), { authorize: async () => false })
    for (const answer of [
      closed.create('a.png'),
      closed.sign(upload, 1),
      closed.list(upload),
      closed.complete(upload, [part]),
      closed.abort(upload),
    ]) {
      assert.equal((await refusal(await answer)).status, 403)
    }
  })

  it('gives `name` the base name and what the client says', async () => {
    const files: unknown[] = []
    const client = new UploadClient(storage(), {
      name: (file) => {
        files.push(file)
        return `${file.filename}`
      },
    })
    const metadata = { room: '7', size: 3, nothing: null, deep: {}, __proto__: { x: 1 } }
    assert.equal((await json<Begun>(await client.create('C:\\x\\a b.png', '', metadata))).key, 'a b.png')
    assert.deepEqual(files, [{ filename: 'a b.png', contentType: '', metadata: { room: '7', size: '3' } }])
    assert.equal((await refusal(await client.create('..'))).status, 400)
    assert.equal((await refusal(await client.create('x/'))).status, 400)
  })

  it('stores the metadata that the application chooses', async () => {
    const files = storage()
    const client = new UploadClient(files, {
      metadata: async ({ filename, metadata: { caption = '' } }, request) => ({
        caption,
        filename,
        method: request.method,
      }),
    })
    const upload: Begun = await json(await client.create('a.png', '', { caption: 'Grüße', admin: 'yes' }))
    await json(await client.complete(upload, [await client.put(upload, 1, PNG)]))
    const { metadata } = await files.stat(upload.key)
    assert.deepEqual({ ...metadata }, { caption: 'Grüße', filename: 'a.png', method: 'POST' })
    const careless = new UploadClient(files, { metadata: (file) => file.metadata })
    for (const metadata of [
      { 'a b': 'c' },
      { 'stowage-upload': 'x' },
      { a: 'b\n' },
      { a: 'x'.repeat(9000) },
    ]) {
      assert.equal((await refusal(await careless.create('b.png', '', metadata))).status, 400)
    }
    const wrong = Object.assign({}, { metadata: {} })
    assert.throws(() => new UploadClient(files, Object(wrong)), /the option metadata must be a function/)
  })

  it('answers malformed requests, other methods and other paths', async () => {
    const client = new UploadClient(storage())
    const upload = await client.begin('a.png')
    const path = `/s3/multipart/${upload.uploadId}`
    const cases: [number, string, RequestInit?][] = [
      [501, '/s3/params?filename=a.png&type=image/png'],
      [404, '/s3/'],
      [404, '/s3/multipart/'],
      [404, `${path}/0?key=docs/a.png`],
      [404, `${path}/10001?key=docs/a.png`],
      [404, `${path}/x?key=docs/a.png`],
      [405, '/s3/multipart'],
      [405, path, { method: 'POST' }],
      [400, path],
      [400, `${path}?key=docs/a.png&key=docs/a.png`],
      [400, '/s3/multipart', { method: 'POST' }],
      [400, '/s3/multipart', { method: 'POST', body: '{' }],
      [400, '/s3/multipart', { method: 'POST', body: '[]' }],
      [400, '/s3/multipart', { method: 'POST', body: '{"filename":7}' }],
      [413, '/s3/multipart', { method: 'POST', body: `"${'x'.repeat(70_000)}"` }],
      [403, `${path}/1`, { method: 'PUT', body: 'x' }],
      [403, `${path}/1?signed=x.y`, { method: 'PUT', body: 'x' }],
    ]
    for (const [status, address, init] of cases) {
      assert.equal((await refusal(await client.ask(address, init))).status, status, address)
    }
    const handler = createUploadHandler(storage(), { authorize: () => true, name: () => 'a' })
    for (const address of ['/', '/s3', '/s3x/multipart', '/uploads/s3/multipart']) {
      assert.equal(await handler(new Request(`http://app.test${address}`)), undefined)
    }
  })

  it('never rejects, whatever the application throws', async () => {
    const thrower = () => {
      throw new Error('secret words')
    }
    for (const options of [{ name: thrower }, { authorize: thrower }]) {
      const { status, message } = await refusal(await new UploadClient(storage(), options).create('a.png'))
      assert.equal(status, 500)
      assert.doesNotMatch(message, /secret/)
    }
  })

  it('takes a part up to what the whole file may have', async () => {
    const client = new UploadClient(storage(), { maxSize: 10 })
    const upload = await client.begin('a.bin')
    await client.put(upload, 1, Buffer.alloc(6))
    const { url } = await json<{ url: string }>(await client.sign(upload, 2))
    const put = (bytes: number, headers = {}) =>
      client.ask(url, { method: 'PUT', body: Buffer.alloc(bytes), headers })
    assert.equal((await refusal(await put(5))).status, 413)
    assert.equal((await refusal(await put(5, { 'content-length': '4' }))).status, 413)
    assert.equal((await refusal(await put(3, { 'content-length': '4' }))).status, 400)
    assert.equal((await refusal(await put(3, { 'content-length': 'x' }))).status, 400)
    assert.deepEqual((await json<object[]>(await client.list(upload))).length, 1)
    assert.equal((await put(4)).status, 200)
    // The same part again is no second one.
    await client.put(upload, 1, Buffer.alloc(6))
  })

  it('refuses every changed address of a part: 2,000 mutations', async () => {
    const client = new UploadClient(storage())
    const upload = await client.begin('a.png')
    const other = await client.begin('b.png')
    const { url } = await json<{ url: string }>(await client.sign(upload, 1))
    const { pathname, search } = new URL(url)
    const address = pathname + search
    const characters = [...'aZ09-_=&?/.%+é', '%31', '&signed=', '?', '/../', upload.uploadId, other.uploadId]
    const run = async (start: number, length: number, inserted: string) => {
      const at = start % (address.length + 1)
      const changed = address.slice(0, at) + inserted + address.slice(at + length)
      const { pathname: path, search: query } = new URL(changed, client.origin)
      if (path + query === address || !path.startsWith('/s3/')) return
      const response = await client.ask(path + query, { method: 'PUT', body: 'evil' })
      assert.ok([403, 404, 405].includes(response.status), `${response.status} ${changed}`)
    }
    const mutation = [fc.nat(1000), fc.nat(12), fc.constantFrom(...characters, '')] as const
    await fc.assert(fc.asyncProperty(...mutation, run), { numRuns: 2000 })
    assert.deepEqual(await json(await client.list(upload)), [])
    assert.deepEqual(await json(await client.list(other)), [])
  })

  it('refuses an address of another method, another storage, or whose time is over', async () => {
    const files = storage()
    const client = new UploadClient(files, { expiresIn: 1 })
    const upload = await client.begin('a.png')
    const { url } = await json<{ url: string }>(await client.sign(upload, 1))
    assert.equal((await client.ask(url, { method: 'GET' })).status, 400)
    const realm = new UploadClient(new MemoryStorage({ signingSecret: SECRET, realm: 'other' }))
    assert.equal((await realm.ask(url, { method: 'PUT', body: PNG })).status, 403)
    const tenant = new UploadClient(prefixed(files, 'tenants/7'))
    assert.equal((await tenant.ask(url, { method: 'PUT', body: PNG })).status, 403)
    await new Promise((resolve) => setTimeout(resolve, 1100))
    assert.equal((await client.ask(url, { method: 'PUT', body: PNG })).status, 403)
  })

  it('keeps out of storages that are for reading only, or take no uploads', async () => {
    assert.equal((await refusal(await new UploadClient(readOnly(storage())).create('a.png'))).status, 500)
    const inner = storage()
    const driver = driverOf(inner)
    Object.defineProperty(driver, 'uploads', { value: undefined })
    assert.equal((await refusal(await new UploadClient(inner).create('a.png'))).status, 501)
  })

  it('takes a name for taken that the older storage has', async () => {
    const older = storage()
    await older.save('docs/a.png', 'older')
    const newer = storage()
    const client = new UploadClient(readThrough(newer, older))
    const { key } = await json<{ key: string }>(await client.send('a.png', PNG))
    assert.notEqual(key, 'docs/a.png')
    assert.deepEqual(await namesOf(newer), [key])
  })

  it('gives absolute addresses by the request, or by what a trusted proxy says', async () => {
    const proxy = {
      forwarded: 'for=1.2.3.4;host="app.example:8443";proto=https, for=10.0.0.1;host=inner',
      'x-forwarded-host': 'ignored.example',
    }
    const x = { 'x-forwarded-proto': 'https, http', 'x-forwarded-host': 'app.example' }
    const cases: [boolean, Record<string, string>, string][] = [
      [false, { ...proxy, ...x }, 'http://app.test'],
      [true, {}, 'http://app.test'],
      [true, proxy, 'https://app.example:8443'],
      [true, x, 'https://app.example'],
      [true, { 'x-forwarded-host': 'evil.test/x?', 'x-forwarded-proto': 'javascript' }, 'http://app.test'],
      [true, { forwarded: 'for=_x;proto=https' }, 'https://app.test'],
    ]
    for (const [trustProxy, headers, origin] of cases) {
      const client = new UploadClient(storage(), { trustProxy })
      const { key, uploadId } = await client.begin('a.png')
      const answer = await client.ask(`/s3/multipart/${uploadId}/1?key=${key}`, { headers })
      assert.equal(new URL((await json<{ url: string }>(answer)).url).origin, origin)
    }
  })

  it('lets pages of other sites read its answers', async () => {
    const origin = 'https://app.example'
    const client = new UploadClient(storage(), { cors: [origin] })
    const preflight = await client.ask('/s3/multipart', {
      method: 'OPTIONS',
      headers: { origin, 'access-control-request-headers': 'content-type' },
    })
    assert.equal(preflight.headers.get('access-control-allow-origin'), origin)
    assert.equal(preflight.headers.get('access-control-allow-methods'), 'GET, POST, PUT, DELETE')
    assert.equal(preflight.headers.get('access-control-allow-headers'), 'content-type')
    const answer = await client.ask('/s3/params', { headers: { origin } })
    assert.match(answer.headers.get('access-control-expose-headers') ?? '', /ETag/)
  })

  it('refuses options that cannot be', () => {
    const good = { authorize: () => true, name: () => 'a' }
    for (const wrong of [
      { name: undefined },
      { authorize: 'all' },
      { expiresIn: 0 },
      { maxSize: -1 },
      { allowedTypes: 'image/png' },
      { basePath: 's3' },
      { trustProxy: 'yes' },
      { cors: ['app.example'] },
      { nmae: 1 },
    ]) {
      const options = { ...good, ...wrong }
      assert.throws(
        () => Reflect.apply(createUploadHandler, undefined, [storage(), options]),
        JSON.stringify(wrong),
      )
    }
  })
})

describe('a part that is sent to the disk', () => {
  it('leaves nothing when the client leaves', async () => {
    const location = await folder()
    const storage = new FileSystemStorage({ location, signingSecret: SECRET })
    const handler = createUploadHandler(storage, { authorize: () => true, name: ({ filename }) => filename })
    const server = createServer(toNodeListener(handler))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => {
      server.closeAllConnections()
      server.close()
    })
    const { port } = server.address() as AddressInfo
    const origin = `http://127.0.0.1:${port}`
    const ask = (path: string, init?: RequestInit) => fetch(new URL(path, origin), init)
    const body = JSON.stringify({ filename: 'a.bin', type: '' })
    const { key, uploadId } = await json<Begun>(await ask('/s3/multipart', { method: 'POST', body }))
    const { url } = await json<{ url: string }>(await ask(`/s3/multipart/${uploadId}/1?key=${key}`))
    assert.equal(new URL(url).origin, origin)
    const { pathname, search } = new URL(url)
    const socket = connect(port, '127.0.0.1')
    socket.write(`PUT ${pathname}${search} HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n`)
    socket.write(Buffer.alloc(300_000))
    const tmp = join(location, '.stowage', 'tmp')
    while ((await readdir(tmp)).length === 0) await new Promise((resolve) => setTimeout(resolve, 10))
    socket.destroy()
    while ((await readdir(tmp)).length > 0) await new Promise((resolve) => setTimeout(resolve, 10))
    assert.deepEqual(await json(await ask(`/s3/multipart/${uploadId}?key=${key}`)), [])
    const put = await ask(url, { method: 'PUT', body: 'whole' })
    assert.equal(put.status, 200)
    const refused = await ask(`/s3/multipart/${uploadId}?key=other`)
    assert.equal(refused.statusText, 'There is no such upload. It may have expired: please begin again.')
  })

  it('is swept with its upload a week after the last one, by the next save', async () => {
    const location = await folder()
    const storage = new FileSystemStorage({ location, signingSecret: SECRET, fsync: false })
    const client = new UploadClient(storage)
    const [old, fresh] = [await client.begin('old.bin'), await client.begin('new.bin')]
    await client.put(old, 1, Buffer.from('x'))
    await client.put(fresh, 1, Buffer.from('x'))
    const uploads = join(location, '.stowage', 'uploads')
    const weekAgo = Date.now() / 1000 - 8 * 86_400
    await utimes(join(uploads, old.uploadId), weekAgo, weekAgo)
    await storage.save('a.txt', 'x')
    while ((await readdir(uploads)).length > 1) await new Promise((resolve) => setTimeout(resolve, 10))
    assert.deepEqual(await readdir(uploads), [fresh.uploadId])
  })
})

describe.each([
  ['our own requests', true],
  ['the SDK', false],
])('uploads to R2 by %s', (_, fastPath) => {
  const begin = async () => {
    const storage = onR2({ fastPath, maxAttempts: 2, retryTimeout: 2000 })
    const client = new UploadClient(storage, { allowedTypes: ['image/png'] })
    const upload = await client.begin('a.png')
    return { storage, client, upload, parts: [await client.put(upload, 1, PNG)] }
  }
  const failing = (operation: string, verdict: 'reset' | object, times = 1) => {
    let left = times
    r2.behaviour.onRequest = (info) => {
      if (info.operation !== operation || left === 0) return undefined
      left -= 1
      return verdict
    }
    onTestFinished(() => {
      r2.behaviour.onRequest = undefined
    })
  }

  it('go on when the answer to the completion was lost', async () => {
    const { storage, client, upload, parts } = await begin()
    failing('CompleteMultipartUpload', { afterwards: 'reset' })
    await json(await client.complete(upload, parts))
    assert.deepEqual(await namesOf(storage), ['docs/a.png'])
  })

  it('can be completed again when the copy failed: the parts are still listed', async () => {
    const { storage, client, upload, parts } = await begin()
    failing('CopyObject', { status: 503, code: 'ServiceUnavailable' }, 100)
    assert.equal((await refusal(await client.complete(upload, parts))).status, 503)
    assert.deepEqual(await namesOf(storage), [])
    r2.behaviour.onRequest = undefined
    const listed = await json<object[]>(await client.list(upload))
    assert.equal(listed.length, 1)
    failing('CopyObject', { status: 503, code: 'ServiceUnavailable' }, 100)
    assert.equal((await refusal(await client.complete(upload, listed))).status, 503)
    r2.behaviour.onRequest = undefined
    await json(await client.complete(upload, parts))
    assert.deepEqual(await namesOf(storage), ['docs/a.png'])
    assert.ok((await (await storage.open('docs/a.png')).read()).equals(PNG))
  })

  it('are judged again, and gone, when that found the wrong type', async () => {
    const { storage, client, upload, parts } = await begin()
    failing('CopyObject', { status: 503, code: 'ServiceUnavailable' }, 100)
    await client.complete(upload, parts)
    r2.behaviour.onRequest = undefined
    const strict = new UploadClient(storage, { allowedTypes: ['audio/*'] })
    const listed = await json<object[]>(await strict.list(upload))
    assert.equal((await refusal(await strict.complete(upload, listed))).status, 415)
    const [bucket] = [...r2.buckets.values()].slice(-1)
    assert.equal(bucket?.size, 0)
  })

  it('make one file when two completions copy at the same time', async () => {
    const { storage, client, upload, parts } = await begin()
    await storage.save('docs/a.png', 'taken')
    r2.behaviour.delayMs = 100
    onTestFinished(() => {
      r2.behaviour.delayMs = 0
    })
    const answers = await Promise.all(Array.from({ length: 3 }, () => client.complete(upload, parts)))
    const keys = new Set<string>()
    for (const answer of answers) keys.add((await json<{ key: string }>(answer)).key)
    assert.deepEqual(await namesOf(storage), ['docs/a.png', ...keys].sort())
    assert.equal(keys.size, 1)
  })

  it('need parts of one size', async () => {
    const { client, upload, parts } = await begin()
    parts.push(await client.put(upload, 2, PNG))
    const { status, message } = await refusal(await client.complete(upload, parts))
    assert.equal(status, 400)
    assert.match(message, /all but the last must have one size/)
    await client.put(upload, 1, picture(PART))
    const uneven = [
      await client.put(upload, 1, picture(PART)),
      await client.put(upload, 2, picture(PART + 1)),
      await client.put(upload, 3, PNG),
    ]
    assert.equal((await refusal(await client.complete(upload, uneven))).status, 400)
  })

  it('are swept once they are complete, as well', async () => {
    const { storage, client, upload, parts } = await begin()
    failing('CopyObject', { status: 503, code: 'ServiceUnavailable' }, 100)
    await client.complete(upload, parts)
    r2.behaviour.onRequest = undefined
    assert.equal(await sweepBelow(driverOf(storage), '', new Date(Date.now() + 60_000), undefined), 1)
    const [bucket] = [...r2.buckets.values()].slice(-1)
    assert.equal(bucket?.size, 0)
  })
})
