/** Arguments that no compiler has checked: from plain JavaScript, or from somebody's JSON. */
import { type Content, MemoryStorage } from 'stowage'
import { describe, expect, it } from 'vitest'

const storage = new MemoryStorage()

describe('options that are not an object', () => {
  it.each(['null', '5', '"text"', 'true'])('are refused by every method: %s', async (text) => {
    const options = JSON.parse(text)
    const calls: Promise<unknown>[] = [
      storage.save('a.txt', 'x', options),
      storage.open('a.txt', options),
      storage.exists('a.txt', options),
      storage.stat('a.txt', options),
      storage.size('a.txt', options),
      storage.delete('a.txt', options),
      storage.deleteMany([], options),
      storage.deletePrefix('a', options),
      storage.list('', options)[Symbol.asyncIterator]().next(),
      storage.listdir('', options),
      storage.copy('a.txt', 'b.txt', options),
      storage.move('a.txt', 'b.txt', options),
      storage.signedUrl('a.txt', options),
      storage.signedUpload('a.txt', options),
    ]
    for (const call of calls) await expect(call).rejects.toMatchObject({ code: 'InvalidArgument' })
  })

  it('are refused one by one: a signal, a range, a progress listener, a dry run', async () => {
    const refused = { code: 'InvalidArgument' }
    const { signal, range, onProgress, dryRun } = JSON.parse(
      '{"signal":"x","range":null,"onProgress":"x","dryRun":0}',
    )
    await expect(storage.exists('a.txt', { signal })).rejects.toMatchObject(refused)
    await expect(storage.exists('a.txt', { signal: JSON.parse('null') })).rejects.toMatchObject(refused)
    await expect(storage.open('a.txt', { range })).rejects.toMatchObject(refused)
    await expect(storage.save('a.txt', 'x', { onProgress })).rejects.toMatchObject(refused)
    await expect(storage.deletePrefix('a', { dryRun })).rejects.toMatchObject(refused)
    expect(await storage.exists('a.txt')).toBe(false)
  })
})

/** A content that the compiler would refuse. */
const save = (content: unknown, signal?: AbortSignal) => storage.save('c.txt', content as Content, { signal })

describe('a content', () => {
  it('of empty chunks without end lets an abort through', async () => {
    function* nothing() {
      for (;;) yield ''
    }
    await expect(save(nothing(), AbortSignal.timeout(20))).rejects.toMatchObject({ code: 'Aborted' })
  })

  it.each([
    ['answers text', () => 'chunk'],
    ['answers null', () => null],
    ['yields undefined', () => ({ done: false, value: undefined })],
  ])('whose iterator %s is refused', async (_, next) => {
    const content = { [Symbol.asyncIterator]: () => ({ next: async () => next() }) }
    await expect(save(content, AbortSignal.timeout(1_000))).rejects.toMatchObject({ code: 'InvalidArgument' })
  })

  it('that throws when it is looked at or begun is rejected with that very error', async () => {
    const boom = new Error('boom')
    const throwing = () => {
      throw boom
    }
    await expect(save({ [Symbol.iterator]: throwing })).rejects.toBe(boom)
    await expect(save(Object.defineProperty({}, 'constructor', { get: throwing }))).rejects.toBe(boom)
  })
})

it('the metadata keys that the S3 backends mark objects by are refused', async () => {
  for (const key of ['stowage-write-id', 'Stowage-Claim']) {
    const saved = storage.save('a.txt', 'x', { metadata: { [key]: '1' } })
    await expect(saved).rejects.toMatchObject({ code: 'InvalidArgument', message: /is reserved/ })
  }
})
