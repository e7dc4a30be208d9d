/** What `toNodeListener` leaves to the listeners behind it. */
import assert from 'node:assert/strict'
import { createServer, type RequestListener, type Server } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { setTimeout as wait } from 'node:timers/promises'
import express from 'express'
import { MemoryStorage } from 'stowage'
import { createFileHandler, receiveUpload, toNodeListener } from 'stowage/http'
import { afterEach, describe, it } from 'vitest'

const servers: Server[] = []
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
})

async function listening(listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

describe('a request that the handler does not answer', () => {
  it.each([10, 3_000_000])('keeps its body of %i bytes for a listener that comes later', async (size) => {
    const app = express()
    app.use(toNodeListener(createFileHandler(new MemoryStorage())))
    app.use((_req, _res, next) => void wait(50).then(() => next())) // looks a user up
    app.post('/raw', async (req, res) => void res.json((await buffer(req)).byteLength))
    const address = await listening(app)
    const answer = await fetch(`${address}/raw`, { method: 'POST', body: 'x'.repeat(size) })
    assert.equal(await answer.text(), String(size))
  })

  it('keeps its form for receiveUpload', async () => {
    const storage = new MemoryStorage()
    const app = express()
    app.use(toNodeListener(createFileHandler(storage)))
    app.use((_req, _res, next) => void wait(50).then(() => next()))
    app.post('/form', async (req, res) => {
      const { files } = await receiveUpload(storage, req, { name: ({ filename }) => filename })
      res.json(files[0].size)
    })
    const body = new FormData()
    body.set('file', new Blob(['hello']), 'a.txt')
    const answer = await fetch(`${await listening(app)}/form`, { method: 'POST', body })
    assert.deepEqual([answer.status, await answer.text()], [200, '5'])
  })
})

describe('a request that the handler answers', () => {
  it('gives its body late, in whole and in part', async () => {
    const address = await listening(
      toNodeListener(async (request) => {
        await wait(50)
        if (request.url.endsWith('/head')) {
          const reader = request.body?.getReader()
          const first = await reader?.read()
          await reader?.cancel()
          return Response.json((first?.value?.byteLength ?? 0) > 0)
        }
        return Response.json((await request.text()).length)
      }),
    )
    const body = 'x'.repeat(3_000_000)
    assert.equal(await (await fetch(`${address}/`, { method: 'POST', body })).text(), '3000000')
    assert.equal(await (await fetch(`${address}/head`, { method: 'POST', body })).text(), 'true')
  })

  it('is answered also when nobody reads its body', async () => {
    const address = await listening(toNodeListener(async () => new Response('no', { status: 403 })))
    const answer = await fetch(address, { method: 'POST', body: 'x'.repeat(3_000_000) })
    assert.deepEqual([answer.status, await answer.text()], [403, 'no'])
  })

  it('says so when its client leaves in the middle of the body', async () => {
    let resolve: (outcome: string) => void
    const promise = new Promise<string>((settle) => {
      resolve = settle
    })
    const address = await listening(
      toNodeListener(async (request) => {
        resolve(await request.text().catch((error: unknown) => `rejected: ${error}`))
        return new Response()
      }),
    )
    const socket = connect(Number(new URL(address).port), '127.0.0.1')
    socket.write('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhalf')
    await wait(50)
    socket.destroy()
    assert.match(await promise, /^rejected: /)
  })
})
