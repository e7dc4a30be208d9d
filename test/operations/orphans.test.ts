import assert from 'node:assert/strict'
import { type IsReferenced, type ListedFile, MemoryStorage, orphans } from 'stowage'
import { afterEach, describe, it } from 'vitest'
import { listing, STORAGES } from './storages.js'

const WEEK = 604_800
const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

async function namesOf(files: AsyncIterable<ListedFile>): Promise<string[]> {
  const names: string[] = []
  for await (const { name } of files) names.push(name)
  return names
}

describe.each(STORAGES)('orphans on %s', (_, make) => {
  it('are the old files that nobody refers to', async () => {
    const { storage, age, close } = await make()
    closing.push(close)
    for (const name of ['d/known', 'd/orphan', 'd/ä b', 'd/young', 'e/orphan']) {
      await storage.save(name, 'x')
      if (name !== 'd/young') await age(name, WEEK + 60)
    }
    const known: IsReferenced = (names) => names.filter((name) => name === 'd/known')
    assert.deepEqual(await namesOf(orphans(storage, known, { prefix: 'd' })), ['d/orphan', 'd/ä b'])
    assert.deepEqual(await namesOf(orphans(storage, known, { olderThan: 0 })), [
      'd/orphan',
      'd/young',
      'd/ä b',
      'e/orphan',
    ])
    for await (const { name } of orphans(storage, known)) await storage.delete(name)
    assert.deepEqual(await namesOf(orphans(storage, known)), [])
  })
})

describe('orphans', () => {
  const files = Array.from({ length: 2500 }, (_, index) => ({ name: `f${String(index).padStart(4, '0')}` }))

  it('asks about at most 1,000 names at a time, and only as the caller goes on', async () => {
    const asked: number[] = []
    const all: IsReferenced = async (names) => {
      asked.push(names.length)
      return new Set(names.filter((name) => name !== 'f0003' && name !== 'f2000'))
    }
    for await (const { name } of orphans(listing(files), all)) {
      if (name === 'f0003') assert.deepEqual(asked, [1000])
      else assert.equal(name, 'f2000')
    }
    assert.deepEqual(asked, [1000, 1000, 500])
  })

  it.each([
    ['another name', () => ['F0001'], /"F0001", a name that it was not asked about/],
    ['a row', (names: string[]) => names.map((name) => ({ name })), /returned object/],
    ['a string', () => 'f0001', /must return the known names/],
    ['true', () => true, /must return the known names/],
    ['nothing', () => undefined, /must return the known names/],
  ])('takes no answer with %s in it', async (_, answer, message) => {
    await assert.rejects(namesOf(orphans(listing(files), answer as IsReferenced)), {
      code: 'InvalidArgument',
      operation: 'orphans',
      message,
    })
  })

  it('throws the error of the database on', async () => {
    const failure = new Error('no connection')
    const broken = () => Promise.reject(failure)
    await assert.rejects(namesOf(orphans(listing(files), broken)), (error) => error === failure)
  })

  it.each([{ olderThan: -1 }, { olderThan: 1.5 }, { older: 1 }])('refuses %j', async (options) => {
    const given = options as Parameters<typeof orphans>[2]
    await assert.rejects(namesOf(orphans(new MemoryStorage(), () => [], given)), {
      code: 'InvalidArgument',
      operation: 'orphans',
    })
  })

  it('gives no more files of a batch after an abort', async () => {
    for (const last of ['f0000', 'f2499']) {
      const stop = new AbortController()
      const given: string[] = []
      const wanted = async () => {
        for await (const { name } of orphans(listing(files), () => [], { signal: stop.signal })) {
          given.push(name)
          if (name === last) stop.abort('enough')
        }
      }
      await assert.rejects(wanted(), { code: 'Aborted', cause: 'enough' })
      assert.equal(given.at(-1), last)
    }
  })

  it('are no files whose age nobody can tell', async () => {
    const odd = [{ name: 'a', lastModified: new Date(Number.NaN) }, { name: 'b' }]
    assert.deepEqual(await namesOf(orphans(listing(odd), () => [], { olderThan: 0 })), ['b'])
    // Older than any date can be.
    const olderThan = Number.MAX_SAFE_INTEGER
    assert.deepEqual(await namesOf(orphans(listing(files), () => [], { olderThan })), [])
  })

  it('ends with the signal', async () => {
    const stop = new AbortController()
    const known: IsReferenced = (names) => {
      stop.abort('enough')
      return names
    }
    await assert.rejects(namesOf(orphans(listing(files), known, { signal: stop.signal })), {
      code: 'Aborted',
      cause: 'enough',
    })
  })
})
