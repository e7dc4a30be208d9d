import assert from 'node:assert/strict'
import { lstat, mkdir, open, readdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { FileSystemStorage } from 'stowage'

type Check = (storage: FileSystemStorage, location: string) => Promise<void>

const CHECKS: Readonly<Record<string, Check>> = {
  'a plain name is a file of this name': async (storage, location) => {
    await storage.save('docs/report (1).pdf', 'content')
    assert.deepEqual(await readdir(join(location, 'docs')), ['report (1).pdf'])
    assert.equal(storage.path('docs/report (1).pdf'), join(location, 'docs', 'report (1).pdf'))
  },
  'a name that Windows refuses is a file all the same': async (storage, location) => {
    const names = ['PROGRA~1', 'a:b', 'aux', 'con.txt', 'etc.', 'highest\u{10ffff}', 'space ', 'what?']
    for (const name of names) assert.equal(await storage.save(name, name), name)
    const files = (await readdir(location)).filter((name) => name !== '.stowage')
    assert.equal(files.length, names.length)
    assert(files.every((file) => !/[<>:"|?*~]|[. ]$|^(?:aux|con)/.test(file)))
    assert.deepEqual((await storage.listdir()).files, names)
    assert.equal((await lstat(storage.path('a:b'))).size, 3)
  },
  'a short name is not the way to a file of another name': async (storage) => {
    await storage.save('a file with a long name.text', 'content')
    for (const name of ['STOWAG~1/swept', 'AFILEW~1.TEX', '.STOWA~1/swept']) {
      assert.equal(await storage.exists(name), false)
      assert.equal(await storage.save(name, 'own'), name)
    }
  },
  'a file that another program has put there keeps its name': async (storage, location) => {
    for (const name of ['plain.txt', 'private\uf061.txt', 'quote\uf07f.txt', 'full width？.txt']) {
      await mkdir(location, { recursive: true })
      await writeFile(join(location, name), name)
      assert.equal(await (await storage.open(name)).text(), name)
      assert.deepEqual((await storage.listdir()).files, [name])
      await storage.delete(name)
    }
  },
  'names that differ only in case are one file': async (storage) => {
    await storage.save('A.txt', 'upper')
    assert.equal(await storage.exists('a.txt'), true)
    await assert.rejects(storage.save('a.txt', 'lower', { ifExists: 'error' }), { code: 'AlreadyExists' })
    const other = await storage.save('a.txt', 'lower')
    assert.match(other, /^a_\w{7}\.txt$/)
    assert.deepEqual((await storage.listdir()).files, ['A.txt', other])
  },
  'a file that is read can be deleted, replaced and moved': async (storage) => {
    for (const change of [
      () => storage.delete('a.txt'),
      () => storage.save('a.txt', 'new', { ifExists: 'overwrite' }),
      () => storage.move('a.txt', 'b.txt'),
      () => storage.deletePrefix('folder'),
    ]) {
      await storage.save('a.txt', 'old', { ifExists: 'overwrite' })
      await storage.save('folder/a.txt', 'old', { ifExists: 'overwrite' })
      const files = [await storage.open('a.txt'), await storage.open('folder/a.txt')]
      await change()
      for (const file of files) assert.equal(await file.text(), 'old')
    }
    assert.equal(await storage.exists('a.txt'), true)
    assert.equal(await storage.exists('folder/a.txt'), false)
  },
  'a file that is deleted while it is read can be saved again at once': async (storage) => {
    await storage.save('folder/a.txt', 'old')
    const file = await storage.open('folder/a.txt')
    await storage.delete('folder/a.txt')
    assert.deepEqual(await storage.listdir(), { directories: [], files: [] })
    assert.equal(await storage.save('folder/a.txt', 'new'), 'folder/a.txt')
    assert.equal(await file.text(), 'old')
  },
  'a read-only mode does not make files that cannot be changed': async (_, location) => {
    const storage = new FileSystemStorage({ location, fileMode: 0o400 })
    await storage.save('a.txt', 'old')
    await storage.save('a.txt', 'new', { ifExists: 'overwrite' })
    const handle = await open(storage.path('a.txt'), 'r+')
    await handle.close()
    await storage.delete('a.txt')
  },
  'a path of more than 260 characters works, below folders with odd names, too': async (
    storage,
    location,
  ) => {
    const name = `${'long folder/'.repeat(40)}what?/a.txt`
    await storage.save(name, 'content', { metadata: { a: 'b' } })
    assert.equal((await storage.stat(name)).metadata.a, 'b')
    assert(storage.path(name).length > 500)
    assert.deepEqual(await storage.deletePrefix('long folder'), { deleted: 1 })
    assert.deepEqual(await readdir(location), ['.stowage'])
    assert.equal(dirname(storage.path('a')), location)
  },
  'one of the folders of a name is a file': async (storage) => {
    await storage.save('a', 'content')
    await assert.rejects(storage.save('a/b', 'content'), { code: 'AlreadyExists' })
    await assert.rejects(storage.open('a/b'), { code: 'NotFound' })
  },
}

/** What the conformance cases do not show, since it is Windows' own. */
export const windowsCases = Object.entries(CHECKS).map(([title, check]) => ({
  name: `windows: ${title}`,
  run: async (location: () => string) => {
    const folder = location()
    await check(new FileSystemStorage({ location: folder }), folder)
  },
}))
