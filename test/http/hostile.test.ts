/** Clients that lie, dawdle, leave, or speak no HTTP: on real connections. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { serve } from '@hono/node-server'
import fc from 'fast-check'
import { Hono } from 'hono'
import { FileSystemStorage, MemoryStorage, type Storage } from 'stowage'
import { createFileHandler, type FileHandlerOptions } from 'stowage/http'
import { describe, expect, it, onTestFinished } from 'vitest'
import { answerTo, listening, openDescriptors, socketTo, statusesOf, until } from './listening.js'

const MIB = 1024 * 1024
const open = { access: 'public' } as const

async function onDisk(): Promise<{ storage: FileSystemStorage; files: () => Promise<string[]> }> {
  const location = await mkdtemp(join(tmpdir(), 'stowage-hostile-'))
  onTestFinished(() => rm(location, { recursive: true }))
  const storage = new FileSystemStorage({ location, fsync: false })
  const files = async () => {
    const entries = await readdir(location, { recursive: true, withFileTypes: true })
    // The mark of the sweep, which runs on its own, is no leftover.
    return entries.filter((entry) => entry.isFile() && entry.name !== 'swept').map(({ name }) => name)
  }
  return { storage, files }
}

async function onHono(storage: Storage, options: FileHandlerOptions): Promise<string> {
  const files = createFileHandler(storage, options)
  const app = new Hono().use('/uploads/*', async (c, next) => (await files(c.req.raw)) ?? next())
  const server = serve({
    fetch: app.fetch,
    port: 0,
    hostname: '127.0.0.1',
    serverOptions: { keepAliveTimeout: 0 },
  })
  await once(server, 'listening')
  onTestFinished(async () => {
    if ('closeAllConnections' in server) server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

describe('slow clients', () => {
  it('200 slow readers get their files, others are served meanwhile, and every descriptor returns', async () => {
    const { storage } = await onDisk()
    const content = Buffer.alloc(4 * MIB, 'slow ')
    await storage.save('large.txt', content)
    await storage.save('small.txt', 'quick')
    const address = await listening(storage, open)
    const before = await openDescriptors()
    const readers = await Promise.all(
      Array.from({ length: 200 }, async () => {
        const socket = await socketTo(address)
        socket.write('GET /uploads/large.txt HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
        await once(socket, 'readable')
        return socket
      }),
    )
    assert.equal(await (await fetch(`${address}/uploads/small.txt`)).text(), 'quick')
    for (const socket of readers) {
      let head = ''
      let received = 0
      for await (const chunk of socket) {
        received += chunk.length
        if (head === '') head = chunk.subarray(0, 1000).toString('latin1')
      }
      assert.deepEqual(statusesOf(head), [200])
      assert.equal(received, content.length + head.indexOf('\r\n\r\n') + 4)
    }
    await until(async () => (await openDescriptors()) <= before + 2) // The pool of `fetch` keeps a connection.
  })

  it('200 slow writers: who finishes has a file, who leaves has none, and nothing else stays', async () => {
    const { storage, files } = await onDisk()
    const address = await listening(storage, {})
    const size = 64 * 1024
    const half = 'x'.repeat(size / 2)
    const before = await openDescriptors()
    const writers = await Promise.all(
      Array.from({ length: 200 }, async (_, index) => {
        const { url } = await storage.signedUpload(`${index}.txt`, { size, contentType: 'text/plain' })
        const socket = await socketTo(address)
        const headers = `host: x\r\nconnection: close\r\ncontent-type: text/plain\r\ncontent-length: ${size}`
        socket.write(`PUT ${url} HTTP/1.1\r\n${headers}\r\n\r\n${half}`)
        return socket
      }),
    )
    assert.equal((await fetch(`${address}/uploads/0.txt`)).status, 403)
    const finish = async (index: number) => {
      const socket = writers[index]
      assert.ok(socket)
      const [data] = await Promise.all([once(socket, 'data'), socket.write(half)])
      assert.deepEqual(statusesOf(String(data[0])), [200])
      socket.destroy()
    }
    await Promise.all(
      writers.map(async (socket, index) => (index % 2 === 0 ? finish(index) : socket.destroy())),
    )
    await until(async () => (await openDescriptors()) <= before + 2)
    await until(async () => (await files()).length === 100)
    const expected = Array.from({ length: 100 }, (_, index) => `${2 * index}.txt`)
    assert.deepEqual((await files()).sort(), expected.sort())
  })
})

describe.each([
  ['node:http', listening],
  ['Hono', onHono],
])('%s', (_, serving) => {
  const HEAD = 'host: x\r\nconnection: close\r\ncontent-type: text/plain\r\n'
  const inner = 'GET /uploads/secret.txt HTTP/1.1\r\nhost: x\r\n\r\n'
  it.each([
    ['two lengths', `${HEAD}content-length: 5\r\ncontent-length: 6\r\n\r\nhello`],
    ['a list of lengths', `${HEAD}content-length: 5, 5\r\n\r\nhello`],
    ['a signed length', `${HEAD}content-length: +5\r\n\r\nhello`],
    ['a hexadecimal length', `${HEAD}content-length: 0x5\r\n\r\nhello`],
    ['a negative length', `${HEAD}content-length: -5\r\n\r\nhello`],
    ['a length beyond all numbers', `${HEAD}content-length: 99999999999999999999\r\n\r\nhello`],
    [
      'Transfer-Encoding beside a length',
      `${HEAD}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`,
    ],
    [
      'Transfer-Encoding beside a length, and a request within',
      `${HEAD}transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n${inner}`,
    ],
    ['an unknown Transfer-Encoding', `${HEAD}transfer-encoding: xchunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`],
    ['chunked not last', `${HEAD}transfer-encoding: chunked, identity\r\n\r\n5\r\nhello\r\n0\r\n\r\n`],
    ['chunks without a length', `${HEAD}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`],
    ['a chunk size that is none', `${HEAD}transfer-encoding: chunked\r\n\r\nG\r\nhello\r\n0\r\n\r\n`],
    ['a folded header', `${HEAD}content-length:\r\n 6\r\n\r\nhello`],
    ['a space before the colon', `${HEAD}content-length : 5\r\n\r\nhello`],
    ['a length that is too small', `${HEAD}content-length: 4\r\n\r\nhello`],
    ['a length that is too large', `${HEAD}content-length: 6\r\n\r\nhello`],
    ['a length that is never reached', `${HEAD}content-length: 5\r\n\r\nhell`, { leaves: true }],
    ['no length', `${HEAD}\r\nhello`],
    ['a NUL in a header', `${HEAD}x-a: \0\r\ncontent-length: 5\r\n\r\nhello`],
  ])(
    'stores nothing of an upload with %s, and lives on',
    async (_case, rest, { leaves } = { leaves: false }) => {
      const storage = new MemoryStorage()
      await storage.save('secret.txt', 'secret')
      const address = await serving(storage, {})
      const { url } = await storage.signedUpload('a.txt', { size: 5, contentType: 'text/plain' })
      const answer = await answerTo(address, `PUT ${url} HTTP/1.1\r\n${rest}`, { leaves })
      const statuses = statusesOf(answer)
      // Who leaves in the middle may get no answer.
      if (!leaves) assert.notEqual(statuses.length, 0)
      for (const status of statuses) expect(status).toSatisfy((code) => code >= 400 && code < 500)
      assert.doesNotMatch(answer, /secret/)
      assert.equal(await storage.exists('a.txt'), false)
      const right = await answerTo(
        address,
        `PUT ${url} HTTP/1.1\r\n${HEAD}expect: 100-continue\r\ncontent-length: 5\r\n\r\nhello`,
      )
      assert.equal(statusesOf(right).at(-1), 200)
    },
  )

  it('takes bare line feeds for no upload of another length', async () => {
    const storage = new MemoryStorage()
    const address = await serving(storage, {})
    const { url } = await storage.signedUpload('a.txt', { size: 5, contentType: 'text/plain' })
    await answerTo(
      address,
      `PUT ${url} HTTP/1.1\nhost: x\ncontent-type: text/plain\ncontent-length: 5\n\nhello, and more`,
    )
    const stored = (await storage.exists('a.txt')) ? await (await storage.open('a.txt')).text() : 'hello'
    assert.equal(stored, 'hello')
  })

  it.each([
    ['GET with a body', 'GET', 'content-length: 5\r\n\r\nhello', [200]],
    ['HEAD with a body', 'HEAD', 'content-length: 5\r\n\r\nhello', [200]],
    ['GET with chunks', 'GET', 'transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n', [200]],
    ['a whole address', 'GET', '\r\n', [200], 'http://other.example/uploads/a.txt'],
    ['an address that is none', 'GET', '\r\n', [400, 404], 'http://[::bad/uploads/a.txt'],
    ['two slashes', 'GET', '\r\n', [404], '//uploads/a.txt'],
    ['another host in the path', 'GET', '\r\n', [404], '//other.example/uploads/a.txt'],
    ['an asterisk', 'OPTIONS', '\r\n', [400, 404], '*'],
    ['no slash', 'GET', '\r\n', [400, 404], 'uploads/a.txt'],
    ['a very long path', 'GET', '\r\n', [404, 414, 431], `/uploads/${'a'.repeat(100_000)}`],
    ['a path of slashes', 'GET', '\r\n', [404], `/uploads/${'/'.repeat(10_000)}`],
    ['bytes beyond ASCII', 'GET', '\r\n', [400, 404], '/uploads/\xe9\xff.txt'],
    ['half a percent sign', 'GET', '\r\n', [404], '/uploads/a%.txt'],
    ['10,000 ranges', 'GET', `range: bytes=${'0-0,'.repeat(10_000)}1-1\r\n\r\n`, [200, 431]],
    ['3,000 ranges', 'GET', `range: bytes=${'0-0,'.repeat(3_000)}1-1\r\n\r\n`, [200]],
    ['200 tags', 'GET', `if-none-match: ${'W/"a", '.repeat(200)}"b"\r\n\r\n`, [200]],
    ['a broken tag', 'GET', `if-none-match: "${'\\"'.repeat(5_000)}\r\n\r\n`, [200]],
    ['an unknown method', 'PROPFIND', '\r\n', [405]],
    ['a method that is none', 'G@T', '\r\n', [400]],
  ])('answers %s', async (_case, method, rest, statuses, target = '/uploads/a.txt') => {
    const storage = new MemoryStorage()
    await storage.save('a.txt', 'hello world')
    const address = await serving(storage, open)
    const request = `${method} ${target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n${rest}`
    const found = statusesOf(await answerTo(address, Buffer.from(request, 'latin1')))
    expect(found).toHaveLength(1)
    expect(statuses).toContain(found[0])
    assert.equal((await fetch(`${address}/uploads/a.txt`)).status, 200)
  })

  it('leaves no file and no descriptor of clients that leave', async () => {
    const { storage, files } = await onDisk()
    await storage.save('large.txt', Buffer.alloc(8 * MIB, 'x'))
    const address = await serving(storage, open)
    const { url } = await storage.signedUpload('new.txt', { size: 8 * MIB, contentType: 'text/plain' })
    const headers = `host: x\r\ncontent-type: text/plain\r\ncontent-length: ${8 * MIB}`
    const before = await openDescriptors()
    for (const request of [
      'GET /uploads/large.txt HTTP/1.1\r\nhost: x\r\n\r\n',
      'GET /uploads/large.txt HTTP/1.1\r\nhost: x\r\nrange: bytes=1-\r\n\r\n',
      `PUT ${url} HTTP/1.1\r\n${headers}\r\n\r\n${'x'.repeat(MIB)}`,
    ]) {
      await Promise.all(
        Array.from({ length: 20 }, async (_, index) => {
          const socket = await socketTo(address)
          socket.write(request)
          // Some leave before there is an answer.
          if (index % 2 === 0 && request.startsWith('GET')) await once(socket, 'data')
          socket.destroy()
        }),
      )
    }
    await until(async () => (await openDescriptors()) <= before)
    await until(async () => (await files()).length === 1)
    assert.equal((await (await fetch(`${address}/uploads/large.txt`)).arrayBuffer()).byteLength, 8 * MIB)
  })
})

describe('whatever is asked', () => {
  const ALLOWED = [501, 503, 507]
  const NAMES = ['range', 'if-range', 'if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since']
  const OTHERS = [
    'content-type',
    'content-length',
    'origin',
    'access-control-request-headers',
    'expect',
    'te',
  ]
  const value = fc.oneof(
    fc
      .string({ unit: 'binary', maxLength: 60 })
      .map((text) => text.replace(/[^\x20-\x7e\x80-\xff]/g, 'é').trim()),
    fc.constantFrom('bytes=0-', 'bytes=-1', 'bytes=0-0,2-3', '"a"', 'W/"a"', '*', '"', 'W/', '5', '0', '-1'),
    fc.date().map((date) => (Number.isNaN(date.getTime()) ? 'never' : date.toUTCString())),
  )
  const headers = fc.dictionary(fc.constantFrom(...NAMES, ...OTHERS), value, { maxKeys: 6 })
  const path = fc.oneof(
    fc.constantFrom(
      'a.txt',
      'a.txt/b',
      'folder',
      'folder/',
      '.stowage/meta',
      '%2e%2e/a.txt',
      'a.txt?signed=a.b',
    ),
    fc.string({ unit: 'binary', maxLength: 300 }).map((text) => encodeURIComponent(text.toWellFormed())),
    fc.string({ unit: 'binary-ascii', maxLength: 60 }).map((text) => text.replace(/[^\x21-\x7e]/g, '%')),
  )
  const method = fc.oneof(
    fc.constantFrom('GET', 'HEAD', 'PUT', 'POST', 'DELETE', 'OPTIONS', 'PATCH'),
    fc
      .stringMatching(/^[A-Z!#$%&'*+.^_`|~-]{1,12}$/)
      .filter((word) => !/^(?:CONNECT|TRACE|TRACK)$/.test(word)),
  )

  it('the handler never throws, and never fails by itself', async () => {
    const { storage } = await onDisk()
    await storage.save('a.txt', 'hello world')
    await storage.save('folder/b.txt', 'hello world')
    const { url } = await storage.signedUpload('new.txt', { size: 5, contentType: 'text/plain' })
    const signed = new URL(url, 'http://x').search
    const handlers = [
      createFileHandler(storage, { access: 'public', cors: ['*'] }),
      createFileHandler(storage, { cors: ['https://app.example.com'] }),
    ]
    await fc.assert(
      fc.asyncProperty(
        method,
        path,
        fc.constantFrom('', signed),
        headers,
        async (verb, where, query, given) => {
          const address = new URL(`/uploads/${where}${query}`, 'http://x')
          for (const handler of handlers) {
            const response = await handler(new Request(address, { method: verb, headers: given }))
            if (response === undefined) continue
            assert.ok(response.status < 500 || ALLOWED.includes(response.status), `${response.status}`)
            await response.arrayBuffer()
          }
        },
      ),
      { numRuns: 2_000 },
    )
  })

  it('the listener answers everything', async () => {
    const { storage } = await onDisk()
    await storage.save('a.txt', 'hello world')
    const address = await listening(storage, { access: 'public', cors: ['*'] })
    const raw = fc.oneof(path, fc.string({ unit: 'binary', maxLength: 60 }))
    await fc.assert(
      fc.asyncProperty(method, raw, headers, async (verb, where, given) => {
        const lines = Object.entries(given).map(([name, text]) => `${name}: ${text}\r\n`)
        const request = `${verb} /uploads/${where} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n${lines.join('')}\r\n`
        const statuses = statusesOf(await answerTo(address, Buffer.from(request, 'latin1')))
        assert.notEqual(statuses.length, 0)
        for (const status of statuses) assert.ok(status < 500 || ALLOWED.includes(status), `${status}`)
      }),
      { numRuns: 500 },
    )
    assert.equal(await (await fetch(`${address}/uploads/a.txt`)).text(), 'hello world')
  })
})
