import { describe, expect, it } from 'vitest'
import { rawAnswer, startRawServer } from '../servers/raw-server.js'
import { always, MIB, setUpR2, streamOf } from './r2-setup.js'

const HOUR = 60 * 60 * 1000

describe.each([true, false])('fastPath %s', (fastPath) => {
  const r2 = setUpR2(fastPath)

  describe.each([HOUR, -HOUR])('with a clock that is %i ms off', (off) => {
    it.each<[string, (storage: ReturnType<typeof r2.storage>) => Promise<unknown>]>([
      ['exists', async (storage) => expect(await storage.exists('a.txt')).toBe(true)],
      ['stat', async (storage) => expect((await storage.stat('a.txt')).size).toBe(7)],
      ['copy', (storage) => storage.copy('a.txt', 'b.txt')],
      ['move', (storage) => storage.move('a.txt', 'b.txt')],
      ['a large save', (storage) => storage.save('big.bin', streamOf(9 * MIB))],
      ['open', async (storage) => expect(await (await storage.open('a.txt')).text()).toBe('content')],
    ])('%s works, the first time and from then on', async (_, work) => {
      r2.server.behaviour.now = () => Date.now() + off
      const storage = r2.storage()
      r2.server.bucket().plant('a.txt', 'content')
      await work(storage)
      r2.server.bucket().plant('a.txt', 'content')
      r2.server.requests.length = 0
      expect(await storage.exists('a.txt')).toBe(true)
      expect(r2.operations()).toEqual(['HeadObject'])
    })

    it('all of many requests work that were on their way at once', async () => {
      r2.server.behaviour.now = () => Date.now() + off
      r2.server.bucket().plant('a.txt', 'content')
      const storage = r2.storage()
      expect(await Promise.all(Array.from({ length: 20 }, () => storage.exists('a.txt')))).not.toContain(
        false,
      )
    })

    it('addresses are signed by the time of the server, once that is known', async () => {
      r2.server.behaviour.now = () => Date.now() + off
      r2.server.bucket().plant('a.txt', 'content')
      const storage = r2.storage()
      await storage.exists('a.txt')
      const url = await storage.signedUrl('a.txt', { expiresIn: 60, stableFor: 60 })
      expect(await (await fetch(url)).text()).toBe('content')
    })
  })

  it('a refusal at the right time is final', async () => {
    r2.server.behaviour.onRequest = always({ status: 403, code: 'AccessDenied' })
    await expect(r2.storage().exists('a.txt')).rejects.toMatchObject({ code: 'PermissionDenied' })
    // The answer to a HEAD does not say why.
    expect(r2.operations()).toEqual(['HeadObject', 'GetObject'])
  })

  it.each(['now', '', 'Fri, 13 Sep 275760 00:00:00 GMT'])('is not misled by the date %j', async (date) => {
    let refused = false
    await using server = await startRawServer((_, socket) => {
      const first = !refused
      refused = true
      const skewed = '<Error><Code>RequestTimeTooSkewed</Code></Error>'
      socket.write(first ? rawAnswer(403, { Date: date }, skewed) : rawAnswer(200, { ETag: '"e"' }, 'x'))
    })
    const storage = r2.storage({ endpoint: server.endpoint })
    expect(await (await storage.open('a.txt')).text()).toBe('x')
    expect(await storage.signedUrl('a.txt')).toContain(`X-Amz-Date=${new Date().getUTCFullYear()}`)
  })
})
