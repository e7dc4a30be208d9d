import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { driverOf, type Name, type Storage } from 'stowage'
import { describe, expect, it, vi } from 'vitest'
import type { Verdict } from '../servers/r2.js'
import { rawAnswer, startRawServer } from '../servers/raw-server.js'
import { always, BUSY, MIB, setUpR2, streamOf } from './r2-setup.js'

setFlagsFromString('--expose-gc')
const collectGarbage: () => void = runInNewContext('gc')

describe.each([true, false])('fastPath %s', (fastPath) => {
  const r2 = setUpR2(fastPath)
  const PART = 5 * MIB

  /** Runs `work`, aborts it `after` milliseconds when `operation` has arrived, and expects it to end promptly as aborted. */
  async function expectAbort(
    work: (signal: AbortSignal) => Promise<unknown>,
    operation: string,
    verdict: Verdict,
    after = 30,
  ): Promise<void> {
    const controller = new AbortController()
    const reason = new Error('the user has left')
    r2.server.behaviour.onRequest = (info) => {
      if (info.operation !== operation || controller.signal.aborted) return undefined
      setTimeout(() => {
        abortedAt = Date.now()
        controller.abort(reason)
      }, after)
      return verdict
    }
    let abortedAt = 0
    await expect(work(controller.signal)).rejects.toMatchObject({ code: 'Aborted', cause: reason })
    expect(controller.signal.aborted).toBe(true)
    expect(Date.now() - abortedAt).toBeLessThan(5_000)
    // What a slow server may do after all is done by then.
    if (typeof verdict === 'object' && 'delayMs' in verdict) await sleep(400)
    expect(r2.server.openUploads).toBe(0)
  }

  const save = (storage: Storage, bytes: number) => (signal: AbortSignal) =>
    storage.save('a.bin', streamOf(bytes), { signal })

  it.each([
    { phase: 'a small save waits for its answer', bytes: 10, operation: 'PutObject', verdict: 'hang' },
    { phase: 'the server is slow to store', bytes: 10, operation: 'PutObject', verdict: { delayMs: 300 } },
    {
      phase: 'a small save backs off',
      bytes: 10,
      operation: 'PutObject',
      verdict: { ...BUSY, headers: { 'retry-after': '20' } },
    },
    {
      phase: 'an upload is created',
      bytes: 11 * MIB,
      operation: 'CreateMultipartUpload',
      verdict: { delayMs: 300 },
    },
    { phase: 'a part is on its way', bytes: 11 * MIB, operation: 'UploadPart', verdict: 'hang' },
    {
      phase: 'a part backs off',
      bytes: 11 * MIB,
      operation: 'UploadPart',
      verdict: { ...BUSY, headers: { 'retry-after': '20' } },
    },
    {
      phase: 'an upload is being completed',
      bytes: 11 * MIB,
      operation: 'CompleteMultipartUpload',
      verdict: { delayMs: 300 },
    },
    {
      phase: 'the completion is never answered',
      bytes: 11 * MIB,
      operation: 'CompleteMultipartUpload',
      verdict: 'hang',
    },
  ] as const)('ends promptly when $phase, and nothing is stored', async ({ bytes, operation, verdict }) => {
    await expectAbort(save(r2.storage({ partSize: PART }), bytes), operation, verdict)
    expect(r2.server.bucket().size).toBe(0)
  })

  it('leaves no upload open whose answer was still on its way', async () => {
    const storage = r2.storage({ partSize: PART })
    const bucket = r2.server.bucket()
    const open = bucket.open.bind(bucket)
    const { uploads } = driverOf(storage)
    const attributes = { contentType: 'a/b', metadata: {} }
    for (const work of [
      save(storage, 11 * MIB),
      (signal: AbortSignal) => uploads?.create({ name: 'a.bin' as Name, attributes, signal }),
    ]) {
      const controller = new AbortController()
      let begun = 0
      bucket.open = (...given) => {
        begun += 1
        controller.abort()
        return open(...given)
      }
      await expect(work(controller.signal)).rejects.toThrow()
      expect(begun).toBe(1)
      expect(r2.server.openUploads).toBe(0)
    }
  })

  it.each([0, 100, PART + 100])('ends promptly while the source stalls after %i bytes', async (bytes) => {
    const controller = new AbortController()
    let left = false
    async function* stalling() {
      try {
        yield* streamOf(bytes)
        setTimeout(() => controller.abort(), 30)
        await new Promise((resolve) => controller.signal.addEventListener('abort', resolve))
        yield Buffer.alloc(1)
      } finally {
        left = true
      }
    }
    const stored = r2.storage({ partSize: PART }).save('a.bin', stalling(), { signal: controller.signal })
    await expect(stored).rejects.toMatchObject({ code: 'Aborted' })
    await sleep(100)
    expect(left).toBe(true)
    expect(r2.server.openUploads).toBe(0)
    expect(r2.server.bucket().size).toBe(0)
  })

  it('ends promptly while the content is read', async () => {
    r2.server.bucket().plant('big.bin', 40 * MIB)
    for (const read of ['stream', 'webStream', 'bytes'] as const) {
      const controller = new AbortController()
      r2.server.behaviour.onRequest = always({ stallAfter: 10 * MIB })
      const file = await r2.storage().open('big.bin', { signal: controller.signal })
      setTimeout(() => controller.abort(), 100)
      const consume = async () => {
        if (read === 'bytes') await file.bytes()
        else for await (const _chunk of file[read]());
      }
      await expect(consume()).rejects.toMatchObject({ code: 'Aborted' })
    }
  })

  it.each(['ListObjectsV2', 'HeadObject', 'GetObject', 'CopyObject', 'DeleteObjects'])(
    'ends promptly while %s waits',
    async (operation) => {
      r2.server.bucket().plant('a.txt', 'x')
      const storage = r2.storage()
      const work: Record<string, (signal: AbortSignal) => Promise<unknown>> = {
        ListObjectsV2: (signal) => storage.listdir('', { signal }),
        HeadObject: (signal) => storage.stat('a.txt', { signal }),
        GetObject: (signal) => storage.open('a.txt', { signal }),
        CopyObject: (signal) => storage.copy('a.txt', 'b.txt', { signal }),
        DeleteObjects: (signal) => storage.deleteMany(['a.txt', 'b.txt'], { signal }),
      }
      await expectAbort((signal) => work[operation]?.(signal) ?? Promise.resolve(), operation, 'hang')
      expect(r2.server.bucket().keys()).toEqual(['a.txt'])
    },
  )

  it('sends nothing at all when the signal is aborted before', async () => {
    const signal = AbortSignal.abort(new Error('too late'))
    const storage = r2.storage()
    for (const work of [
      storage.save('a.txt', 'x', { signal }),
      storage.open('a.txt', { signal }),
      storage.exists('a.txt', { signal }),
      storage.delete('a.txt', { signal }),
      storage.copy('a.txt', 'b.txt', { signal }),
    ]) {
      await expect(work).rejects.toMatchObject({ code: 'Aborted' })
    }
    expect(r2.server.requests).toEqual([])
  })

  it('does not remove what an aborted overwrite found there', async () => {
    r2.server.bucket().plant('a.bin', 'old')
    const overwrite = (signal: AbortSignal) =>
      r2.storage().save('a.bin', 'new', { signal, ifExists: 'overwrite' })
    await expectAbort(overwrite, 'PutObject', { delayMs: 300 })
    expect(r2.server.bucket().get('a.bin')?.content.bytes().toString()).toBe('old')
  })

  it('takes away what a server stores although the client has gone', async () => {
    const controller = new AbortController()
    let writeId: string | undefined
    const found = () => ({ ETag: '"e"', 'Content-Length': '1', 'x-amz-meta-stowage-write-id': writeId ?? '' })
    await using server = await startRawServer(({ method, headers }, socket) => {
      if (method === 'PUT') {
        writeId = headers['x-amz-meta-stowage-write-id'] // Stored, and never answered.
        controller.abort()
      } else if (method === 'HEAD') socket.write(writeId ? rawAnswer(200, found()) : rawAnswer(404))
      else {
        writeId = undefined
        socket.write(rawAnswer(204))
      }
    })
    const storage = r2.storage({ endpoint: server.endpoint })
    const save = storage.save('a.txt', 'x', { signal: controller.signal })
    await expect(save).rejects.toMatchObject({ code: 'Aborted' })
    expect(server.calls.map(({ method }) => method)).toEqual(['PUT', 'HEAD', 'DELETE'])
  })

  it('lets the content of an aborted save go', async () => {
    const controller = new AbortController()
    const { signal } = controller
    r2.server.behaviour.onRequest = ({ operation }) => {
      if (operation !== 'PutObject') return undefined
      setTimeout(() => controller.abort(), 30)
      return 'hang'
    }
    const saved = await (async () => {
      const content = Buffer.alloc(MIB, 'x')
      const save = r2.storage().save('a.bin', content, { signal })
      expect(await save.catch(({ code }) => code)).toBe('Aborted')
      return new WeakRef(content.buffer)
    })()
    // Looks for a write that comes late go on for five seconds.
    await vi.waitFor(() => {
      collectGarbage()
      expect(saved.deref() === undefined).toBe(true)
    }, 1_500)
  })

  it('asks for nothing more where an abort comes after a definite refusal', async () => {
    const busy = { status: 429, code: 'TooManyRequests' }
    // The refusal has come by then, and the next try has not begun.
    await expectAbort((signal) => r2.storage().save('refused.txt', 'x', { signal }), 'PutObject', busy, 500)
    await sleep(400)
    const asked = r2.server.requests.filter(({ key }) => key === 'refused.txt')
    expect(asked.map(({ operation }) => operation)).toEqual(['PutObject'])
  })
})
