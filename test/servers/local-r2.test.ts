/** `startLocalR2` of `stowage/testing`, as an application's own tests use it. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { createDefaultStorage, isStorageError, R2Storage, type Storage } from 'stowage'
import { type LocalR2, type LocalR2Options, startLocalR2 } from 'stowage/testing'
import { afterAll, beforeAll, describe, it } from 'vitest'

const fails = async (options: object) => {
  // Also for callers without TypeScript.
  const error = await startLocalR2(options as LocalR2Options).then(
    (server) => server.close(),
    (error: unknown) => error,
  )
  assert.ok(isStorageError(error), String(error))
  assert.equal(error.operation, 'startLocalR2')
  return `${error.code} ${error.message}`
}

const portOf = (server: LocalR2) => Number(new URL(server.endpoint).port)

describe.each<[string, (server: LocalR2) => Storage]>([
  ['by its variables', ({ env }) => createDefaultStorage(env)],
  [
    'by its fields, over the AWS SDK',
    ({ close: _, env: __, ...keys }) => new R2Storage({ ...keys, fastPath: false }),
  ],
])('an application %s', (_, storageOn) => {
  let server: LocalR2
  let storage: Storage
  beforeAll(async () => {
    server = await startLocalR2()
    storage = storageOn(server)
  })
  afterAll(() => server.close())

  it('saves, opens and lists', async () => {
    const name = await storage.save('documents/7/ä b.txt', 'hello', { metadata: { by: 'Zoë' } })
    const second = await storage.save(name, 'again')
    const file = await storage.open(name)
    assert.equal(await file.text(), 'hello')
    assert.deepEqual({ ...file.metadata }, { by: 'Zoë' })
    const names: string[] = []
    for await (const { name } of storage.list('documents/7')) names.push(name)
    assert.deepEqual(names.sort(), [name, second].sort())
  })

  it('saves what takes several parts', async () => {
    const bytes = Buffer.alloc(17 * 1024 * 1024, 'x')
    const name = await storage.save('large.bin', bytes)
    assert.equal(await storage.size(name), bytes.length)
  })

  it('hands out signed addresses that fetch can use, and a browser too', async () => {
    const name = await storage.save('private.txt', 'secret')
    const headers = { origin: 'https://app.example.com' }
    const answer = await fetch(await storage.signedUrl(name), { headers })
    assert.equal(await answer.text(), 'secret')
    assert.equal(answer.headers.get('access-control-allow-origin'), headers.origin)
    const changed = (await storage.signedUrl(name)).replace('private', 'other')
    assert.equal((await fetch(changed)).status, 403)
  })

  it('takes a signed upload, and nothing else than was signed', async () => {
    const upload = await storage.signedUpload('uploads/a.txt', { size: 5, contentType: 'text/plain' })
    const { url, method, headers } = upload
    assert.equal((await fetch(url, { method, headers, body: 'longer' })).status, 403)
    assert.equal((await fetch(url, { method, headers, body: 'hello' })).status, 200)
    assert.equal((await fetch(url, { method, headers, body: 'hello' })).status, 412)
    assert.equal((await storage.stat(upload.name)).contentType, 'text/plain')
  })
})

it('runs several at once, each with files and keys of its own, one on a port that was asked for', async () => {
  const first = await startLocalR2({ bucket: 'files' })
  const port = portOf(first)
  await first.close()
  const servers = await Promise.all([
    startLocalR2({ port, bucket: 'files' }),
    startLocalR2({ bucket: 'files' }),
  ])
  assert.equal(portOf(servers[0]), port)
  const [one, other] = servers.map(({ env }) => createDefaultStorage(env))
  await one?.save('a.txt', 'hello')
  assert.equal(await other?.exists('a.txt'), false)
  const strange = createDefaultStorage({ ...servers[1].env, R2_ENDPOINT_URL: servers[0].endpoint })
  await assert.rejects(strange.save('a.txt', 'x'), { code: 'PermissionDenied' })
  await Promise.all(servers.map((server) => server.close()))
})

it('says that a port is taken', async () => {
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  const { port } = taken.address() as AddressInfo
  assert.match(await fails({ port }), new RegExp(`^Misconfigured .*port ${port} is taken`))
  taken.close()
})

it.each<[object, RegExp]>([
  [{ prot: 9000 }, /there is no option "prot"; there are port, bucket/],
  [{ port: 0 }, /port must be/],
  [{ port: 65_536 }, /port must be/],
  [{ port: '9000' }, /port must be/],
  [{ bucket: 'My_Files' }, /bucket must be/],
  [{ bucket: '' }, /bucket must be/],
  [{ bucket: 7 }, /bucket must be/],
  [{ delayMs: 5 }, /there is no option/],
])('refuses the options %j', async (options, reason) => {
  const message = await fails(options)
  assert.match(message, /^Misconfigured /)
  assert.match(message, reason)
})

it('closes within a moment though clients keep connections and wait for answers, and twice', async () => {
  const server = await startLocalR2()
  const storage = createDefaultStorage(server.env)
  await storage.save('a.txt', 'hello')
  const sockets = [connect(portOf(server), '127.0.0.1'), connect(portOf(server), '127.0.0.1')]
  await Promise.all(sockets.map((socket) => once(socket, 'connect')))
  sockets[0]?.write('PUT /test-bucket/a.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhal')
  for (const socket of sockets) socket.on('error', () => {})
  const started = performance.now()
  await server.close()
  assert.ok(performance.now() - started < 1000)
  await server.close()
  await assert.rejects(fetch(server.endpoint))
})
