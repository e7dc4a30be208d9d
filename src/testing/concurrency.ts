import assert from 'node:assert/strict'
import { isStorageError } from '../errors.js'
import { setImmediate } from '../timers.js'
import { type ConformanceCase, cases } from './case.js'
import { inChunks, MiB, pseudoRandom } from './contents.js'
import { assertBytes, assertFiles, namesOf, rejects, textOf } from './expect.js'

const each = <T>(count: number, work: (index: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, (_, index) => work(index)))

export const concurrencyCases: readonly ConformanceCase[] = cases('concurrency', {
  '32 saves of one name at once give 32 files': async (storage) => {
    const names = await each(32, (index) => storage.save('folder/a.txt', `content ${index}`))
    assert.equal(new Set(names).size, 32)
    assert(names.includes('folder/a.txt'))
    await assertFiles(storage, Object.fromEntries(names.map((name, index) => [name, `content ${index}`])))
  },
  '32 saves of one name at once with error: one wins, and its content stays': async (storage) => {
    const results = await each(32, async (index) => {
      try {
        await storage.save('a.txt', `content ${index}`, {
          ifExists: 'error',
          metadata: { index: `${index}` },
        })
        return true
      } catch (error) {
        assert(isStorageError(error) && error.code === 'AlreadyExists', String(error))
        return false
      }
    })
    assert.equal(results.filter(Boolean).length, 1)
    const winner = results.indexOf(true)
    await assertFiles(storage, { 'a.txt': `content ${winner}` })
    assert.deepEqual({ ...(await storage.stat('a.txt')).metadata }, { index: `${winner}` })
  },
  '16 copies and 16 moves onto one name at once give 32 files': async (storage) => {
    await each(16, (index) => storage.save(`source/${index}`, `moved ${index}`))
    await storage.save('original', 'copied')
    const names = await each(32, (index) =>
      index < 16 ? storage.move(`source/${index}`, 'target.txt') : storage.copy('original', 'target.txt'),
    )
    assert.equal(new Set(names).size, 32)
    const contents = names.map((name, index) => [name, index < 16 ? `moved ${index}` : 'copied'])
    await assertFiles(storage, { original: 'copied', ...Object.fromEntries(contents) })
  },
  'many files at once are each stored right': async (storage) => {
    const contentOf = (index: number) => pseudoRandom(4096, index + 1)
    await each(40, (index) => storage.save(`folder${index % 5}/${index}.bin`, contentOf(index)))
    await each(40, async (index) => {
      const file = await storage.open(`folder${index % 5}/${index}.bin`)
      assert.deepEqual(await file.bytes(), contentOf(index))
    })
    assert.equal((await namesOf(storage)).length, 40)
  },
  'large streams of one name at once are never mixed': async (storage) => {
    const contents = Array.from({ length: 3 }, (_, index) => pseudoRandom(9 * MiB + index, index + 1))
    const names = await each(3, async (index) => {
      try {
        return await storage.save('large.bin', inChunks(contents[index] ?? Buffer.alloc(0)))
      } catch (error) {
        // The one exception: a stream that was read cannot be sent again under another name.
        assert(isStorageError(error) && error.code === 'AlreadyExists', String(error))
        return undefined
      }
    })
    const stored = names.filter((name) => name !== undefined)
    assert.equal(new Set(stored).size, stored.length)
    assert(stored.includes('large.bin'))
    for (const [index, name] of names.entries()) {
      if (name === undefined) continue
      await assertBytes(storage, name, contents[index] ?? Buffer.alloc(0))
    }
    assert.deepEqual((await namesOf(storage)).sort(), [...stored].sort())
  },
  'a reader during overwrites always sees one version, whole, with its own metadata': async (storage) => {
    const save = (version: number) =>
      storage.save('a.bin', Buffer.alloc(version * 50_000, version), {
        ifExists: 'overwrite',
        metadata: { version: `${version}` },
      })
    await save(1)
    let writing = true
    const write = async () => {
      try {
        for (const version of [2, 9, 3]) await Promise.all([save(version), save(version + 1)])
      } finally {
        writing = false
      }
    }
    const seen = async () => {
      const file = await storage.open('a.bin')
      const version = Number(file.metadata.version)
      const bytes = await file.bytes()
      assert.deepEqual([bytes.length, file.size], [version * 50_000, version * 50_000])
      assert(bytes.equals(Buffer.alloc(bytes.length, version)))
      const info = await storage.stat('a.bin')
      assert.equal(info.size, Number(info.metadata.version) * 50_000)
    }
    const read = async () => {
      while (writing) {
        await seen()
        await new Promise((resolve) => setImmediate(resolve)) // Lets writers in memory come in between.
      }
    }
    await Promise.all([write(), read()])
    await seen()
    assert.deepEqual(await namesOf(storage), ['a.bin'])
  },
  'a name that is saved and deleted at the same time is either there, whole, or not': async (storage) => {
    for (let round = 0; round < 10; round++) {
      await storage.save('folder/a.txt', 'old', { ifExists: 'overwrite' })
      await Promise.all([
        storage.save('folder/a.txt', 'new', { ifExists: 'overwrite' }),
        storage.delete('folder/a.txt'),
      ])
      if (await storage.exists('folder/a.txt')) assert.equal(await textOf(storage, 'folder/a.txt'), 'new')
      else await rejects('NotFound', () => storage.open('folder/a.txt'))
    }
  },
  'a save into a folder that is deleted at the same time never fails and leaves no half': async (storage) => {
    for (let round = 0; round < 10; round++) {
      await storage.save('a/old/x', 'old')
      const [name] = await Promise.all([
        storage.save(`a/new/${round}`, 'new'),
        storage.deletePrefix('a'),
        storage.save('a/old/x', 'new', { ifExists: 'overwrite' }),
      ])
      if (await storage.exists(name)) assert.equal(await textOf(storage, name), 'new')
      for (const left of await namesOf(storage)) assert.equal(await textOf(storage, left), 'new')
      await storage.deletePrefix('a')
    }
    assert.deepEqual(await storage.listdir(), { directories: [], files: [] })
  },
  'the last two files of a folder, deleted at once while another comes, lose nothing': async (storage) => {
    for (let round = 0; round < 10; round++) {
      await Promise.all([storage.save('f/a', 'a'), storage.save('f/b', 'b')])
      await Promise.all([storage.delete('f/a'), storage.save('f/c', 'c'), storage.delete('f/b')])
      await assertFiles(storage, { 'f/c': 'c' })
      await storage.delete('f/c')
    }
  },
})
