/** The same application in each framework, as `examples/frameworks/` shows it, over real HTTP. */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer, type RequestListener, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { getRequestListener } from '@hono/node-server'
import { NestFactory } from '@nestjs/core'
import { defaultStorage, FileSystemStorage, MemoryStorage, Problem, setDefaultStorage } from 'stowage'
import { toNodeListener } from 'stowage/http'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { app as expressApp } from '../examples/frameworks/express.js'
import { app as fastifyApp } from '../examples/frameworks/fastify.js'
import { app as honoApp } from '../examples/frameworks/hono.js'
import { app as multerApp } from '../examples/frameworks/multer.js'
import { AppModule } from '../examples/frameworks/nest.js'
import * as nextRoute from '../examples/frameworks/next-route.js'
import * as nextUploads from '../examples/frameworks/next-uploads.js'
import { server as nodeServer } from '../examples/frameworks/node-http.js'
import { altered } from './unit/altered.js'

const examples = fileURLToPath(new URL('../examples/', import.meta.url))
const MEMBER = { authorization: 'Bearer member-of-42' }

interface Framework {
  readonly name: string
  readonly file: string
  /** Whether it downloads files as well. */
  readonly downloads: boolean
  /** Whether all of it is glue. A module of NestJS has classes of its own. */
  readonly short: boolean
  start(): Promise<Server>
}

const frameworks: readonly Framework[] = [
  { name: 'node:http', file: 'node-http.ts', downloads: true, short: true, start: async () => nodeServer },
  {
    name: 'Express 5',
    file: 'express.ts',
    downloads: true,
    short: true,
    start: async () => createServer(expressApp),
  },
  {
    name: 'Express 5 with multer 2',
    file: 'multer.ts',
    downloads: false,
    short: true,
    start: async () => createServer(multerApp),
  },
  { name: 'Fastify 5', file: 'fastify.ts', downloads: true, short: true, start: startFastify },
  {
    name: 'Hono',
    file: 'hono.ts',
    downloads: true,
    short: true,
    start: async () => createServer(getRequestListener(honoApp.fetch)),
  },
  {
    name: 'Next',
    file: 'next-route.ts',
    downloads: true,
    short: true,
    start: async () => createServer(nextRouter()),
  },
  { name: 'NestJS', file: 'nest.ts', downloads: true, short: false, start: startNest },
]

async function startFastify(): Promise<Server> {
  await fastifyApp.ready()
  return fastifyApp.server
}

async function startNest(): Promise<Server> {
  const app = await NestFactory.create(AppModule, { logger: false })
  await app.init()
  return app.getHttpServer()
}

/** Next calls the functions of a file for the folder that it is in. */
function nextRouter(): RequestListener {
  return toNodeListener(async (request) => {
    const { pathname } = new URL(request.url)
    if (pathname.startsWith('/uploads/')) return nextUploads.GET(request)
    const [, room = '', filename = ''] = /^\/rooms\/([^/]+)\/documents\/?(.*)$/.exec(pathname) ?? []
    const params = Promise.resolve({ room, filename: decodeURIComponent(filename) })
    return request.method === 'POST'
      ? nextRoute.POST(request, { params })
      : nextRoute.GET(request, { params })
  })
}

describe.each(frameworks)('$name', ({ file, downloads, short, start }) => {
  let server: Server
  let address: string
  let folder: string
  let restore: () => void
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'stowage-frameworks-'))
    server = await start()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const bound = server.address()
    assert.ok(typeof bound === 'object' && bound !== null)
    address = `http://127.0.0.1:${bound.port}`
    restore = setDefaultStorage(new FileSystemStorage({ location: folder, baseUrl: `${address}/uploads/` }))
  })
  afterAll(async () => {
    restore()
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
    await rm(folder, { recursive: true })
  })

  const send = (
    content: Uint8Array<ArrayBuffer> | string,
    filename: string,
    headers: Record<string, string> = MEMBER,
  ) => {
    const body = new FormData()
    body.set('note', 'before the file')
    body.set('file', new Blob([content]), filename)
    return fetch(`${address}/rooms/42/documents`, { method: 'POST', body, headers })
  }
  const photo = async () => new Uint8Array(await readFile(join(examples, 'files', 'photo.png')))

  it('stores a form’s file and answers with its name and address', async () => {
    const bytes = await photo()
    const answer = await send(bytes, 'Ärger & Söhne.png')
    assert.equal(answer.status, 201)
    const { name, url } = JSON.parse(await answer.text())
    assert.equal(name, 'documents/42/Ärger__Söhne.png')
    const { size, contentType } = await defaultStorage.stat(name)
    assert.deepEqual([size, contentType], [bytes.byteLength, 'image/png'])
    assert.ok(new URL(url).searchParams.has('signed'))
    const again = JSON.parse(await (await send(bytes, 'Ärger & Söhne.png')).text())
    assert.match(again.name, /^documents\/42\/Ärger__Söhne_[A-Za-z0-9]{7}\.png$/)
  })

  it('refuses a disguised file, a file that is too large, and strangers', async () => {
    const before = await count()
    const disguised = await send('<html><script>alert(1)</script></html>', 'photo.png')
    assert.equal(disguised.status, 415)
    assert.match(await disguised.text(), /Files of this type are not accepted/)
    const large = new Uint8Array(51 * 1024 * 1024)
    large.set(await photo())
    assert.equal((await send(large, 'large.png')).status, 413)
    assert.equal((await send(await photo(), 'photo.png', {})).status, 403)
    assert.equal(await count(), before)
  })

  it('answers 503 and 507 without a word of the system', async () => {
    for (const [code, status] of [
      ['Unavailable', 503],
      ['Full', 507],
    ] as const) {
      const broken = altered(new MemoryStorage(), () => ({
        stage: async () => {
          throw new Problem(code, 'ENOSPC of a secret disk')
        },
      }))
      const restoreBroken = setDefaultStorage(broken)
      try {
        const answer = await send(await photo(), 'photo.png')
        assert.equal(answer.status, status)
        assert.equal(answer.headers.has('retry-after'), status === 503)
        assert.doesNotMatch(await answer.text(), /ENOSPC|secret/)
      } finally {
        restoreBroken()
      }
    }
  })

  it.runIf(downloads)(
    'serves a private file to members, whole and in part, and to anyone with a signed address',
    async () => {
      const bytes = Buffer.from(await photo())
      const stored = await defaultStorage.save('documents/42/private.png', bytes, { ifExists: 'overwrite' })
      const get = (headers: Record<string, string>) =>
        fetch(`${address}/rooms/42/documents/private.png`, { headers })
      const whole = await get(MEMBER)
      assert.deepEqual([whole.status, whole.headers.get('content-type')], [200, 'image/png'])
      assert.ok(bytes.equals(new Uint8Array(await whole.arrayBuffer())))
      const part = await get({ ...MEMBER, range: 'bytes=1-3' })
      assert.deepEqual([part.status, await part.text()], [206, 'PNG'])
      assert.equal(part.headers.get('content-range'), `bytes 1-3/${bytes.byteLength}`)
      assert.equal((await get({})).status, 403)
      assert.equal((await fetch(`${address}/rooms/42/documents/none.png`, { headers: MEMBER })).status, 404)

      const signed = await fetch(await defaultStorage.signedUrl(stored))
      assert.deepEqual([signed.status, (await signed.arrayBuffer()).byteLength], [200, bytes.byteLength])
      assert.equal((await fetch(defaultStorage.url(stored))).status, 403)
    },
  )

  it.runIf(downloads)('takes a signed upload', async () => {
    const bytes = await photo()
    const upload = await defaultStorage.signedUpload('direct/photo.png', {
      size: bytes.byteLength,
      contentType: 'image/png',
    })
    const answer = await fetch(upload.url, { method: upload.method, headers: upload.headers, body: bytes })
    assert.equal(answer.status, 200)
    assert.equal(await defaultStorage.size(upload.name), bytes.byteLength)
  })

  it.runIf(short)('needs at most 15 lines', async () => {
    const source = await readFile(join(examples, 'frameworks', file), 'utf8')
    assert.ok(linesOf(source) <= 15, `${linesOf(source)} lines`)
  })
})

/** Lines that a user has to write: no imports, no comments, no lines of brackets or of a class around them. */
function linesOf(source: string): number {
  const code = source.replace(/^import[\s\S]*?from '.*'$/gm, '').replace(/\/\*\*[\s\S]*?\*\//g, '')
  return code.split('\n').filter((line) => /\w/.test(line) && !/^import|^type /.test(line)).length
}

async function count(): Promise<number> {
  let files = 0
  for await (const _ of defaultStorage.list()) files += 1
  return files
}
