import { describe, expect, it } from 'vitest'
import type { Faults, RequestInfo, Verdict } from '../servers/r2.js'
import { BUSY, first, MIB, setUpR2, streamOf } from './r2-setup.js'

const LOST: { how: string; verdict: Faults }[] = [
  { how: 'the connection breaks after the write', verdict: { afterwards: 'reset' } },
  { how: 'a 503 is answered after the write', verdict: { afterwards: BUSY } },
]

describe.each([true, false])('fastPath %s', (fastPath) => {
  const r2 = setUpR2(fastPath)

  it('reports a create-only save whose only attempt lost its answer', async () => {
    r2.server.behaviour.onRequest = first('PutObject', { afterwards: 'reset' })
    expect(await r2.storage({ maxAttempts: 1 }).save('a.txt', 'x', { ifExists: 'error' })).toBe('a.txt')
  })

  describe.each(LOST)('when $how', ({ verdict }) => {
    it('reports the create-only save of a small file once, under its own name', async () => {
      r2.server.behaviour.onRequest = first('PutObject', verdict)
      expect(await r2.storage().save('a.txt', 'mine', { metadata: { by: 'me' } })).toBe('a.txt')
      expect(r2.server.bucket().keys()).toEqual(['a.txt'])
      const file = await r2.storage().open('a.txt')
      expect([await file.text(), file.metadata]).toEqual(['mine', { by: 'me' }])
    })

    it('reports an overwrite once', async () => {
      r2.server.bucket().plant('a.txt', 'old')
      r2.server.behaviour.onRequest = first('PutObject', verdict)
      expect(await r2.storage().save('a.txt', 'mine', { ifExists: 'overwrite' })).toBe('a.txt')
      expect(r2.server.bucket().get('a.txt')?.content.bytes().toString()).toBe('mine')
    })

    it('reports the create-only save of a large stream once, and leaves no upload open', async () => {
      r2.server.behaviour.onRequest = first('CompleteMultipartUpload', verdict)
      const storage = r2.storage({ partSize: 5 * MIB })
      expect(await storage.save('big.bin', streamOf(11 * MIB), { ifExists: 'error' })).toBe('big.bin')
      expect(r2.server.bucket().keys()).toEqual(['big.bin'])
      expect(r2.server.openUploads).toBe(0)
      expect(await storage.size('big.bin')).toBe(11 * MIB)
    })

    it.each(['CreateMultipartUpload', 'UploadPart'])(
      'stores a large stream once after %s',
      async (operation) => {
        r2.server.behaviour.onRequest = first(operation, verdict)
        const storage = r2.storage({ partSize: 5 * MIB })
        await storage.save('big.bin', streamOf(11 * MIB))
        expect(await storage.size('big.bin')).toBe(11 * MIB)
        expect(r2.server.bucket().keys()).toEqual(['big.bin'])
      },
    )

    it('reports a create-only copy and a move once', async () => {
      r2.server.bucket().plant('from.txt', 'content')
      r2.server.behaviour.onRequest = first('CopyObject', verdict)
      expect(await r2.storage().copy('from.txt', 'copy.txt', { ifExists: 'error' })).toBe('copy.txt')
      r2.server.behaviour.onRequest = first('CopyObject', verdict)
      expect(await r2.storage().move('from.txt', 'moved.txt')).toBe('moved.txt')
      expect(r2.server.bucket().keys()).toEqual(['copy.txt', 'moved.txt'])
    })

    it('reports a delete as done', async () => {
      r2.server.bucket().plant('a.txt', 'x')
      r2.server.behaviour.onRequest = first('DeleteObject', verdict)
      await r2.storage().delete('a.txt')
      expect(r2.server.bucket().size).toBe(0)
    })
  })

  it('tries again what the server may be long at, however long its answer was waited for', async () => {
    r2.server.bucket().plant('from.txt', 'content')
    r2.server.behaviour.onRequest = first('CopyObject', 'hang')
    const storage = r2.storage({ retryTimeout: 300 })
    expect(await storage.copy('from.txt', 'copy.txt')).toBe('copy.txt')
    expect(r2.operations().filter((operation) => operation === 'CopyObject')).toHaveLength(2)
  })

  it('removes what the server stores after the save has failed', async () => {
    const storage = r2.storage({ maxAttempts: 1, idleTimeout: 1_000, connectTimeout: 1_000 })
    await r2.storage().exists('warm')
    // The strict server stores nothing for a client that has left; others do.
    r2.server.behaviour.onRequest = ({ operation, headers }) => {
      if (operation !== 'PutObject') return undefined
      const metadata = { 'stowage-write-id': headers['x-amz-meta-stowage-write-id'] ?? '' }
      setTimeout(() => r2.server.bucket().plant('a.txt', 'mine', { metadata }), 2_500)
      return 'hang'
    }
    await expect(storage.save('a.txt', 'mine')).rejects.toMatchObject({ code: 'Unavailable' })
    const stored = () => r2.operations().includes('DeleteObject')
    await expect.poll(stored, { timeout: 10_000 }).toBe(true)
    expect(r2.server.bucket().size).toBe(0)
  })

  describe('a save that failed', () => {
    const isRemoval = ({ operation, key }: Pick<RequestInfo, 'operation' | 'key'>) =>
      operation === 'DeleteObject' && !key.startsWith('.stowage/')
    const removals = () => r2.server.requests.filter(isRemoval)
    /** Saves, and fails. The first removal of what that has left takes its time in the server. */
    const fail = async (verdict: (info: RequestInfo) => Verdict, save: () => Promise<string>) => {
      const slowly = first('DeleteObject', { delayMs: 150 })
      r2.server.behaviour.onRequest = (info) => verdict(info) ?? (isRemoval(info) ? slowly(info) : undefined)
      await expect(save()).rejects.toMatchObject({ code: 'Unavailable' })
      expect(removals()).not.toEqual([])
    }
    /** Whatever a removal still does, it would do to the file that is saved next. */
    const expectRemoved = () => expect(removals().filter(({ status }) => status === 0)).toEqual([])

    it('has removed its placeholder, so that the next one is safe', async () => {
      const storage = r2.storage({ partSize: 5 * MIB, maxAttempts: 1, conditionalCompletion: false })
      const save = () => storage.save('big.bin', Buffer.alloc(6 * MIB), { ifExists: 'error' })
      await fail(first('CompleteMultipartUpload', BUSY), save)
      expectRemoved()
      expect(await save()).toBe('big.bin')
      expect(await storage.size('big.bin')).toBe(6 * MIB)
    })

    it('has removed what was stored although the answer said otherwise', async () => {
      const storage = r2.storage({ maxAttempts: 1 })
      const [lost, hidden] = [first('PutObject', { afterwards: BUSY }), first('HeadObject', BUSY)]
      const save = () => storage.save('a.txt', 'x', { ifExists: 'error' })
      await fail((info) => lost(info) ?? hidden(info), save)
      expectRemoved()
      expect(await storage.save('a.txt', 'again', { ifExists: 'overwrite' })).toBe('a.txt')
      expect(await storage.size('a.txt')).toBe(5)
    })
  })

  it('takes a completion that is refused in its body for a taken name', async () => {
    r2.server.behaviour.onRequest = first('CompleteMultipartUpload', {
      status: 200,
      body: '<?xml version="1.0"?>\n<Error><Code>PreconditionFailed</Code><Message>no</Message></Error>',
    })
    const save = r2
      .storage({ partSize: 5 * MIB })
      .save('big.bin', Buffer.alloc(6 * MIB), { ifExists: 'error' })
    await expect(save).rejects.toMatchObject({ code: 'AlreadyExists' })
    expect(r2.operations().filter((operation) => operation === 'CompleteMultipartUpload')).toHaveLength(1)
  })

  it("never takes another writer's file for its own, not even one of the same content", async () => {
    for (const content of ['same', 'other']) {
      // Our request is lost before it arrives, and another writer takes the name meanwhile.
      r2.server.behaviour.onRequest = ({ operation }) => {
        if (operation !== 'PutObject' || r2.server.bucket().size > 0) return undefined
        r2.server.bucket().plant('a.txt', content)
        return 'reset'
      }
      const refused = r2.storage().save('a.txt', 'same', { ifExists: 'error' })
      await expect(refused).rejects.toMatchObject({ code: 'AlreadyExists' })
      r2.server.bucket().clear()
      const name = await r2.storage().save('a.txt', 'same')
      expect(name).toMatch(/^a_\w{7}\.txt$/)
      expect(r2.server.bucket().get('a.txt')?.content.bytes().toString()).toBe(content)
      expect(await (await r2.storage().open(name)).text()).toBe('same')
      r2.server.reset()
    }
  })

  it("never takes another writer's large file for its own, and overwrites nothing", async () => {
    r2.server.behaviour.onRequest = ({ operation }) => {
      if (operation !== 'CompleteMultipartUpload' || r2.server.bucket().size > 0) return undefined
      r2.server.bucket().plant('big.bin', Buffer.alloc(6 * MIB, 'x'))
      return 'reset'
    }
    const storage = r2.storage({ partSize: 5 * MIB })
    const save = storage.save('big.bin', streamOf(6 * MIB))
    await expect(save).rejects.toMatchObject({ code: 'AlreadyExists' })
    expect(r2.server.openUploads).toBe(0)
    expect(r2.server.bucket().get('big.bin')?.etag).not.toContain('-')
    // Bytes can be sent again, so they get another name.
    r2.server.bucket().clear()
    const name = await storage.save('big.bin', Buffer.alloc(6 * MIB, 'x'))
    expect(name).toMatch(/^big_\w{7}\.bin$/)
    expect(r2.server.bucket().keys().sort()).toEqual(['big.bin', name].sort())
  })

  it("never takes another writer's file for its own copy", async () => {
    r2.server.bucket().plant('from.txt', 'content')
    r2.server.behaviour.onRequest = ({ operation }) => {
      if (operation !== 'CopyObject' || r2.server.bucket().size > 1) return undefined
      r2.server.bucket().plant('to.txt', 'content')
      return 'reset'
    }
    const storage = r2.storage()
    await expect(storage.copy('from.txt', 'to.txt', { ifExists: 'error' })).rejects.toMatchObject({
      code: 'AlreadyExists',
    })
    expect(await storage.move('from.txt', 'to.txt')).toMatch(/^to_\w{7}\.txt$/)
    expect(await storage.exists('from.txt')).toBe(false)
  })

  it('copies the newer version where the source is replaced while it is copied', async () => {
    const bucket = r2.server.bucket()
    bucket.plant('from.txt', 'old')
    let copies = 0
    r2.server.behaviour.onRequest = ({ operation }) => {
      if (operation === 'CopyObject' && ++copies === 1) bucket.plant('from.txt', 'newer')
      return undefined
    }
    const storage = r2.storage()
    expect(await storage.copy('from.txt', 'to.txt')).toBe('to.txt')
    expect(await (await storage.open('to.txt')).text()).toBe('newer')
    r2.server.behaviour.onRequest = ({ operation }) => {
      if (operation === 'CopyObject') bucket.plant('from.txt', `version ${++copies}`)
      return undefined
    }
    const always = storage.copy('from.txt', 'other.txt')
    await expect(always).rejects.toMatchObject({
      code: 'Unavailable',
      message: /replaced while it was copied/,
    })
    expect(await storage.exists('other.txt')).toBe(false)
  })

  it('shows nothing of the mark that tells its own writes', async () => {
    await r2.storage().save('a.txt', 'x', { metadata: { by: 'me' } })
    expect((await r2.storage().stat('a.txt')).metadata).toEqual({ by: 'me' })
    await r2.storage().copy('a.txt', 'b.txt')
    expect((await r2.storage().stat('b.txt')).metadata).toEqual({ by: 'me' })
  })
})
