/** The example with busboy, over real HTTP. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { connect } from 'node:net'
import { defaultStorage, MemoryStorage, setDefaultStorage } from 'stowage'
import { httpError } from 'stowage/http'
import { afterEach, beforeEach, it, vi } from 'vitest'
import { receive } from '../../examples/frameworks/busboy.js'

let server: Server
let port: number
let restore: () => void
let failures: unknown[]
beforeEach(async () => {
  restore = setDefaultStorage(new MemoryStorage())
  failures = []
  server = createServer(async (request, response) => {
    try {
      response.end(JSON.stringify(await receive(request)))
    } catch (error) {
      failures.push(error)
      response.statusCode = httpError(error).status
      response.end()
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  port = address.port
})
afterEach(async () => {
  restore()
  server.closeAllConnections()
  server.close()
})

const send = (...contents: (Uint8Array<ArrayBuffer> | string)[]) => {
  const body = new FormData()
  for (const content of contents) body.append('file', new Blob([content]), 'a.png')
  return fetch(`http://127.0.0.1:${port}`, { method: 'POST', body })
}
const photo = async () =>
  new Uint8Array(await readFile(new URL('../../examples/files/photo.png', import.meta.url)))

it('stores each file of a form', async () => {
  const names: unknown = await (await send(await photo(), await photo())).json()
  assert.ok(Array.isArray(names) && names.length === 2)
  assert.equal((await defaultStorage.stat(String(names[0]))).contentType, 'image/png')
})

it('answers 415 and 413', async () => {
  assert.equal((await send('<html>')).status, 415)
  const large = new Uint8Array(51 * 1024 * 1024)
  large.set(await photo())
  assert.equal((await send(large)).status, 413)
  assert.deepEqual((await defaultStorage.listdir('chat_uploads')).files, [])
})

it('answers 400 for a file name with nothing in it', async () => {
  const body = new FormData()
  body.append('file', new Blob([await photo()]), '...')
  assert.equal((await fetch(`http://127.0.0.1:${port}`, { method: 'POST', body })).status, 400)
})

it('keeps nothing of a form that is cut', async () => {
  const socket = connect(port, '127.0.0.1')
  const head = 'content-disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
  socket.write('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10000\r\n')
  socket.write(`content-type: multipart/form-data; boundary=b\r\n\r\n--b\r\n${head}`)
  socket.write((await photo()).subarray(0, 300), () => socket.destroy())
  await vi.waitFor(() => assert.equal(failures.length, 1), 20_000)
  assert.deepEqual((await defaultStorage.listdir('chat_uploads')).files, [])
})
