/** The messages that the troubleshooting guide shows are those that its reader gets. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createTcpServer, type Server as TcpServer } from 'node:net'
import { Readable } from 'node:stream'
import {
  createDefaultStorage,
  driverOf,
  FileSystemStorage,
  MemoryStorage,
  R2Storage,
  type R2StorageOptions,
  S3Storage,
  setDefaultStorage,
} from 'stowage'
import { createFileHandler, receiveUpload, toNodeListener } from 'stowage/http'
import { type LocalR2, startLocalR2 } from 'stowage/testing'
import { afterAll, beforeAll, describe, it, vi } from 'vitest'
import { allowBrowsers, look, withLargerParts } from '../examples/troubleshooting.js'

let r2: LocalR2
let options: R2StorageOptions
let page: string
const servers: Server[] = []
beforeAll(async () => {
  page = await readFile(new URL('../docs/troubleshooting.md', import.meta.url), 'utf8')
  r2 = await startLocalR2()
  const { endpoint, bucket, accessKeyId, secretAccessKey } = r2
  options = { endpoint, bucket, accessKeyId, secretAccessKey, maxAttempts: 1 }
})
afterAll(async () => {
  await r2.close()
  for (const server of servers) server.close()
})

async function portOf(server: TcpServer): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  return address.port
}

async function serving(listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  servers.push(server)
  return `http://127.0.0.1:${await portOf(server)}`
}

async function closed(): Promise<string> {
  const server = createTcpServer()
  const port = await portOf(server)
  server.close()
  return `http://127.0.0.1:${port}`
}

const save = (changes: Partial<R2StorageOptions>) =>
  new R2Storage({ ...options, ...changes }).save('a.txt', 'a')
const env = (changes: Record<string, string>) => createDefaultStorage({ ...r2.env, ...changes })
const disk = (changes: Record<string, string>) => createDefaultStorage(changes)

/** What is done, and the message as the guide shows it. `…` stands for anything. */
const MESSAGES: readonly (readonly [message: string, provoke: () => unknown])[] = [
  ['R2_ENABLED is on, but … are not set', () => disk({ R2_ENABLED: '1' })],
  ['R2_ENABLED must be 1, true or yes for R2', () => disk({ R2_ENABLED: 'on' })],
  [
    'there are no AWS credentials: give accessKeyId and secretAccessKey',
    () => new S3Storage({ endpoint: r2.endpoint, bucket: r2.bucket, maxAttempts: 1 }).exists('a.txt'),
  ],
  ['the server does not know the access key', () => save({ accessKeyId: 'other' })],
  ['the signature was refused: check the secret access key', () => save({ secretAccessKey: 'other' })],
  [
    'secretAccessKey must be printable ASCII without white space or line breaks',
    () => save({ secretAccessKey: 'secret\n' }),
  ],
  ['the bucket "…" does not exist', () => save({ bucket: 'other' })],
  [
    'R2_ENDPOINT_URL must be the address of the server alone; its path is not the bucket',
    () => env({ R2_ENDPOINT_URL: 'https://account.r2.cloudflarestorage.com/other' }),
  ],
  [
    'R2_PUBLIC_BASE_URL must be a public address such as https://cdn.example.com',
    () => env({ R2_PUBLIC_BASE_URL: '/uploads' }),
  ],
  ['MEDIA_ROOT begins with "~", which only a shell expands', () => disk({ MEDIA_ROOT: '~/uploads' })],
  ['STORAGE_SIGNING_SECRET must have 32 bytes or more', () => disk({ STORAGE_SIGNING_SECRET: 'short' })],
  ['there is no option "…"; there are …', () => new FileSystemStorage(JSON.parse('{ "root": "./uploads" }'))],
  ['the endpoint refuses connections', async () => save({ endpoint: await closed() })],
  [
    'the response is not from an S3 server: check the endpoint',
    async () => save({ endpoint: await serving((_, res) => res.end('<html>')) }),
  ],
  [
    'no secure connection to the endpoint: check its scheme and certificate',
    () => save({ endpoint: r2.endpoint.replace('http:', 'https:') }),
  ],
  [
    'HTTP_PROXY must be the address of a proxy',
    async () => {
      vi.stubEnv('http_proxy', undefined)
      vi.stubEnv('HTTP_PROXY', 'socks5://127.0.0.1:1080')
      try {
        return await save({ endpoint: 'http://s3.example.com' })
      } finally {
        vi.unstubAllEnvs()
      }
    },
  ],
  [
    'the credentials do not permit this: check what the token may do, and on which bucket',
    async () => save({ endpoint: await serving(deny) }),
  ],
  [
    'the file is missing or must not be read: the permission s3:ListBucket lets the server say which',
    async () => new R2Storage({ ...options, endpoint: await serving(deny) }).exists('a.txt'),
  ],
  [
    'the server has no create-only writes: it ignores or refuses If-None-Match',
    async () => save({ endpoint: await serving(refuseConditions) }),
  ],
  [
    'the server wants the bucket in the host name',
    async () =>
      save({ endpoint: await serving((req, res) => refuse(res, 403, 'PathStyleDomainForbidden', req)) }),
  ],
  [
    'the signature was refused: set the clock of this machine',
    async () =>
      save({ endpoint: await serving((req, res) => refuse(res, 403, 'RequestTimeTooSkewed', req)) }),
  ],
  [
    'the body of the request was already read',
    async () => {
      const request = new Request('http://localhost', { method: 'POST', body: new FormData() })
      await request.text()
      return receiveUpload(new MemoryStorage(), request, { name: () => 'a.txt' })
    },
  ],
  ['was there a file in the form?', () => new MemoryStorage().save('a.txt', JSON.parse('{}').file)],
  [
    'the content must be … not an object of type …: pass …',
    () => new MemoryStorage().save('a.txt', Object.assign(Object.create(new (class Part {})()), { file: 1 })),
  ],
  [
    'the source of the content gave nothing for … ms',
    () => new MemoryStorage().save('a.txt', new Readable({ read() {} }), { sourceTimeout: 1 }),
  ],
  [
    'the content is …, allowed are …',
    () => new MemoryStorage().save('a.png', '<html>', { allowedTypes: ['image/png'] }),
  ],
  ['the content is empty', () => new MemoryStorage().save('a.png', '', { allowedTypes: ['image/png'] })],
  [
    'the server sends the request elsewhere: check the region and the endpoint',
    async () => save({ endpoint: await serving((req, res) => refuse(res, 301, 'PermanentRedirect', req)) }),
  ],
  ['the name must be relative: leave out the leading "/"', () => new MemoryStorage().open('/uploads/a.txt')],
]

/** As OpenStack Swift does. */
const refuseConditions: RequestListener = (request, response) => {
  if ('if-none-match' in request.headers) return refuse(response, 501, 'NotImplemented', request)
  request.resume()
  response.setHeader('etag', '"0cc175b9c0f1b6a831c399e269772661"').end()
}

function deny(_request: unknown, response: Parameters<RequestListener>[1]): void {
  refuse(response, 403, 'AccessDenied')
}

function refuse(
  response: Parameters<RequestListener>[1],
  status: number,
  code: string,
  request?: Readable,
): void {
  request?.resume()
  response.statusCode = status
  response.end(`<Error><Code>${code}</Code><Message>no</Message></Error>`)
}

describe('the troubleshooting guide', () => {
  it.each(MESSAGES)('shows "%s"', async (message, provoke) => {
    const error = await Promise.resolve()
      .then(provoke)
      .then(
        () => assert.fail('nothing was refused'),
        (thrown: Error) => thrown,
      )
    const pattern = message.split('…').map((text) => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    assert.match(error.message, new RegExp(pattern.join('.*')))
    const shown = message.includes('gave nothing')
      ? 'the source of the content gave nothing for 300000 ms'
      : message
    assert.ok(
      page.includes(`\`${shown}`) || page.includes(`: ${shown}\``) || page.includes(` ${shown}`),
      shown,
    )
  })

  it('shows the answer to an address that is not signed', async () => {
    const address = await serving(toNodeListener(createFileHandler(new MemoryStorage())))
    const { title } = JSON.parse(await (await fetch(`${address}/uploads/a.txt`)).text())
    assert.ok(page.includes(`403, \`${title}\``), title)
  })

  it('names the messages of a disk', async () => {
    const driver = driverOf(new FileSystemStorage({ location: './uploads' }))
    for (const code of ['ENOSPC', 'EPERM', 'EROFS', 'EMFILE']) {
      const { message } = driver.classify(Object.assign(new Error(code), { code }))
      assert.ok(page.includes(`\`${message.replace(/ \([^)]*\)$/, '')}`), message)
    }
  })

  it('has code that works', async () => {
    const bucket = new R2Storage(options)
    await allowBrowsers(bucket)
    const origins = (await bucket.getCors()).flatMap(({ origins }) => origins)
    assert.ok(origins.includes('http://localhost:5173'))
    assert.equal(String(withLargerParts(options)), `R2Storage(${r2.bucket})`)
    const restore = setDefaultStorage(bucket)
    assert.equal(await look(), `R2Storage(${r2.bucket})`)
    restore()
  })
})
