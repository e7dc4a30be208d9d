import assert from 'node:assert/strict'
import type { StorageError } from '../errors.js'
import type { Storage } from '../storage.js'
import { type ConformanceCase, cases } from './case.js'
import { assertEmpty, assertFiles, invoke, namesOf, rejects } from './expect.js'
import { saveAll } from './files.js'
import { REFUSED_NAMES } from './odd-names.js'

const filesOf = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, name]))

async function* asynchronously(names: Iterable<string>): AsyncGenerator<string> {
  yield* names
}

export const deleteCases: readonly ConformanceCase[] = cases('delete', {
  'takes one file away and leaves its siblings': async (storage) => {
    await saveAll(storage, ['a.txt', 'a.txt.bak', 'b/a.txt', 'a'])
    await storage.delete('a.txt')
    assert.equal(await storage.exists('a.txt'), false)
    await rejects('NotFound', () => storage.open('a.txt'))
    await rejects('NotFound', () => storage.stat('a.txt'))
    await assertFiles(storage, filesOf(['a', 'a.txt.bak', 'b/a.txt']))
  },
  'of a missing file is a success, also the second time': async (storage) => {
    await saveAll(storage, ['a.txt', 'b.txt'])
    for (const name of ['missing', 'no/such/folder/a.txt', 'a.txt', 'a.txt', 'b.txt/below']) {
      assert.equal(await storage.delete(name), undefined)
    }
    await assertFiles(storage, filesOf(['b.txt']))
  },
  'of a folder does nothing': async (storage) => {
    await saveAll(storage, ['folder/a.txt', 'folder/sub/b.txt'])
    await storage.delete('folder')
    await storage.delete('folder/sub')
    await storage.deleteMany(['folder', 'folder/sub'])
    await assertFiles(storage, filesOf(['folder/a.txt', 'folder/sub/b.txt']))
  },
  'takes the metadata away, too': async (storage) => {
    await storage.save('a.txt', 'first', { contentType: 'text/x-first', metadata: { version: '1' } })
    await storage.delete('a.txt')
    await storage.save('a.txt', 'second')
    const { contentType, metadata } = await storage.stat('a.txt')
    assert.deepEqual([contentType, metadata], ['text/plain', {}])
  },
  'takes any collection of names': async (storage) => {
    const collections: Record<string, (names: string[]) => Iterable<string> | AsyncIterable<string>> = {
      'an array': (names) => names,
      'a set': (names) => new Set(names),
      'an iterator': (names) => names.values(),
      'an async generator': (names) => asynchronously(names),
      duplicates: (names) => [...names, ...names],
      'names in other forms': (names) => names.map((name) => `./${name.replace('/', '//')}`),
      'missing names': (names) => ['missing', ...names, 'folder/missing', 'no/such/folder'],
    }
    for (const [label, collect] of Object.entries(collections)) {
      await saveAll(storage, ['a', "I'm a < & weird path", 'folder/😀.file', 'keep'])
      await storage.deleteMany(collect(['a', "I'm a < & weird path", 'folder/😀.file']))
      assert.deepEqual(await namesOf(storage), ['keep'], label)
      await storage.delete('keep')
    }
  },
  'takes what a listing gives': async (storage) => {
    await saveAll(storage, ['a', 'b/c', 'b/d'])
    const names = async function* () {
      for await (const { name } of storage.list('b')) yield name
    }
    await storage.deleteMany(names())
    await assertFiles(storage, filesOf(['a']))
  },
  'takes no names at all': async (storage) => {
    await saveAll(storage, ['a'])
    for (const nothing of [[], new Set<string>(), asynchronously([])]) {
      assert.equal(await storage.deleteMany(nothing), undefined)
    }
    await assertFiles(storage, filesOf(['a']))
  },
  'takes 2,500 names': async (storage) => {
    const names = Array.from({ length: 2500 }, (_, index) => `files/${index}`)
    const present = names.filter((_, index) => index % 50 === 0 || index === 999 || index === 2499)
    await saveAll(storage, [...present, 'files/2500'])
    await storage.deleteMany(names)
    assert.deepEqual(await namesOf(storage), ['files/2500'])
    await saveAll(storage, present)
    await storage.deleteMany(asynchronously(names))
    assert.deepEqual(await namesOf(storage), ['files/2500'])
  },
  'refuses a collection with a bad name in it before it deletes anything': async (storage) => {
    await saveAll(storage, ['a', 'b'])
    await rejects('InvalidName', () => storage.deleteMany(['a', '../b', 'b']))
    await rejects('InvalidName', () => storage.deleteMany(new Set(['a', 'b', '/b'])))
    await rejects('InvalidName', () => storage.deleteMany(['a', 'b', ''].values()))
    await rejects('InvalidName', () => storage.deleteMany([...Array.from({ length: 2000 }, () => 'a'), '..']))
    await assertFiles(storage, filesOf(['a', 'b']))
  },
  'of names that come one by one deletes the good ones and tells which were bad': async (storage) => {
    await saveAll(storage, ['a', 'b', 'c'])
    const error = await rejects('PartialDelete', () =>
      storage.deleteMany(asynchronously(['a', '../x', 'missing', 'b'])),
    )
    assert.deepEqual([error.name, error.status, error.operation], ['DeleteManyError', 500, 'deleteMany'])
    assert.deepEqual(Reflect.get(error, 'deleted'), ['a', 'missing', 'b'])
    const failures: { name: string; error: StorageError }[] = Reflect.get(error, 'failures')
    assert.deepEqual(
      failures.map(({ name, error: { code } }) => [name, code]),
      [['../x', 'InvalidName']],
    )
    await assertFiles(storage, filesOf(['c']))
  },
  'passes on the very error of the collection': async (storage) => {
    await saveAll(storage, ['a', 'b'])
    const broken = new Error('the database is gone')
    const names = function* () {
      yield 'a'
      throw broken
    }
    const deleting = [() => storage.deleteMany(names()), () => storage.deleteMany(asynchronously(names()))]
    for (const run of deleting) await assert.rejects(run, (error) => error === broken)
    await assertFiles(storage, filesOf(['a', 'b']))
  },
  'refuses what is no collection of names': async (storage) => {
    await saveAll(storage, ['a', 'b'])
    for (const names of ['ab', undefined, null, 42, {}]) {
      await rejects('InvalidArgument', () => invoke(storage, 'deleteMany', names), String(names))
    }
    await assertFiles(storage, filesOf(['a', 'b']))
  },
  'of a folder takes everything below it and no sibling': async (storage) => {
    const siblings = ['users/10/a', 'users/1.txt', 'users/1-old/a', 'users2/1/a', 'other/users/1/a']
    for (const prefix of ['users/1', 'users/1/', './users//1', 'users\\1']) {
      const below = ['users/1/a', 'users/1/b/c', 'users/1/b/d/e']
      await saveAll(storage, [...below, ...siblings])
      assert.deepEqual(await storage.deletePrefix(prefix, { dryRun: true }), { deleted: 3 })
      assert.equal((await namesOf(storage)).length, 8)
      assert.deepEqual(await storage.deletePrefix(prefix), { deleted: 3 })
      assert.deepEqual(await storage.deletePrefix(prefix), { deleted: 0 })
      assert.deepEqual((await storage.listdir('users')).directories, ['1-old', '10'])
      await assertFiles(storage, filesOf(siblings))
      await storage.deleteMany(siblings)
    }
  },
  'of a folder never takes the file of that name': async (storage) => {
    await saveAll(storage, ['a', 'b/c'])
    for (const prefix of ['a', 'a/', 'b/c', 'missing', 'a/b']) {
      assert.deepEqual(await storage.deletePrefix(prefix), { deleted: 0 })
    }
    await assertFiles(storage, filesOf(['a', 'b/c']))
  },
  'of a folder takes signs as they are': async (storage) => {
    const folders = [
      '*',
      '?',
      '[ab]',
      '{a,b}',
      '**',
      '.*',
      '%',
      '_',
      'a%2Fb',
      '$',
      '^',
      '(a|b)',
      '!a',
      '~',
      ' ',
    ]
    const others = ['a/x', 'b/x', 'ab/x', 'a,b/x', 'keep']
    await saveAll(storage, [...folders.map((folder) => `${folder}/x`), ...others])
    let left = folders.length + others.length
    for (const folder of folders) {
      assert.deepEqual(await storage.deletePrefix(folder), { deleted: 1 }, folder)
      left -= 1
      assert.equal((await namesOf(storage)).length, left, folder)
    }
    await assertFiles(storage, filesOf(others))
  },
  'of a folder refuses the root and everything outside': async (storage) => {
    await saveAll(storage, ['a', 'b/c'])
    for (const { name, label, asFolder } of Object.values(REFUSED_NAMES).flat()) {
      if (asFolder !== 'folder') await rejects('InvalidName', () => storage.deletePrefix(name), label)
    }
    await assertFiles(storage, filesOf(['a', 'b/c']))
  },
  'of all of its files leaves an empty storage': async (storage) => {
    await saveAll(storage, ['a/b/c', 'a/b/d', 'e/f', 'g'])
    await storage.deleteMany(['a/b/c', 'a/b/d', 'g'])
    await storage.deletePrefix('e')
    await assertEmpty(storage)
    await assertReusable(storage)
  },
})

/** The names of files and of folders that are gone are free for one another. */
async function assertReusable(storage: Storage): Promise<void> {
  assert.equal(await storage.save('a', 'now a file'), 'a')
  assert.equal(await storage.save('g/h', 'now in a folder'), 'g/h')
  await assertFiles(storage, { a: 'now a file', 'g/h': 'now in a folder' })
}
