import { setTimeout as sleep } from 'node:timers/promises'
import type { StoredFile } from 'stowage'
import { beforeEach, describe, expect, it } from 'vitest'
import type { Verdict } from '../servers/r2.js'
import { patternChunks } from '../servers/r2.js'
import { always, first, MIB, setUpR2 } from './r2-setup.js'

const SIZE = 3 * MIB + 17
const CONTENT = Buffer.concat([...patternChunks(0, SIZE)])

const WAYS: Record<string, (file: StoredFile) => Promise<Buffer>> = {
  read: (file) => file.read(),
  arrayBuffer: async (file) => Buffer.from(await file.arrayBuffer()),
  blob: async (file) => Buffer.from(await (await file.blob()).arrayBuffer()),
  stream: async (file) => Buffer.concat(await file.stream().toArray()),
  webStream: async (file) => Buffer.from(await new Response(file.webStream()).arrayBuffer()),
}

describe.each([true, false])('fastPath %s', (fastPath) => {
  const r2 = setUpR2(fastPath)
  beforeEach(() => void r2.server.bucket().plant('a.bin', CONTENT))
  const gets = () => r2.server.requests.filter(({ operation }) => operation === 'GetObject')

  describe.each(Object.entries(WAYS))('%s()', (_, readAll) => {
    it('goes on where the connection broke, in the same version of the file', async () => {
      r2.server.behaviour.onRequest = first('GetObject', { cutAfter: MIB }, 2)
      const bytes = await readAll(await r2.storage().open('a.bin'))
      expect(Buffer.compare(bytes, CONTENT)).toBe(0)
      const [start, ...resumed] = gets()
      expect(start?.headers.range).toBeUndefined()
      expect(resumed.length).toBeGreaterThan(0)
      for (const { headers } of resumed) {
        expect(headers.range).toMatch(/^bytes=[1-9]\d*-/)
        expect(headers['if-match']).toBe(`"${r2.server.bucket().get('a.bin')?.etag}"`)
      }
    })

    it('goes on where a range broke off', async () => {
      r2.server.behaviour.onRequest = first('GetObject', { cutAfter: 100_000 })
      const file = await r2.storage().open('a.bin', { range: { offset: 1_000, length: 2_000_000 } })
      expect(Buffer.compare(await readAll(file), CONTENT.subarray(1_000, 2_001_000))).toBe(0)
    })

    it('rejects when the content breaks off again and again, and is never just shorter', async () => {
      const file = await r2.storage({ maxAttempts: 2 }).open('a.bin')
      await file.close()
      r2.server.behaviour.onRequest = always({ cutAfter: 0 })
      const broken = r2.storage({ maxAttempts: 2, retryTimeout: 2_000 }).open('a.bin').then(readAll)
      await expect(broken).rejects.toMatchObject({ code: 'Unavailable', retryable: true })
    })

    it('rejects when the file was replaced before the rest of it was read', async () => {
      r2.server.behaviour.onRequest = ({ operation }): Verdict => {
        if (operation !== 'GetObject') return undefined
        if (gets().length === 1) return { cutAfter: MIB }
        r2.server.bucket().plant('a.bin', Buffer.alloc(SIZE, 'other'))
        return undefined
      }
      const read = r2.storage().open('a.bin').then(readAll)
      await expect(read).rejects.toMatchObject({ code: 'Unavailable', message: /replaced or deleted/ })
    })

    it('rejects when the file was deleted before the rest of it was read', async () => {
      r2.server.behaviour.onRequest = ({ operation }): Verdict => {
        if (operation !== 'GetObject') return undefined
        if (gets().length === 1) return { cutAfter: MIB }
        r2.server.bucket().delete('a.bin')
        return undefined
      }
      const read = r2.storage().open('a.bin').then(readAll)
      await expect(read).rejects.toMatchObject({ code: 'Unavailable', message: /replaced or deleted/ })
    })
  })

  it('goes on when the body stops to flow', async () => {
    r2.server.behaviour.onRequest = first('GetObject', { stallAfter: MIB })
    const bytes = await (await r2.storage({ idleTimeout: 300 }).open('a.bin')).read()
    expect(Buffer.compare(bytes, CONTENT)).toBe(0)
  })

  it('reads slowly without harm: a reader that pauses is no stalled server', async () => {
    const file = await r2.storage({ idleTimeout: 300 }).open('a.bin')
    const chunks: Buffer[] = []
    for await (const chunk of file.stream()) {
      if (chunks.length === 0) await sleep(900)
      chunks.push(chunk)
    }
    expect(Buffer.compare(Buffer.concat(chunks), CONTENT)).toBe(0)
  })

  it('refuses the whole file where a server ignores the range', async () => {
    const whole = {
      status: 200,
      headers: { etag: '"x"', 'content-type': 'text/plain' },
      body: 'the whole file',
    }
    r2.server.behaviour.onRequest = always(whole)
    const open = r2.storage().open('a.bin', { range: { offset: 4, length: 5 } })
    await expect(open).rejects.toMatchObject({ code: 'Corrupt', message: /another range/ })
  })

  it('does not take the whole file for the rest of it when a server ignores the range of a resumption', async () => {
    r2.server.bucket().plant('ascii.txt', 'x'.repeat(SIZE))
    const etag = `"${r2.server.bucket().get('ascii.txt')?.etag}"`
    r2.server.behaviour.onRequest = (): Verdict =>
      gets().length === 1
        ? { cutAfter: MIB }
        : { status: 200, headers: { etag, 'content-type': 'text/plain' }, body: 'y'.repeat(SIZE) }
    const read = r2
      .storage({ maxAttempts: 2 })
      .open('ascii.txt')
      .then((file) => file.text())
    await expect(read).rejects.toMatchObject({ code: expect.stringMatching(/Corrupt|Unavailable/) })
  })

  it('is not kept from work by files that were opened and never read', async () => {
    const storage = r2.storage({ maxConnections: 8, idleTimeout: 500, maxAttempts: 2, retryTimeout: 3_000 })
    r2.server.bucket().plant('huge.bin', 64 * MIB)
    const opened = await Promise.allSettled(Array.from({ length: 40 }, () => storage.open('huge.bin')))
    expect(opened.some(({ status }) => status === 'fulfilled')).toBe(true)
    const late = await storage.open('a.bin').then(
      (file) => file.read(),
      (error) => error.code,
    )
    expect(late === 'Unavailable' || Buffer.compare(late, CONTENT) === 0).toBe(true)
    await sleep(1_500)
    expect(await storage.exists('a.bin')).toBe(true)
    expect((await (await storage.open('a.bin')).read()).length).toBe(SIZE)
    for (const result of opened) if (result.status === 'fulfilled') await result.value.close()
  })

  it('gives the connection of a closed or abandoned file back', async () => {
    const storage = r2.storage({ maxConnections: 1 })
    r2.server.bucket().plant('huge.bin', 64 * MIB)
    for (let round = 0; round < 3; round++) {
      await (await storage.open('huge.bin')).close()
      const file = await storage.open('huge.bin')
      for await (const _chunk of file) break
    }
    expect(await storage.size('a.bin')).toBe(SIZE)
  })

  const patient = { maxConnections: 1, idleTimeout: 200, maxAttempts: 1 }
  const HUGE = 64 * MIB

  it.each(['stream', 'webStream'] as const)(
    'holds no connection for a %s that is taken and left unread, and loses nothing of it',
    async (form) => {
      r2.server.bucket().plant('huge.bin', HUGE)
      const storage = r2.storage(patient)
      const taken = (await storage.open('huge.bin'))[form]()
      expect(await storage.size('a.bin')).toBe(SIZE)
      expect(await lengthOf(taken)).toBe(HUGE)
    },
  )

  it('holds no connection for a reader that rests, and goes on in the same version of the file', async () => {
    r2.server.bucket().plant('huge.bin', HUGE)
    const storage = r2.storage(patient)
    const chunks = (await storage.open('huge.bin'))[Symbol.asyncIterator]()
    for (let round = 0; round < 3; round++) {
      await chunks.next()
      expect(await storage.size('a.bin')).toBe(SIZE)
    }
    expect(gets().length).toBeGreaterThan(1)
    r2.server.bucket().plant('huge.bin', HUGE + 1)
    await expect(lengthOf({ [Symbol.asyncIterator]: () => chunks })).rejects.toMatchObject({
      code: 'Unavailable',
      message: /replaced or deleted/,
    })
  })

  it('ends promptly by an abort while its reader rests without a connection', async () => {
    r2.server.bucket().plant('huge.bin', HUGE)
    const storage = r2.storage(patient)
    const controller = new AbortController()
    const file = await storage.open('huge.bin', { signal: controller.signal })
    const chunks = file[Symbol.asyncIterator]()
    await chunks.next()
    await storage.size('a.bin')
    controller.abort()
    await expect(lengthOf({ [Symbol.asyncIterator]: () => chunks })).rejects.toMatchObject({
      code: 'Aborted',
    })
  })

  it.each(['destroyed', 'closed'])(
    'gives its connection back when it is %s while it goes on',
    async (how) => {
      r2.server.bucket().plant('huge.bin', HUGE)
      let release = () => {}
      const left = new Promise<void>((resolve) => {
        release = resolve
      })
      r2.server.behaviour.onRequest = async ({ operation }): Promise<Verdict> => {
        if (operation !== 'GetObject') return undefined
        if (gets().length === 1) return { cutAfter: MIB }
        await left
        return undefined
      }
      const storage = r2.storage(patient)
      const file = await storage.open('huge.bin')
      const stream = file.stream().resume()
      await expect.poll(() => gets().length).toBe(2)
      if (how === 'closed') await file.close()
      else stream.destroy()
      release()
      expect(await storage.size('a.bin')).toBe(SIZE)
    },
  )
})

async function lengthOf(chunks: AsyncIterable<Uint8Array>): Promise<number> {
  let length = 0
  for await (const chunk of chunks) length += chunk.byteLength
  return length
}
