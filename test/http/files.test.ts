import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import {
  ConfigurationError,
  driverOf,
  FileSystemStorage,
  MemoryStorage,
  prefixed,
  readOnly,
  type Storage,
} from 'stowage'
import { createFileHandler, type FileHandlerOptions, serveFile } from 'stowage/http'
import { describe, expect, it, onTestFinished } from 'vitest'
import { listening } from './listening.js'

const HOST = 'http://localhost'
const SECRET = 'a'.repeat(32)

/** Asks a handler, as if over HTTP. */
async function ask(storage: Storage, path: string, init: RequestInit = {}, options: FileHandlerOptions = {}) {
  const response = await createFileHandler(storage, options)(new Request(HOST + path, init))
  assert.ok(response)
  return response
}

const open = { access: 'public' } as const

async function stored(name = 'a.txt', content = 'hello world', options = {}): Promise<Storage> {
  const storage = new MemoryStorage({ signingSecret: SECRET })
  await storage.save(name, content, options)
  return storage
}

describe('a signed address', () => {
  it('is refused after any change: 10,000 mutations, none accepted, none an error of ours', async () => {
    const storage = await stored()
    await storage.save('b.txt', 'secret')
    const handler = createFileHandler(storage)
    const upload = await storage.signedUpload('new.txt', { size: 5, contentType: 'text/plain' })
    const addresses = [
      { method: 'GET', url: await storage.signedUrl('a.txt') },
      {
        method: 'GET',
        url: await storage.signedUrl('a.txt', { download: 'b "c".txt', contentType: 'text/x' }),
      },
      { method: upload.method, url: upload.url },
    ]
    const characters = [...'aZ09-_=&?/.%+\\#é', '%00', '%2e', '/../', '&signed=', 'signed=']
    const run = async (index: number, start: number, length: number, inserted: string, method: string) => {
      const address = addresses[index % addresses.length]
      assert.ok(address)
      const at = start % (address.url.length + 1)
      const url = address.url.slice(0, at) + inserted + address.url.slice(at + length)
      if (!URL.canParse(url, HOST)) return
      const { pathname, search } = new URL(url, HOST)
      // Another spelling of the same name is no other address.
      const spelled = pathname.replace(/%2e/gi, '.') + search
      const changed = spelled !== address.url || method !== address.method
      if (!changed || !pathname.startsWith('/uploads/')) return
      const body = method === 'PUT' ? { body: 'hello' } : {}
      const headers = { 'content-type': 'text/plain', 'content-length': '5' }
      const response = await handler(new Request(new URL(url, HOST), { method, headers, ...body }))
      expect([403, 405], `${method} ${url}`).toContain(response?.status)
    }
    await fc.assert(
      fc.asyncProperty(
        fc.nat(),
        fc.nat(),
        fc.nat(4),
        fc.constantFrom('', ...characters),
        fc.constantFrom('GET', 'GET', 'PUT', 'HEAD', 'POST', 'DELETE'),
        run,
      ),
      { numRuns: 10_000 },
    )
    assert.equal(await storage.exists('new.txt'), false)
  })

  it('is of one storage: another secret, base address or realm refuses it', async () => {
    const options = { signingSecret: SECRET, baseUrl: '/uploads/', realm: 'a' }
    const url = await new MemoryStorage(options).signedUrl('a.txt')
    for (const other of [
      { signingSecret: 'b'.repeat(32) },
      { realm: 'b' },
      { realm: '' },
      { baseUrl: '/media/' },
    ]) {
      const storage = new MemoryStorage({ ...options, ...other })
      assert.equal((await ask(storage, url)).status, 403, JSON.stringify(other))
    }
    assert.equal((await ask(new MemoryStorage(options), url)).status, 404)
  })

  it('outlives its secret for as long as that is in the list', async () => {
    const [old, current] = [SECRET, 'b'.repeat(32)]
    const url = await new MemoryStorage({ signingSecret: old }).signedUrl('a.txt')
    assert.equal((await ask(new MemoryStorage({ signingSecret: [current, old] }), url)).status, 404)
    assert.equal((await ask(new MemoryStorage({ signingSecret: [current] }), url)).status, 403)
    const rotated = await new MemoryStorage({ signingSecret: [current, old] }).signedUrl('a.txt')
    assert.equal((await ask(new MemoryStorage({ signingSecret: current }), rotated)).status, 404)
  })

  it('needs a secret of 32 bytes', () => {
    for (const signingSecret of ['short', ['short'], [], [SECRET, 'short']]) {
      assert.throws(() => new MemoryStorage({ signingSecret }), ConfigurationError)
      assert.throws(() => new FileSystemStorage({ signingSecret }), ConfigurationError)
    }
  })

  it('works through wrappers, and a read-only storage takes no upload', async () => {
    const storage = await stored('tenants/7/a.txt')
    const tenant = prefixed(storage, 'tenants/7')
    const url = await tenant.signedUrl('a.txt')
    assert.equal(await (await ask(tenant, url)).text(), 'hello world')
    assert.equal(await (await ask(storage, url)).text(), 'hello world')
    assert.equal((await ask(prefixed(storage, 'tenants/8'), url)).status, 403)
    const upload = await storage.signedUpload('b.txt', { size: 1, contentType: 'text/plain' })
    const request = { method: 'PUT', body: 'x', headers: { ...upload.headers, 'content-length': '1' } }
    assert.equal((await ask(readOnly(storage), upload.url, request)).status, 403)
    assert.equal((await ask(storage, upload.url, request)).status, 200)
  })

  it('answers the agreed statuses to uploads that break the agreement', async () => {
    const storage = new MemoryStorage()
    const { url } = await storage.signedUpload('a.txt', { size: 5, contentType: 'text/plain' })
    const put = async (body: string, headers: Record<string, string>) => {
      const response = await ask(storage, url, { method: 'PUT', body, headers })
      return response.status
    }
    const type = { 'content-type': 'text/plain' }
    assert.equal(await put('hello!', { ...type, 'content-length': '6' }), 413)
    assert.equal(await put('hell', { ...type, 'content-length': '4' }), 400)
    assert.equal(await put('hello', type), 411)
    assert.equal(await put('hello', { 'content-length': '5', 'content-type': 'text/html' }), 415)
    // The length lies.
    assert.equal(await put('hello!', { ...type, 'content-length': '5' }), 413)
    assert.equal(await put('hell', { ...type, 'content-length': '5' }), 400)
    assert.equal(await storage.exists('a.txt'), false)
    assert.equal(await put('hello', { ...type, 'content-length': '5' }), 200)
    assert.equal(await put('hello', { ...type, 'content-length': '5' }), 409)
  })
})

describe('the file handler', () => {
  it.each([
    [undefined, 200, 'hello world', undefined],
    ['bytes=0-0', 206, 'h', 'bytes 0-0/11'],
    ['bytes=6-', 206, 'world', 'bytes 6-10/11'],
    ['bytes=-5', 206, 'world', 'bytes 6-10/11'],
    ['bytes=-50', 206, 'hello world', 'bytes 0-10/11'],
    ['bytes=6-99999999999999999999', 206, 'world', 'bytes 6-10/11'],
    ['bytes=0-1,3-4', 200, 'hello world', undefined],
    [`bytes=${'0-0,'.repeat(10_000)}1-1`, 200, 'hello world', undefined],
    ['bytes=5-2', 200, 'hello world', undefined],
    ['bytes=a-b', 200, 'hello world', undefined],
    ['bytes=-', 200, 'hello world', undefined],
    ['bytes=-0', 200, 'hello world', undefined],
    ['lines=1-2', 200, 'hello world', undefined],
    ['bytes=11-', 416, undefined, 'bytes */11'],
    ['bytes=99999999999999999999-', 416, undefined, 'bytes */11'],
  ])('answers the range %s', async (range, status, content, contentRange) => {
    const headers = range === undefined ? {} : { range }
    const response = await ask(await stored(), '/uploads/a.txt', { headers }, open)
    assert.equal(response.status, status)
    assert.equal(response.headers.get('content-range') ?? undefined, contentRange)
    if (content === undefined) return
    assert.equal(await response.text(), content)
    assert.equal(response.headers.get('content-length'), String(content.length))
    assert.equal(response.headers.get('accept-ranges'), 'bytes')
  })

  it('honours conditions, also those of ranges', async () => {
    const storage = await stored()
    const { etag, lastModified } = await storage.stat('a.txt')
    const later = new Date(lastModified.getTime() + 60_000).toUTCString()
    const earlier = new Date(lastModified.getTime() - 60_000).toUTCString()
    const cases: readonly [Record<string, string>, number][] = [
      [{ 'if-none-match': etag }, 304],
      [{ 'if-none-match': `"other", W/${etag}` }, 304],
      [{ 'if-none-match': '*' }, 304],
      [{ 'if-none-match': '"other"' }, 200],
      [{ 'if-none-match': '"other"', 'if-modified-since': later }, 200],
      [{ 'if-modified-since': later }, 304],
      [{ 'if-modified-since': earlier }, 200],
      [{ 'if-modified-since': 'never' }, 200],
      [{ 'if-match': etag }, 200],
      [{ 'if-match': '"other"' }, 412],
      [{ 'if-unmodified-since': earlier }, 412],
      [{ range: 'bytes=0-1', 'if-range': etag }, 206],
      [{ range: 'bytes=0-1', 'if-range': '"other"' }, 200],
      [{ range: 'bytes=99-', 'if-range': '"other"' }, 200],
      [{ range: 'bytes=99-', 'if-range': etag }, 416],
      [{ range: 'bytes=0-1', 'if-none-match': etag }, 304],
    ]
    for (const [headers, status] of cases) {
      for (const method of ['GET', 'HEAD']) {
        const response = await ask(storage, '/uploads/a.txt', { method, headers }, open)
        const expected = method === 'HEAD' && (status === 206 || status === 416) ? 200 : status
        assert.equal(response.status, expected, `${method} ${JSON.stringify(headers)}`)
        if (method === 'HEAD' || status === 304) assert.equal(await response.text(), '')
        if (status === 304) assert.equal(response.headers.get('etag'), etag)
      }
    }
  })

  it.each([
    ['page.html', 'text/html'],
    ['image.svg', 'image/svg+xml'],
    ['feed.xml', 'application/xml'],
    ['script.js', 'text/javascript'],
    ['unknown', 'application/octet-stream'],
    ['odd.png', 'image/png, text/html'],
  ])('lets no browser run %s (%s)', async (name, contentType) => {
    const storage = await stored(name, '<script>alert(1)</script>')
    const stat = await storage.stat(name)
    const altered = Object.assign(Object.create(storage), {
      open: async () =>
        Object.assign(await storage.open(name), { contentType, contentDisposition: 'inline' }),
      stat: async () => ({ ...stat, contentType, contentDisposition: 'inline' }),
    })
    const response = await serveFile(altered, name, new Request(HOST))
    assert.match(response.headers.get('content-disposition') ?? '', /^attachment; filename=/)
    assert.match(response.headers.get('content-security-policy') ?? '', /sandbox/)
    assert.equal(response.headers.get('x-content-type-options'), 'nosniff')
  })

  it('shows pictures, sound, text and PDF, under their stored types', async () => {
    for (const [name, contentType] of [
      ['a.png', 'image/png'],
      ['note.webm', 'audio/webm'],
      ['a.pdf', 'application/pdf'],
      ['a.txt', 'text/plain; charset=utf-8'],
    ] as const) {
      const storage = await stored(name, 'x', { contentType, cacheControl: 'max-age=60' })
      const { headers } = await ask(storage, `/uploads/${name}`, {}, open)
      assert.equal(headers.get('content-type'), contentType)
      assert.equal(headers.get('content-disposition'), null)
      assert.equal(headers.get('cache-control'), 'max-age=60')
      assert.equal(headers.get('x-content-type-options'), 'nosniff')
    }
  })

  it('gives nothing to browsers that are about to run it', async () => {
    const storage = new MemoryStorage()
    await storage.save('a.js', 'alert(1)')
    const files = createFileHandler(storage, { access: 'public' })
    const statusFor = async (dest: string) => {
      const headers = { 'sec-fetch-dest': dest }
      return (await files(new Request('http://localhost/uploads/a.js', { headers })))?.status
    }
    for (const dest of ['script', 'worker', 'sharedworker', 'serviceworker', 'xslt']) {
      assert.equal(await statusFor(dest), 403, dest)
    }
    for (const dest of ['document', 'image', 'audio', 'empty', 'iframe']) {
      assert.equal(await statusFor(dest), 200, dest)
    }
  })

  it('takes a path for the name that it says, and for no other', async () => {
    const storage = await stored('a/b.txt')
    const wrong = ['a//b.txt', 'a%2Fb.txt', 'a%5Cb.txt', '/a/b.txt', 'a/b.txt/', '%', '%ff', '']
    for (const path of wrong) {
      assert.equal((await ask(storage, `/uploads/${path}`, {}, open)).status, 404, path)
      assert.equal((await ask(storage, `/uploads/${path}`)).status, 403, path)
    }
    assert.equal((await ask(storage, '/uploads/%61/b%2Etxt', {}, open)).status, 200)
  })

  it('lets an access function decide, and passes on what is not its own', async () => {
    const storage = await stored('rooms/7/a.txt')
    const asked: string[] = []
    const access = (name: string) => {
      asked.push(name)
      return name.startsWith('rooms/7/')
    }
    assert.equal((await ask(storage, '/uploads/rooms/7/a.txt', {}, { access })).status, 200)
    assert.equal((await ask(storage, '/uploads/rooms/8/a.txt', {}, { access })).status, 403)
    assert.deepEqual(asked, ['rooms/7/a.txt', 'rooms/8/a.txt'])
    const failing = { access: () => Promise.reject(new Error('the database is down')) }
    assert.equal((await ask(storage, '/uploads/rooms/7/a.txt', {}, failing)).status, 500)
    assert.equal(await createFileHandler(storage)(new Request(`${HOST}/other`)), undefined)
  })

  it('answers other methods with 405, and refuses options that cannot be', async () => {
    const storage = await stored()
    for (const method of ['POST', 'DELETE', 'PATCH']) {
      const response = await ask(storage, '/uploads/a.txt', { method })
      assert.equal(response.status, 405)
      assert.equal(response.headers.get('allow'), 'GET, HEAD, PUT, OPTIONS')
    }
    for (const options of [
      { basePath: 'uploads' },
      { access: 'all' },
      { cors: ['example.com'] },
      { acces: 1 },
    ]) {
      assert.throws(() => createFileHandler(storage, JSON.parse(JSON.stringify(options))), ConfigurationError)
    }
  })

  it('lets other sites read where they are allowed to', async () => {
    const storage = await stored()
    const options = { ...open, cors: ['https://app.example.com'] }
    const from = async (origin: string, method = 'GET') => {
      const headers = { origin, 'access-control-request-headers': 'content-type' }
      return (await ask(storage, '/uploads/a.txt', { method, headers }, options)).headers
    }
    const allowed = await from('https://app.example.com')
    assert.equal(allowed.get('access-control-allow-origin'), 'https://app.example.com')
    assert.match(allowed.get('vary') ?? '', /origin/)
    const preflight = await from('https://app.example.com', 'OPTIONS')
    assert.equal(preflight.get('access-control-allow-methods'), 'GET, HEAD, PUT')
    assert.equal(preflight.get('access-control-allow-headers'), 'content-type')
    assert.equal((await from('https://evil.example.com')).get('access-control-allow-origin'), null)
  })

  it('never throws, and never fails by itself, whatever is asked', async () => {
    const storage = await stored()
    const handler = createFileHandler(storage, { access: 'public', cors: ['*'] })
    const word = fc
      .string({ unit: 'binary-ascii', maxLength: 40 })
      .map((text) => text.replace(/[^\x21-\x7e]/g, 'x'))
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('GET', 'HEAD', 'PUT', 'POST', 'DELETE', 'OPTIONS', 'PATCH'),
        fc.oneof(word, fc.constantFrom('a.txt', 'a.txt?signed=a.b', '../a.txt', '%2e%2e/a.txt')),
        fc.dictionary(
          fc.constantFrom(
            'range',
            'if-range',
            'if-match',
            'if-none-match',
            'content-type',
            'content-length',
            'origin',
          ),
          word,
        ),
        async (method, path, headers) => {
          const request = new Request(new URL(`/uploads/${path}`, HOST), { method, headers })
          const response = await handler(request)
          assert.ok(response === undefined || response.status < 500, `${method} ${path}`)
          await response?.arrayBuffer()
        },
      ),
      { numRuns: 2_000 },
    )
  })
})

describe('the listener', () => {
  it('folds no path into another one', async () => {
    const storage = await stored('a/b.txt')
    const address = await listening(storage, open)
    const raw = async (path: string) => {
      const socket = connect(Number(new URL(address).port), '127.0.0.1')
      socket.end(`GET ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`)
      return (await text(socket)).split(' ', 2)[1]
    }
    assert.equal(await raw('/uploads/a/b.txt'), '200')
    const spellings = [
      'a/x/../b.txt',
      'a/x/%2e%2E/b.txt',
      'a/./b.txt',
      'a\\b.txt',
      'a/%2e/b.txt',
      '../uploads/a/b.txt',
    ]
    for (const path of spellings) assert.equal(await raw(`/uploads/${path}`), '404', path)
  })

  it('frees everything when clients leave in the middle of a large file', async () => {
    const location = await mkdtemp(join(tmpdir(), 'stowage-http-'))
    onTestFinished(() => rm(location, { recursive: true }))
    const storage = new FileSystemStorage({ location, fsync: false })
    await storage.save('large.bin', Buffer.alloc(32 * 1024 * 1024))
    const address = await listening(storage, open)
    const before = (await readdir('/proc/self/fd')).length
    const clients = Array.from({ length: 50 }, async () => {
      const socket = connect(Number(new URL(address).port), '127.0.0.1')
      socket.write('GET /uploads/large.bin HTTP/1.1\r\nhost: x\r\n\r\n')
      await once(socket, 'data')
      socket.destroy()
    })
    await Promise.all(clients)
    for (let attempt = 0; attempt < 100; attempt++) {
      if ((await readdir('/proc/self/fd')).length <= before) break
      await sleep(50)
    }
    assert.ok((await readdir('/proc/self/fd')).length <= before)
    const whole = await (await fetch(`${address}/uploads/large.bin`)).arrayBuffer()
    assert.equal(whole.byteLength, 32 * 1024 * 1024)
  })

  it('stores nothing of an upload that is cut, and lets a refused client see why', async () => {
    const storage = new MemoryStorage()
    const address = await listening(storage, {})
    const { url, headers } = await storage.signedUpload('a.bin', { size: 5_000_000, contentType: 'a/b' })
    const socket = connect(Number(new URL(address).port), '127.0.0.1')
    socket.write(
      `PUT ${url} HTTP/1.1\r\nhost: x\r\ncontent-type: a/b\r\ncontent-length: 5000000\r\n\r\nsome bytes`,
    )
    await sleep(100)
    socket.destroy()
    await sleep(100)
    assert.equal(await storage.exists('a.bin'), false)
    const body = Buffer.alloc(6_000_000)
    const refused = await fetch(address + url, { method: 'PUT', headers, body })
    assert.equal(refused.status, 413)
    assert.match(await refused.text(), /"code":"Rejected"/)
    const stored = await fetch(address + url, { method: 'PUT', headers, body: body.subarray(0, 5_000_000) })
    assert.equal(stored.status, 200)
    assert.equal(driverOf(storage).label, 'MemoryStorage')
  })
})
