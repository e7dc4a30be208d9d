import assert from 'node:assert/strict'
import { type ConformanceCase, cases } from './case.js'
import { collect, inByteOrder, namesOf } from './expect.js'
import { saveAll } from './files.js'

export const listCases: readonly ConformanceCase[] = cases('list', {
  'an empty storage is empty, however its root is written': async (storage) => {
    for (const root of [undefined, '', '.', './', '././']) {
      assert.deepEqual(await namesOf(storage, root), [])
      assert.deepEqual(await storage.listdir(root), { directories: [], files: [] })
    }
  },
  'a folder that is not there is empty': async (storage) => {
    await saveAll(storage, ['folder/a.txt'])
    for (const missing of ['missing', 'folder/missing/', 'fold', 'folder/a']) {
      assert.deepEqual(await namesOf(storage, missing), [])
      assert.deepEqual(await storage.listdir(missing), { directories: [], files: [] })
    }
  },
  'the root lists everything, however it is written': async (storage) => {
    const names = ['a.txt', 'b/c.txt', 'b/d/e.txt']
    await saveAll(storage, names)
    for (const root of [undefined, '', '.', './']) {
      assert.deepEqual(await namesOf(storage, root), names)
      assert.deepEqual(await storage.listdir(root), { directories: ['b'], files: ['a.txt'] })
    }
  },
  'a prefix is a folder, never the start of a name': async (storage) => {
    await saveAll(storage, [
      'fo',
      'foo-bar/a',
      'foo.txt',
      'foo/a',
      'foo/b/c',
      'foo0/a',
      'foobar',
      'fo0/foo/a',
    ])
    for (const prefix of ['foo', 'foo/', './foo', 'foo\\']) {
      assert.deepEqual(await namesOf(storage, prefix), ['foo/a', 'foo/b/c'])
      assert.deepEqual(await storage.listdir(prefix), { directories: ['b'], files: ['a'] })
    }
    assert.deepEqual(await namesOf(storage, 'foo/b'), ['foo/b/c'])
    assert.deepEqual(await namesOf(storage, 'f'), [])
  },
  'a file is no folder: below its own name there is nothing': async (storage) => {
    await saveAll(storage, ['folder/a.txt'])
    for (const name of ['folder/a.txt', 'folder/a.txt/', 'folder/a.txt/b']) {
      assert.deepEqual(await namesOf(storage, name), [])
      assert.deepEqual(await storage.listdir(name), { directories: [], files: [] })
    }
  },
  'names come in UTF-8 byte order, whatever the folders': async (storage) => {
    const names = [
      'd',
      'dir1/a',
      'dir1/b',
      'dir2/a',
      't-/t.',
      't/t/t',
      't.txt',
      't0',
      'testFile1',
      'Z',
      'a b',
      'a-b/c',
      'a.b',
      'a/b',
      'a!/x',
      'a0',
    ]
    await saveAll(storage, names)
    assert.deepEqual(await namesOf(storage), inByteOrder(names))
    assert.deepEqual(await storage.listdir(), {
      directories: ['a', 'a!', 'a-b', 'dir1', 'dir2', 't', 't-'],
      files: ['Z', 'a b', 'a.b', 'a0', 'd', 't.txt', 't0', 'testFile1'],
    })
  },
  'names beyond the basic plane come in UTF-8 byte order, too': async (storage) => {
    const names = ['\uE000', '\uFF5E', '\uFFFD', '😀', '\u{10FFFF}', 'é', 'z', '中']
    await saveAll(storage, [...names, ...names.map((name) => `folder/${name}/${name}`)])
    const sorted = inByteOrder(names)
    assert.deepEqual(
      await namesOf(storage, 'folder'),
      sorted.map((name) => `folder/${name}/${name}`),
    )
    assert.deepEqual(await storage.listdir('folder'), { directories: sorted, files: [] })
    assert.deepEqual(await storage.listdir(), { directories: ['folder'], files: sorted })
  },
  'signs come in UTF-8 byte order, too': async (storage) => {
    const names = [' ', '"', '$', '%', '&', "'", '<', '>', '_', '_ ', '_ _', '__']
    for (const folder of ['', '_/']) {
      await saveAll(
        storage,
        names.map((name) => `${folder}x${name}`),
      )
      const listing = await storage.listdir(folder)
      assert.deepEqual(
        listing.files,
        names.map((name) => `x${name}`),
      )
    }
    assert.deepEqual(
      await namesOf(storage, '_'),
      names.map((name) => `_/x${name}`),
    )
  },
  'each folder stands once, with files of similar names around it': async (storage) => {
    await saveAll(storage, [
      'mydb/wb/000/a',
      'mydb/wb/000/b',
      'mydb/wb/001/a',
      'mydb/wb/foo.json',
      'mydb/wbwbwb',
    ])
    assert.deepEqual(await storage.listdir('mydb/wb'), { directories: ['000', '001'], files: ['foo.json'] })
    assert.deepEqual(await storage.listdir('mydb'), { directories: ['wb'], files: ['wbwbwb'] })
    assert.deepEqual(await storage.listdir(), { directories: ['mydb'], files: [] })
  },
  'each file comes with its size, time and etag': async (storage) => {
    await storage.save('a.txt', 'content')
    await storage.save('empty.txt', '')
    const files = await collect(storage.list())
    assert.deepEqual(
      files.map((file) => file.size),
      [7, 0],
    )
    for (const file of files) {
      const info = await storage.stat(file.name)
      assert.deepEqual([file.name, file.size, file.etag], [info.name, info.size, info.etag])
      assert(file.lastModified instanceof Date)
      // S3 tells whole seconds in one answer and milliseconds in the other.
      assert(Math.abs(file.lastModified.getTime() - info.lastModified.getTime()) < 2000)
    }
  },
  'a folder whose last file is gone is gone': async (storage) => {
    await saveAll(storage, ['a/b/c.txt', 'a/d.txt'])
    await storage.delete('a/b/c.txt')
    assert.deepEqual(await storage.listdir('a'), { directories: [], files: ['d.txt'] })
    assert.deepEqual(await storage.listdir('a/b'), { directories: [], files: [] })
    await storage.move('a/d.txt', 'e.txt')
    assert.deepEqual(await storage.listdir(), { directories: [], files: ['e.txt'] })
  },
  'a listing may be left early and asked for again': async (storage) => {
    const names = ['a', 'b', 'c', 'd']
    await saveAll(storage, names)
    for await (const { name } of storage.list()) {
      if (name === 'b') break
    }
    assert.deepEqual(await namesOf(storage), names)
  },
  'files can be deleted while they are listed': async (storage) => {
    const names = Array.from({ length: 30 }, (_, index) => `folder${index % 3}/file-${index + 100}`)
    await saveAll(storage, names)
    const seen: string[] = []
    for await (const { name } of storage.list()) {
      seen.push(name)
      await storage.delete(name)
    }
    assert.deepEqual(seen, inByteOrder(names))
    assert.deepEqual(await namesOf(storage), [])
  },
  'more than a thousand files and folders are each listed once, in order, counted and deleted': async (
    storage,
  ) => {
    const folders = Array.from({ length: 1020 }, (_, index) => `${index}`)
    const files = [
      '1999',
      '1999#',
      '1999+',
      '2000',
      ...Array.from({ length: 16 }, (_, index) => `file-${index}`),
    ]
    const names = [...folders.map((folder) => `many/${folder}/a.png`), ...files.map((file) => `many/${file}`)]
    await saveAll(storage, [...names, 'many-more'])
    assert.deepEqual(await namesOf(storage, 'many'), inByteOrder(names))
    assert.deepEqual(await namesOf(storage), inByteOrder([...names, 'many-more']))
    assert.deepEqual(await storage.listdir('many'), {
      directories: inByteOrder(folders),
      files: inByteOrder(files),
    })
    assert.deepEqual(await storage.deletePrefix('many', { dryRun: true }), { deleted: 1040 })
    assert.deepEqual(await storage.deletePrefix('many'), { deleted: 1040 })
    assert.deepEqual(await namesOf(storage), ['many-more'])
  },
})
