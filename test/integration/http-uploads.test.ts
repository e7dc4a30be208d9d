import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type ServerResponse, request as send } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import multipart from '@fastify/multipart'
import { serve } from '@hono/node-server'
import busboy from 'busboy'
import express from 'express'
import fastify from 'fastify'
import { Hono } from 'hono'
import { type Content, isStorageError, MemoryStorage, type SaveOptions, type Storage } from 'stowage'
import { afterEach, describe, it } from 'vitest'

/** What an application does with an upload: saves it, and answers 201 or the status of the error. */
type Save = (content: Content) => Promise<{ status: number; text: string }>

interface Server {
  readonly port: number
  close(): Promise<void> | void
}

function saveInto(storage: Storage, options: SaveOptions): Save {
  return async (content) => {
    try {
      return { status: 201, text: await storage.save('upload.bin', content, options) }
    } catch (error) {
      return { status: isStorageError(error) ? error.status : 500, text: String(error) }
    }
  }
}

function listening(handle: (request: IncomingMessage, response: ServerResponse) => void): Promise<Server> {
  return new Promise((resolve) => {
    const server = createServer(handle).listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo // Of a server on TCP.
      const close = () => {
        server.closeAllConnections()
        server.close()
      }
      resolve({ port, close })
    })
  })
}

function served(app: Hono): Promise<Server> {
  return new Promise((resolve) => {
    const server = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }, ({ port }) => {
      const close = () => {
        Reflect.apply(Reflect.get(server, 'closeAllConnections'), server, [])
        server.close()
      }
      resolve({ port, close })
    })
  })
}

function answer(response: ServerResponse, { status, text }: { status: number; text: string }): void {
  response.writeHead(status).end(text)
}

/** The file of a form, by busboy. */
function fileOf(request: IncomingMessage, limits: busboy.Limits = {}): Promise<Readable> {
  return new Promise((resolve, reject) => {
    const parser = busboy({ headers: request.headers, limits })
    parser.on('file', (_, file) => resolve(file)).on('error', reject)
    request.pipe(parser)
  })
}

/** Every way in which an application hands an upload to `save`. */
const ROUTES: Readonly<
  Record<string, { form: boolean; start: (save: Save, limit?: number) => Promise<Server> }>
> = {
  'node:http, raw': {
    form: false,
    start: (save) => listening(async (request, response) => answer(response, await save(request))),
  },
  'node:http, busboy': {
    form: true,
    start: (save, fileSize) =>
      listening(async (request, response) => {
        const limits = fileSize === undefined ? {} : { fileSize }
        answer(response, await save(await fileOf(request, limits)))
      }),
  },
  'Express 5, raw': {
    form: false,
    start: (save) => {
      const app = express().post('/', async (request, response) => answer(response, await save(request)))
      return listening(app)
    },
  },
  'Fastify 5, raw': {
    form: false,
    start: async (save) => {
      const app = fastify({ forceCloseConnections: true })
      app.addContentTypeParser('application/octet-stream', (_request, payload, done) => done(null, payload))
      app.post('/', async (request, reply) => {
        const { status, text } = await save(request.body as IncomingMessage) // As the parser left it.
        return reply.status(status).send(text)
      })
      await app.listen({ port: 0, host: '127.0.0.1' })
      return { port: (app.server.address() as AddressInfo).port, close: () => app.close() }
    },
  },
  'Fastify 5, @fastify/multipart': {
    form: true,
    start: async (save, fileSize) => {
      const app = fastify({ forceCloseConnections: true })
      await app.register(
        multipart,
        fileSize === undefined ? { limits: { fileSize: 1e9 } } : { limits: { fileSize } },
      )
      app.post('/', async (request, reply) => {
        const part = await request.file()
        const { status, text } = await save(part?.file as Readable) // There is one in each of these forms.
        return reply.status(status).send(text)
      })
      await app.listen({ port: 0, host: '127.0.0.1' })
      return { port: (app.server.address() as AddressInfo).port, close: () => app.close() }
    },
  },
  'Hono, raw': {
    form: false,
    start: async (save) => {
      const app = new Hono().post('/', async (context) => {
        const { status, text } = await save(context.req.raw.body ?? '')
        return new Response(text, { status })
      })
      return served(app)
    },
  },
  'Hono, form': {
    form: true,
    start: async (save) => {
      const app = new Hono().post('/', async (context) => {
        const form = await context.req.formData()
        const { status, text } = await save(form.get('file') as File) // There is one in each of these forms.
        return new Response(text, { status })
      })
      return served(app)
    },
  },
}

const BOUNDARY = 'x'.repeat(30)
const HEAD = `--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\nContent-Type: application/octet-stream\r\n\r\n`
const TAIL = `\r\n--${BOUNDARY}--\r\n`

interface Answer {
  readonly status: number
  readonly text: string
}

/** Sends all of the bytes and only then looks for the answer, as browsers do. */
function post(
  port: number,
  form: boolean,
  bytes: number,
  leaveAfter = Number.POSITIVE_INFINITY,
): Promise<Answer> {
  const length = form ? HEAD.length + bytes + TAIL.length : bytes
  const type = form ? `multipart/form-data; boundary=${BOUNDARY}` : 'application/octet-stream'
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': type, 'content-length': length }
    const request = send({ port, host: '127.0.0.1', method: 'POST', headers }, async (response) => {
      resolve({ status: response.statusCode ?? 0, text: (await response.toArray()).join('') })
    })
    request.on('error', reject)
    const chunk = Buffer.alloc(64 * 1024, 'a')
    const body = (function* () {
      if (form) yield HEAD
      for (let sent = 0; sent < bytes; sent += chunk.byteLength) {
        if (sent >= leaveAfter) {
          request.destroy(new Error('left'))
          return
        }
        yield chunk.subarray(0, Math.min(chunk.byteLength, bytes - sent))
      }
      if (form) yield TAIL
    })()
    Readable.from(body).pipe(request)
  })
}

const MIB = 1024 * 1024

describe.each(Object.entries(ROUTES))('an upload by %s', (_, { form, start }) => {
  let server: Server | undefined
  afterEach(() => server?.close())

  async function started(options: SaveOptions, limit?: number) {
    const storage = new MemoryStorage()
    let ended: (answer: Answer) => void = () => {}
    const outcome = new Promise<Answer>((resolve) => {
      ended = resolve
    })
    const save = saveInto(storage, options)
    server = await start(async (content) => {
      const result = await save(content)
      ended(result)
      return result
    }, limit)
    const names = async () => (await storage.listdir()).files
    return { port: server.port, storage, names, outcome }
  }

  it('that is allowed is stored whole', async () => {
    const { port, storage } = await started({})
    assert.equal((await post(port, form, 3 * MIB)).status, 201)
    assert.equal(await storage.size('upload.bin'), 3 * MIB)
  })

  it.each([
    ['is too large', { maxSize: 100_000 }, 413],
    ['has another type', { allowedTypes: ['image/png'] }, 415],
    ['has options that cannot be', { maxSize: -1 }, 500],
  ])('that %s is told so, and the connection serves on', async (_, options, status) => {
    const { port, names } = await started(options)
    const answered = await post(port, form, 8 * MIB)
    assert.equal(answered.status, status, answered.text)
    assert.deepEqual(await names(), [])
    assert.equal((await post(port, form, 8 * MIB)).status, status)
  })

  it('whose client leaves is no success, and nothing is stored', async () => {
    const { port, names, outcome } = await started({ sourceTimeout: 2000 })
    await assert.rejects(post(port, form, 8 * MIB, 2 * MIB))
    // A form that is parsed as a whole never comes to a save.
    const ended = await Promise.race([outcome, sleep(6000)])
    assert.ok(ended === undefined || ended.status >= 400, JSON.stringify(ended))
    assert.deepEqual(await names(), [])
  })

  it('that the parser cuts is refused as too large', async () => {
    const { port, names } = await started({}, 1 * MIB)
    const answered = await post(port, form, 3 * MIB)
    // Without a limit in the parser there is nothing that cuts.
    const cuts = form && start.length === 2
    assert.equal(answered.status, cuts ? 413 : 201, answered.text)
    assert.deepEqual(await names(), cuts ? [] : ['upload.bin'])
  })
})
