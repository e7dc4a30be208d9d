import assert from 'node:assert/strict'
import { type ConformanceCase, cases } from './case.js'
import { collect } from './expect.js'

export const etagCases: readonly ConformanceCase[] = cases('etag and time', {
  'the etag is quoted and the same from stat, open and list': async (storage) => {
    await storage.save('a.txt', 'content')
    const { etag } = await storage.stat('a.txt')
    assert.match(etag, /^(W\/)?"[^"]+"$/)
    const file = await storage.open('a.txt')
    assert.equal(file.etag, etag)
    await file.close()
    assert.deepEqual(
      (await collect(storage.list())).map((listed) => listed.etag),
      [etag],
    )
    assert.equal((await storage.stat('a.txt')).etag, etag)
  },
  'the etag changes with the content, also at the same size and in the same moment': async (storage) => {
    const etags: string[] = []
    for (const content of ['aaa', 'bbb', 'ccc', '', 'dddd']) {
      await storage.save('a.txt', content, { ifExists: 'overwrite' })
      etags.push((await storage.stat('a.txt')).etag)
    }
    assert.equal(new Set(etags).size, etags.length)
  },
  'the time is a Date, of now, and never goes backwards': async (storage) => {
    let last = 0
    for (const content of ['first', 'second', 'third']) {
      await storage.save('a.txt', content, { ifExists: 'overwrite' })
      const { lastModified } = await storage.stat('a.txt')
      assert(lastModified instanceof Date)
      assert(Math.abs(lastModified.getTime() - Date.now()) < 60_000, lastModified.toISOString())
      assert(lastModified.getTime() >= last)
      last = lastModified.getTime()
    }
  },
})
