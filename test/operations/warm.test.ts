import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { MemoryStorage, type WarmedFile, warm } from 'stowage'
import { afterEach, describe, it } from 'vitest'
import { altered } from '../unit/altered.js'

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

/** A CDN in front of a storage: the second request for an address is a hit. */
async function withCdn(broken: Record<string, number> = {}, says?: string) {
  const cached = new Set<string>()
  const server = createServer((request, response) => {
    const url = request.url ?? ''
    const hit = cached.has(url)
    cached.add(url)
    const headers = {
      'cf-cache-status': says ?? (hit ? 'HIT' : 'MISS'),
      'cache-control': 'max-age=60',
      age: '5',
    }
    response.writeHead(broken[url] ?? 200, headers).end('content')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closing.push(
    () => server.close(),
    () => server.closeAllConnections(),
  )
  const { port } = server.address() as AddressInfo
  const storage = new MemoryStorage({ baseUrl: `http://127.0.0.1:${port}/` })
  for (const name of ['a/1', 'a/ä 2', 'b']) await storage.save(name, 'content')
  return { storage, cached, port }
}

describe('warm', () => {
  it('fetches every public address and reports the cache', async () => {
    const { storage, cached, port } = await withCdn()
    const files: WarmedFile[] = []
    const onFile = (file: WarmedFile) => files.push(file)
    assert.deepEqual(await warm(storage, { prefix: 'a', concurrency: 1, onFile }), {
      files: 2,
      bytes: 14,
      cacheStatus: { MISS: 2 },
      failed: [],
    })
    assert.deepEqual([...cached], ['/a/1', '/a/%C3%A4%202'])
    assert.deepEqual(files[0], {
      name: 'a/1',
      url: `http://127.0.0.1:${port}/a/1`,
      status: 200,
      cacheStatus: 'MISS',
      cacheControl: 'max-age=60',
      age: 5,
    })
    assert.deepEqual((await warm(storage)).cacheStatus, { HIT: 2, MISS: 1 })
  })

  it('says what is not served, and goes on', async () => {
    const { storage } = await withCdn({ '/a/1': 404, '/a/%C3%A4%202': 503, '/b': 403 })
    const { files, failed } = await warm(storage, { concurrency: 1 })
    assert.equal(files, 0)
    assert.deepEqual(
      failed.map(({ name, error }) => [name, error.code, error.operation]),
      [
        ['a/1', 'NotFound', 'warm'],
        ['a/ä 2', 'Unavailable', 'warm'],
        ['b', 'PermissionDenied', 'warm'],
      ],
    )
  })

  it('says that nobody is there', async () => {
    const { storage, port } = await withCdn()
    const away = new MemoryStorage({ baseUrl: 'http://127.0.0.1:1/' })
    await away.save('a', 'x')
    void [storage, port]
    const { failed } = await warm(away)
    assert.deepEqual(
      failed.map(({ error }) => error.code),
      ['Unavailable'],
    )
  })

  it('needs absolute addresses, and right options', async () => {
    const storage = new MemoryStorage()
    await storage.save('a', 'x')
    await assert.rejects(warm(storage), { code: 'Unsupported', operation: 'warm' })
    for (const options of [{ concurrency: 0 }, { concurrency: 101 }, { onFile: 1 }, { onfile: 1 }]) {
      const given = options as Parameters<typeof warm>[1]
      await assert.rejects(warm(storage, given), { code: 'InvalidArgument', operation: 'warm' })
    }
  })

  it('ends with the signal, and with an error of the callback', async () => {
    const { storage } = await withCdn()
    const stop = new AbortController()
    const aborting = { signal: stop.signal, onFile: () => stop.abort('enough') }
    await assert.rejects(warm(storage, aborting), { code: 'Aborted', cause: 'enough' })
    const failure = Object.assign(new Error('mine'), { code: 'ECONNRESET' })
    const onFile = () => {
      throw failure
    }
    await assert.rejects(warm(storage, { onFile }), (error) => error === failure)
  })

  it('ends the listing also after an error', async () => {
    const { storage } = await withCdn()
    let isOpen = false
    const listed = altered(storage, (inner) => ({
      async *list(...given) {
        isOpen = true
        try {
          yield* inner.list(...given)
        } finally {
          isOpen = false
        }
      },
    }))
    const onFile = () => {
      throw new Error('mine')
    }
    await assert.rejects(warm(listed, { onFile, concurrency: 1 }), /mine/)
    assert.equal(isOpen, false)
  })

  it('counts whatever a cache says', async () => {
    const { storage } = await withCdn({}, 'constructor')
    assert.deepEqual((await warm(storage)).cacheStatus, { constructor: 3 })
  })
})
