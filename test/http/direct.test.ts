/** The answers of `serveFile` that a listener sends are like every `Response`, whatever stands between. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Hono } from 'hono'
import { compress } from 'hono/compress'
import { cors } from 'hono/cors'
import { etag } from 'hono/etag'
import { FileSystemStorage } from 'stowage'
import { serveFile, toNodeListener } from 'stowage/http'
import { describe, it, onTestFinished } from 'vitest'
import { openDescriptors, until } from './listening.js'

type Handler = (request: Request) => Promise<Response>

async function listening(handler: Handler): Promise<string> {
  const server = createServer(toNodeListener(handler))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
}

async function onDisk(content: string): Promise<FileSystemStorage> {
  const location = await mkdtemp(join(tmpdir(), 'stowage-direct-'))
  onTestFinished(() => rm(location, { recursive: true }))
  const storage = new FileSystemStorage({ location, fsync: false })
  await storage.save('a.txt', content, { contentType: 'text/plain; charset=utf-8' })
  return storage
}

const USES: Readonly<Record<string, (response: Response) => Response | Promise<Response>>> = {
  'as it is': (response) => response,
  'in another Response': (response) => new Response(response.body, response),
  'in another Response with more headers': ({ body, status, headers }) =>
    new Response(body, { status, headers: { ...Object.fromEntries(headers), 'x-more': 'yes' } }),
  'as a copy': (response) => response.clone(),
  'as a copy of a copy': (response) => response.clone().clone(),
  async 'after a copy was read'(response) {
    await response.clone().text()
    return response
  },
  async 'as a copy, after it was read'(response) {
    const copy = response.clone()
    await response.arrayBuffer()
    return copy
  },
  'as text': async (response) => new Response(await response.text(), response),
  'as bytes': async (response) => new Response(await response.arrayBuffer(), response),
  async 'as a Blob'(response) {
    const blob = await response.blob()
    assert.equal(blob.type, 'text/plain;charset=utf-8')
    return new Response(blob, response)
  },
  'through a stream': ({ body, headers }) => {
    assert.ok(body)
    return new Response(body.pipeThrough(new TransformStream()), { headers })
  },
  async 'chunk by chunk'(response) {
    const parts: Uint8Array[] = []
    for await (const part of response.body ?? []) parts.push(part)
    return new Response(Buffer.concat(parts), response)
  },
}

describe.each([
  ['small', 'hello world'],
  ['large', 'hello world '.repeat(50_000)],
])('a %s file', (_, content) => {
  it.each(Object.keys(USES))('arrives %s', async (name) => {
    const storage = await onDisk(content)
    const address = await listening(async (request) => {
      const response = await serveFile(storage, 'a.txt', request)
      assert.ok(response instanceof Response)
      assert.equal(response.bodyUsed, false)
      response.headers.set('x-marked', 'yes')
      const used = await USES[name]?.(response)
      assert.ok(used)
      assert.equal(used.bodyUsed, false)
      return used
    })
    const answer = await fetch(address)
    assert.equal(answer.status, 200)
    assert.equal(answer.headers.get('x-marked'), 'yes')
    assert.equal(answer.headers.get('content-length'), String(content.length))
    assert.equal(await answer.text(), content)
  })

  it('is used once it was read or sent: a second time breaks the connection', async () => {
    const storage = await onDisk(content)
    let sent: Response | undefined
    const again = await listening(async (request) => {
      sent ??= await serveFile(storage, 'a.txt', request)
      return sent
    })
    assert.equal(await (await fetch(again)).text(), content)
    assert.equal(sent?.bodyUsed, true)
    await assert.rejects(fetch(again).then((answer) => answer.text()))
    const read = await listening(async (request) => {
      const response = await serveFile(storage, 'a.txt', request)
      await response.text()
      assert.equal(response.bodyUsed, true)
      await assert.rejects(response.text(), TypeError)
      return response
    })
    await assert.rejects(fetch(read).then((answer) => answer.text()))
  })

  it('gives its descriptor back where it is not wanted', async () => {
    const storage = await onDisk(content)
    const address = await listening(async (request) => {
      const { body } = await serveFile(storage, 'a.txt', request)
      await body?.cancel()
      return new Response(null, { status: 204 })
    })
    await fetch(address)
    const before = await openDescriptors()
    for (let count = 0; count < 20; count++) assert.equal((await fetch(address)).status, 204)
    await until(async () => (await openDescriptors()) <= before + 2) // The pool of `fetch` keeps connections.
  })

  it('passes the middleware of Hono', async () => {
    const storage = await onDisk(content)
    const app = new Hono()
    app.use(cors(), etag(), compress({ threshold: 0 }))
    app.get('/', (c) => serveFile(storage, 'a.txt', c.req.raw))
    const address = await listening(async (request) => app.fetch(request))
    const answer = await fetch(address)
    assert.equal(answer.headers.get('access-control-allow-origin'), '*')
    assert.equal(answer.headers.get('content-encoding'), 'gzip')
    assert.equal(await answer.text(), content)
  })
})
