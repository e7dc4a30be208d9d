import { createServer, type Server } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { R2Storage, type Storage } from 'stowage'
import { afterEach, describe, expect, it } from 'vitest'
import type { Answer } from '../servers/r2.js'
import { always, setUpR2 } from './r2-setup.js'

const servers: Server[] = []
afterEach(async () => {
  for (const server of servers.splice(0)) await new Promise((resolve) => server.close(resolve))
})

/** The address of a server that takes connections and never says a word; or, closed, refuses them. */
async function silentServer(closed: boolean): Promise<string> {
  const server = createServer((socket) => socket.on('error', () => {}).resume())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  if (closed) await new Promise((resolve) => server.close(resolve))
  else servers.push(server)
  return `http://127.0.0.1:${address.port}`
}

const METHODS: Record<string, (storage: Storage) => Promise<unknown>> = {
  save: (storage) => storage.save('a.txt', 'x'),
  open: (storage) => storage.open('a.txt'),
  exists: (storage) => storage.exists('a.txt'),
  stat: (storage) => storage.stat('a.txt'),
  delete: (storage) => storage.delete('a.txt'),
  deleteMany: (storage) => storage.deleteMany(['a.txt', 'b.txt']),
  listdir: (storage) => storage.listdir(),
  copy: (storage) => storage.copy('a.txt', 'b.txt'),
}

describe.each([true, false])('fastPath %s', (fastPath) => {
  const r2 = setUpR2(fastPath)

  it.each([
    { what: 'refuses connections', closed: true, message: /refuses connections: check the endpoint/ },
    {
      what: 'takes connections and never answers',
      closed: false,
      message: /cannot be reached or does not answer/,
    },
  ])('gives up within bounds on a server that $what', async ({ closed, message }) => {
    const options = { connectTimeout: 200, idleTimeout: 200, maxAttempts: 2, retryTimeout: 1_000 }
    const storage = r2.storage({ ...options, endpoint: await silentServer(closed) })
    const start = Date.now()
    const unavailable = { code: 'Unavailable', retryable: true, message }
    await Promise.all(
      Object.values(METHODS).map((method) => expect(method(storage)).rejects.toMatchObject(unavailable)),
    )
    expect(Date.now() - start).toBeLessThan(10_000)
  })

  it('lets requests wait for a connection for longer than one may take', async () => {
    r2.server.bucket().plant('a.txt', 'x')
    r2.server.behaviour.onRequest = () => sleep(500)
    const storage = r2.storage({
      maxConnections: 2,
      connectTimeout: 500,
      idleTimeout: 1_000,
      retryTimeout: 3_000,
    })
    const works = Array.from({ length: 8 }, () => [
      storage.exists('a.txt'),
      storage.open('a.txt').then((file) => file.text()),
    ])
    expect(await Promise.all(works.flat())).toHaveLength(16)
    const controller = new AbortController()
    const busy = [storage.exists('a.txt'), storage.exists('a.txt')]
    const waiting = storage.exists('a.txt', { signal: controller.signal })
    controller.abort()
    await expect(waiting).rejects.toMatchObject({ code: 'Aborted' })
    expect(await Promise.all(busy)).toEqual([true, true])
  })

  it.each(Object.entries(METHODS))('names a bucket that is not there: %s', async (_, method) => {
    const storage = r2.storage({ bucket: 'no-such-bucket' })
    await expect(method(storage)).rejects.toMatchObject({
      code: 'NotFound',
      message: expect.stringContaining('the bucket'),
      storage: expect.stringContaining('no-such-bucket'),
    })
  })

  it('names the bucket itself in the message', async () => {
    const exists = r2.storage({ bucket: 'no-such-bucket' }).exists('a.txt')
    await expect(exists).rejects.toThrow(/no-such-bucket/)
  })

  it.each(Object.entries(METHODS))('says that the keys are wrong: %s', async (_, method) => {
    r2.server.bucket().plant('a.txt', 'x')
    for (const keys of [{ secretAccessKey: 'wrong' }, { accessKeyId: 'wrong' }]) {
      const wrong = method(r2.storage(keys))
      await expect(wrong).rejects.toMatchObject({ code: 'PermissionDenied', retryable: false })
      await expect(wrong).rejects.toThrow(/access key|credentials|signature/)
    }
    expect(r2.server.bucket().keys()).toEqual(['a.txt'])
  })

  const html = { 'content-type': 'text/html' }
  const STRANGE: Record<string, Answer> = {
    'a page of a portal': { status: 200, headers: html, body: '<html><body>Please log in</body></html>' },
    nothing: { status: 200, headers: {}, body: '' },
    'other XML': { status: 200, headers: { 'content-type': 'application/xml' }, body: '<ok/>' },
    text: { status: 200, headers: {}, body: 'OK' },
  }
  it.each(Object.entries(STRANGE))('is not fooled by a success that is %s', async (_, answer) => {
    r2.server.behaviour.onRequest = always(answer)
    const storage = r2.storage({ maxAttempts: 1 })
    const list = async () => {
      for await (const _file of storage.list());
    }
    const unavailable = { code: 'Unavailable', message: expect.stringContaining('check the endpoint') }
    await expect(list()).rejects.toMatchObject(unavailable)
    await expect(storage.listdir()).rejects.toMatchObject(unavailable)
    await expect(storage.deletePrefix('a')).rejects.toMatchObject(unavailable)
    await expect(storage.deleteMany(['a', 'b'])).rejects.toMatchObject({ code: /Unavailable|PartialDelete/ })
    await expect(storage.save('big', Buffer.alloc(9_000_000))).rejects.toMatchObject({ code: 'Unavailable' })
  })

  it.each(Object.entries(STRANGE))('does not take %s for the file, nor for its head', async (_, answer) => {
    r2.server.behaviour.onRequest = always(answer)
    const storage = r2.storage({ maxAttempts: 1 })
    await expect(storage.open('a.txt')).rejects.toMatchObject({ code: 'Unavailable' })
    await expect(storage.exists('a.txt')).rejects.toMatchObject({ code: 'Unavailable' })
  })

  it.each(Object.entries(STRANGE))('does not take %s for having stored the file', async (_, answer) => {
    r2.server.behaviour.onRequest = always(answer)
    const save = r2.storage({ maxAttempts: 1 }).save('a.txt', 'x')
    await expect(save).rejects.toMatchObject({ code: 'Unavailable' })
  })

  it('never lets an empty key out, whatever names it is given', async () => {
    r2.server.bucket().plant('keep.txt', 'x')
    const storage = r2.storage()
    const bad = ['', '.', './', '/', '//', '..', 'a/..', '\\', ' /../', '\0', 'a/']
    for (const name of bad) {
      for (const [method, work] of Object.entries({
        save: () => storage.save(name, 'x'),
        open: () => storage.open(name),
        exists: () => storage.exists(name),
        delete: () => storage.delete(name),
        deleteMany: () => storage.deleteMany([name]),
        copyFrom: () => storage.copy(name, 'b.txt'),
        moveTo: () => storage.move('keep.txt', name),
        signedUrl: () => storage.signedUrl(name),
      })) {
        await expect(work(), `${method} ${JSON.stringify(name)}`).rejects.toMatchObject({
          code: 'InvalidName',
        })
      }
    }
    for (const prefix of ['', '.', '/', './']) {
      await expect(storage.deletePrefix(prefix)).rejects.toMatchObject({ code: 'InvalidName' })
    }
    expect(r2.server.requests).toEqual([])
    expect(r2.server.bucket().keys()).toEqual(['keep.txt'])
  })
})

it('needs an endpoint, keys and a bucket, and names what is missing', () => {
  const given = { endpoint: 'https://e.example', accessKeyId: 'a', secretAccessKey: 's3cret' }
  expect(() => new R2Storage({ ...given, bucket: '' })).toThrow(/bucket/)
  expect(() => new R2Storage({ bucket: 'bucket', endpoint: given.endpoint })).toThrow(
    /accessKeyId and secretAccessKey/,
  )
  const { endpoint: _, ...keys } = given
  expect(() => new R2Storage({ ...keys, bucket: 'bucket' })).toThrow(/endpoint or accountId/)
  expect(() => new R2Storage({ ...given, bucket: 'bucket', endpoint: 'nonsense' })).toThrow(/endpoint/)
})
