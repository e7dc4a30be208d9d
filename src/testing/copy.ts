import assert from 'node:assert/strict'
import { isStorageError } from '../errors.js'
import type { Storage } from '../storage.js'
import type { CopyOptions } from '../types.js'
import { type Check, type ConformanceCase, cases } from './case.js'
import { LARGE, pseudoRandom } from './contents.js'
import { assertBytes, assertFiles, namesOf, rejects, textOf } from './expect.js'

const ATTRIBUTES = {
  contentType: 'text/x-notes; charset=utf-8',
  cacheControl: 'max-age=60',
  contentDisposition: 'attachment; filename="notes.txt"',
  contentLanguage: 'de-AT',
  contentEncoding: 'identity',
  metadata: { room: '42', note: ' Grüße, 😀 ', empty: '' },
}

type Transfer = (storage: Storage, from: string, to: string, options?: CopyOptions) => Promise<string>

const copy: Transfer = (storage, from, to, options) => storage.copy(from, to, options)
const move: Transfer = (storage, from, to, options) => storage.move(from, to, options)

/** Copies and moves share these cases. `left` is what is left of the source. */
function transferCases(
  verb: string,
  transfer: Transfer,
  left: (files: Record<string, string>) => Record<string, string>,
): Record<string, Check> {
  return {
    [`${verb} to a new name, in a new folder, gives that name`]: async (storage) => {
      await storage.save('a.txt', 'content')
      assert.equal(await transfer(storage, 'a.txt', 'new/folder/b.txt'), 'new/folder/b.txt')
      await assertFiles(storage, { ...left({ 'a.txt': 'content' }), 'new/folder/b.txt': 'content' })
    },
    [`${verb} takes the type, the headers and the metadata along`]: async (storage) => {
      await storage.save('a.txt', 'content', ATTRIBUTES)
      const { lastModified: _, ...before } = await storage.stat('a.txt')
      // The extension says something else, which must not count.
      const name = await transfer(storage, 'a.txt', 'b.html')
      const { lastModified, ...after } = await storage.stat(name)
      assert.deepEqual({ ...after, etag: '' }, { ...before, name: 'b.html', etag: '' })
      assert(lastModified instanceof Date)
    },
    [`${verb} of an empty file gives an empty file`]: async (storage) => {
      await storage.save('empty', '')
      await transfer(storage, 'empty', 'b')
      await assertFiles(storage, { ...left({ empty: '' }), b: '' })
    },
    [`${verb} of a large file is byte for byte`]: async (storage) => {
      const bytes = pseudoRandom(LARGE, 8)
      await storage.save('large.bin', bytes)
      const name = await transfer(storage, 'large.bin', 'b/large.bin')
      await assertBytes(storage, name, bytes)
    },
    [`${verb} to a taken name gives another name by default`]: async (storage) => {
      await storage.save('a.txt', 'content')
      await storage.save('b.tar.gz', 'taken')
      const name = await transfer(storage, 'a.txt', 'b.tar.gz')
      assert.match(name, /^b_[A-Za-z0-9]{7}\.tar\.gz$/)
      await assertFiles(storage, { ...left({ 'a.txt': 'content' }), 'b.tar.gz': 'taken', [name]: 'content' })
    },
    [`${verb} with overwrite replaces the target and all of its attributes`]: async (storage) => {
      await storage.save('a.txt', 'content', { metadata: { from: 'a' } })
      await storage.save('b.txt', 'taken', ATTRIBUTES)
      assert.equal(await transfer(storage, 'a.txt', 'b.txt', { ifExists: 'overwrite' }), 'b.txt')
      await assertFiles(storage, { ...left({ 'a.txt': 'content' }), 'b.txt': 'content' })
      const { contentType, contentLanguage, contentDisposition, metadata } = await storage.stat('b.txt')
      assert.deepEqual([contentType, metadata], ['text/plain', { from: 'a' }])
      assert.deepEqual([contentLanguage, contentDisposition], [undefined, undefined])
    },
    [`${verb} with error refuses a taken name and touches neither file`]: async (storage) => {
      await storage.save('a.txt', 'content')
      await storage.save('b.txt', 'taken', ATTRIBUTES)
      const before = [await storage.stat('a.txt'), await storage.stat('b.txt')]
      await rejects('AlreadyExists', () => transfer(storage, 'a.txt', 'b.txt', { ifExists: 'error' }))
      assert.deepEqual([await storage.stat('a.txt'), await storage.stat('b.txt')], before)
      await assertFiles(storage, { 'a.txt': 'content', 'b.txt': 'taken' })
    },
    [`${verb} of a missing file is not found and leaves the target alone`]: async (storage) => {
      await storage.save('b.txt', 'taken')
      const before = await storage.stat('b.txt')
      for (const ifExists of ['rename', 'overwrite'] as const) {
        const error = await rejects('NotFound', () => transfer(storage, 'missing', 'b.txt', { ifExists }))
        assert.deepEqual([error.file, error.operation], ['missing', verb])
        await rejects('NotFound', () => transfer(storage, 'missing', 'new/folder/c.txt', { ifExists }))
        await rejects('NotFound', () => transfer(storage, 'missing', 'missing', { ifExists }))
      }
      assert.deepEqual(await storage.stat('b.txt'), before)
      await assertFiles(storage, { 'b.txt': 'taken' })
      assert.deepEqual((await storage.listdir()).directories, [])
    },
    [`${verb} of a folder's name is not found and leaves the folder alone`]: async (storage) => {
      await storage.save('folder/a.txt', 'content')
      await rejects('NotFound', () => transfer(storage, 'folder', 'b'))
      await rejects('NotFound', () => transfer(storage, 'folder', 'b', { ifExists: 'overwrite' }))
      await assertFiles(storage, { 'folder/a.txt': 'content' })
    },
    [`${verb} onto a folder's name gives a name that can be read, or is refused; nothing is lost`]: async (
      storage,
    ) => {
      await storage.save('folder/a.txt', 'in the folder')
      await storage.save('b.txt', 'content')
      const name = await transfer(storage, 'b.txt', 'folder')
      assert.equal(await textOf(storage, name), 'content')
      assert.equal(await textOf(storage, 'folder/a.txt'), 'in the folder')
      await storage.save('c.txt', 'other')
      let target = 'c.txt'
      try {
        target = await transfer(storage, 'c.txt', 'folder', { ifExists: 'overwrite' })
      } catch (error) {
        assert(isStorageError(error) && error.code === 'AlreadyExists', String(error))
      }
      assert.equal(await textOf(storage, target), 'other')
      assert.equal(await textOf(storage, 'folder/a.txt'), 'in the folder')
    },
    [`${verb} below a file works or is refused; nothing is lost`]: async (storage) => {
      await storage.save('a', 'a file')
      await storage.save('b.txt', 'content')
      let target = 'b.txt'
      try {
        target = await transfer(storage, 'b.txt', 'a/b')
      } catch (error) {
        assert(isStorageError(error) && error.code === 'AlreadyExists', String(error))
      }
      assert.equal(await textOf(storage, target), 'content')
      assert.equal(await textOf(storage, 'a'), 'a file')
    },
    [`${verb} of a file whose name looks encoded is never that of its decoded name`]: async (storage) => {
      await storage.save('anyfilename%25.txt', 'encoded')
      await rejects('NotFound', () => transfer(storage, 'anyfilename%.txt', 'b'))
      await storage.save('c%.txt', 'plain')
      await rejects('NotFound', () => transfer(storage, 'c%25.txt', 'b'))
      await rejects('NotFound', () => transfer(storage, 'c%.txt?versionId=null', 'b'))
      assert.equal(await storage.exists('b'), false)
      assert.equal(await transfer(storage, 'anyfilename%25.txt', 'd+e %2F.txt'), 'd+e %2F.txt')
      assert.equal(await textOf(storage, 'd+e %2F.txt'), 'encoded')
    },
  }
}

export const copyCases: readonly ConformanceCase[] = cases('copy and move', {
  ...transferCases('copy', copy, (files) => files),
  ...transferCases('move', move, () => ({})),
  'a copy and its source live on their own': async (storage) => {
    await storage.save('a.txt', 'first', { metadata: { version: '1' } })
    await storage.copy('a.txt', 'b.txt')
    await storage.save('a.txt', 'second', { ifExists: 'overwrite', metadata: { version: '2' } })
    assert.equal(await textOf(storage, 'b.txt'), 'first')
    assert.deepEqual((await storage.stat('b.txt')).metadata, { version: '1' })
    await storage.delete('a.txt')
    await assertFiles(storage, { 'b.txt': 'first' })
  },
  'a copy onto itself gets another name by default': async (storage) => {
    await storage.save('a.txt', 'content', ATTRIBUTES)
    const name = await storage.copy('a.txt', './a.txt')
    assert.match(name, /^a_[A-Za-z0-9]{7}\.txt$/)
    await assertFiles(storage, { 'a.txt': 'content', [name]: 'content' })
    assert.deepEqual((await storage.stat(name)).metadata, ATTRIBUTES.metadata)
  },
  'a copy onto itself with overwrite leaves the file alone': async (storage) => {
    await storage.save('a.txt', 'content', ATTRIBUTES)
    const before = await storage.stat('a.txt')
    assert.equal(await storage.copy('a.txt', 'a.txt', { ifExists: 'overwrite' }), 'a.txt')
    assert.deepEqual(await storage.stat('a.txt'), before)
    await assertFiles(storage, { 'a.txt': 'content' })
  },
  'a copy onto itself with error is refused': async (storage) => {
    await storage.save('a.txt', 'content')
    await rejects('AlreadyExists', () => storage.copy('a.txt', 'a.txt', { ifExists: 'error' }))
    await assertFiles(storage, { 'a.txt': 'content' })
  },
  'a move onto itself leaves the file alone': async (storage) => {
    await storage.save('a.txt', 'content', ATTRIBUTES)
    const before = await storage.stat('a.txt')
    for (const ifExists of [undefined, 'rename', 'overwrite'] as const) {
      assert.equal(await storage.move('a.txt', 'a.txt', { ifExists }), 'a.txt')
    }
    assert.equal(await storage.move('a.txt', './/a.txt'), 'a.txt')
    assert.deepEqual(await storage.stat('a.txt'), before)
    await assertFiles(storage, { 'a.txt': 'content' })
  },
  'a move away and back gives the file as it was': async (storage) => {
    await storage.save('a/b.txt', 'content', ATTRIBUTES)
    await storage.move('a/b.txt', 'c.txt')
    await rejects('NotFound', () => storage.open('a/b.txt'))
    assert.deepEqual(await storage.listdir(), { directories: [], files: ['c.txt'] })
    assert.equal(await storage.move('c.txt', 'a/b.txt'), 'a/b.txt')
    assert.deepEqual((await storage.stat('a/b.txt')).metadata, ATTRIBUTES.metadata)
    assert.deepEqual(await namesOf(storage), ['a/b.txt'])
  },
})
