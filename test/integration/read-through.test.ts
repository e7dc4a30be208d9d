import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import {
  driverOf,
  type Entry,
  FileSystemStorage,
  isStorageError,
  MemoryStorage,
  migrate,
  Problem,
  R2Storage,
  readThrough,
  type Storage,
} from 'stowage'
import { describe, it } from 'vitest'
import { altered } from '../unit/altered.js'
import { startChild } from './child/child.js'
import { newFolder } from './child/folders.js'
import { movedContent, movedName } from './child/move.js'
import { startServer } from './child/server.js'

const DESCRIBED = { contentType: 'text/x-note', cacheControl: 'no-store', metadata: { by: 'Zoë' } }

async function filled(...names: string[]): Promise<MemoryStorage> {
  const storage = new MemoryStorage()
  for (const name of names) await storage.save(name, name)
  return storage
}

async function namesIn(storage: Storage, prefix?: string): Promise<string[]> {
  const names: string[] = []
  for await (const { name } of storage.list(prefix)) names.push(name)
  return names
}

const text = async (storage: Storage, name: string) => (await storage.open(name)).text()

/** Deletes nothing, and says why. */
const undeletable = (storage: Storage) =>
  altered(storage, () => ({
    remove: async (names) =>
      names.map((name) => ({ name, error: new Problem('PermissionDenied', 'deleting is not allowed') })),
  }))

describe('readThrough', () => {
  it('reads what only the older storage has, and prefers the newer', async () => {
    const [newer, older] = [await filled('both', 'newer'), new MemoryStorage()]
    await older.save('both', 'the older version')
    await older.save('older', 'older', DESCRIBED)
    const storage = readThrough(newer, older)
    assert.deepEqual(await Promise.all(['both', 'newer', 'older'].map((name) => text(storage, name))), [
      'both',
      'newer',
      'older',
    ])
    const { size, contentType, metadata } = await storage.stat('older')
    assert.deepEqual([size, contentType, { ...metadata }], [5, 'text/x-note', { by: 'Zoë' }])
    assert.deepEqual([await storage.exists('older'), await storage.exists('none')], [true, false])
    await assert.rejects(storage.open('none'), { code: 'NotFound', file: 'none', storage: String(storage) })
  })

  it('finds a file that is copied over and removed between two looks', async () => {
    const [newer, older] = [new MemoryStorage(), await filled('a')]
    const moveNow = async () => {
      if (!(await older.exists('a'))) return
      await newer.save('a', 'a')
      await older.delete('a')
    }
    for (const look of ['open', 'stat', 'exists'] as const) {
      await newer.delete('a')
      await older.save('a', 'a', { ifExists: 'overwrite' })
      const moving = altered(older, (inner) => ({
        read: (request) => moveNow().then(() => inner.read(request)),
        head: (...given) => moveNow().then(() => inner.head(...given)),
      }))
      assert.ok(await readThrough(newer, moving)[look]('a'), look)
    }
  })

  it('lists a file that is copied over and removed while the listing is read', async () => {
    const names = Array.from({ length: 3000 }, (_, index) => `f${String(index).padStart(4, '0')}`)
    const [newer, older] = [new MemoryStorage(), await filled(...names)]
    // Small batches of the older storage, and all files of the newer one in one batch: the harshest mix.
    const inBatches = altered(older, (inner) => ({
      async *entries(...given) {
        for await (const [entry] of inner.entries(...given)) {
          if (entry && (await older.exists(entry.name))) yield [entry]
        }
      },
    }))
    const atOnce = altered(newer, (inner) => ({
      async *entries(...given) {
        const all: Entry[] = []
        for await (const batch of inner.entries(...given)) all.push(...batch)
        if (all.length > 0) yield all
      },
    }))
    const listed: string[] = []
    for await (const { name } of readThrough(atOnce, inBatches).list()) {
      listed.push(name)
      // Somebody moves a file that is still to come.
      const ahead = names[listed.length * 2]
      if (ahead === undefined) continue
      await newer.save(ahead, ahead)
      await older.delete(ahead)
    }
    assert.deepEqual(listed, names)
  })

  it('merges two listings of 200,000 files in order and in little memory', async () => {
    const COUNT = 200_000
    const nameOf = (index: number) => `files/${String(index).padStart(7, '0')}`
    /** A listing of every `step`th name, a page at a time. */
    const listingOf = (step: number) =>
      altered(new MemoryStorage(), () => ({
        async *entries(_folder, _recursive, _signal, after = '') {
          const behind = Math.max(0, Number(after.slice('files/'.length) || -1) + 1)
          let page: Entry[] = []
          for (let index = Math.ceil(behind / step) * step; index < COUNT * step; index += step) {
            page.push({
              kind: 'file',
              name: nameOf(index),
              size: step,
              lastModified: new Date(),
              etag: '"x"',
            })
            if (page.length < 1000) continue
            yield page
            page = []
            await turn()
          }
          yield page
        },
      }))
    const storage = readThrough(listingOf(3), listingOf(2))
    const start = heapAfterCollection()
    let [count, most, last] = [0, 0, '']
    for await (const { name, size } of storage.list()) {
      const index = Number(name.slice('files/'.length))
      assert.ok(name > last && size === (index % 3 === 0 && index < COUNT * 3 ? 3 : 2), name)
      last = name
      if (++count % 20_000 === 0) most = Math.max(most, heapAfterCollection() - start)
    }
    // Multiples of 2 below 400,000, and of 3 below 600,000; those of 6 below 400,000 are in both.
    assert.equal(count, COUNT + COUNT - Math.ceil((COUNT * 2) / 6))
    assert.ok(most < 8 * 1024 * 1024, `${most} bytes`)
  })

  it('takes a name of the older storage for taken', async () => {
    const [newer, older] = [new MemoryStorage(), await filled('a.txt')]
    const storage = readThrough(newer, older)
    assert.match(await storage.save('a.txt', 'new'), /^a_\w{7}\.txt$/)
    await assert.rejects(storage.save('a.txt', 'new', { ifExists: 'error' }), { code: 'AlreadyExists' })
    await newer.save('b.txt', 'b')
    assert.match(await storage.copy('b.txt', 'a.txt'), /^a_\w{7}\.txt$/)
    await assert.rejects(storage.move('b.txt', 'a.txt', { ifExists: 'error' }), { code: 'AlreadyExists' })
    assert.deepEqual([await text(storage, 'a.txt'), await text(storage, 'b.txt')], ['a.txt', 'b'])
    await storage.save('a.txt', 'new', { ifExists: 'overwrite' })
    assert.deepEqual([await text(storage, 'a.txt'), await text(older, 'a.txt')], ['new', 'a.txt'])
  })

  it('deletes from both, and what is in neither', async () => {
    const [newer, older] = [await filled('both', 'newer'), await filled('both', 'older')]
    const storage = readThrough(newer, older)
    await storage.delete('both')
    await storage.delete('both')
    await storage.deleteMany(['newer', 'older', 'none'])
    assert.deepEqual([await namesIn(newer), await namesIn(older)], [[], []])
  })

  it('shows no older version of a file that it fails to delete', async () => {
    const [newer, older] = [await filled('a', 'b'), await filled('a')]
    for (const storage of [readThrough(newer, undeletable(older)), readThrough(undeletable(newer), older)]) {
      await assert.rejects(storage.delete('a'), { code: 'PermissionDenied', file: 'a' })
      assert.equal(await text(storage, 'a'), 'a')
    }
    const storage = readThrough(newer, undeletable(older))
    await assert.rejects(storage.deleteMany(['a', 'b']), { code: 'PartialDelete' })
    assert.equal(await text(newer, 'a'), 'a')
  })

  it('counts each name once in deletePrefix', async () => {
    const [newer, older] = [await filled('d/1', 'd/2', 'e'), await filled('d/2', 'd/3/4', 'f')]
    const storage = readThrough(newer, older)
    assert.deepEqual(await storage.deletePrefix('d', { dryRun: true }), { deleted: 3 })
    assert.deepEqual(await namesIn(storage, 'd'), ['d/1', 'd/2', 'd/3/4'])
    assert.deepEqual(await storage.deletePrefix('d'), { deleted: 3 })
    assert.deepEqual(await namesIn(storage), ['e', 'f'])
  })

  it('copies a file of the older storage with its attributes', async () => {
    const [newer, older] = [new MemoryStorage(), new MemoryStorage()]
    await older.save('a', 'content', DESCRIBED)
    await readThrough(newer, older).copy('a', 'b')
    const { contentType, cacheControl, metadata } = await newer.stat('b')
    assert.deepEqual({ contentType, cacheControl, metadata: { ...metadata } }, DESCRIBED)
    assert.deepEqual([await text(newer, 'b'), await namesIn(older)], ['content', ['a']])
  })

  it.each([
    ['only the older storage has', [], ['a']],
    ['only the newer storage has', ['a'], []],
    ['both have', ['a'], ['a']],
  ])('moves a file that %s', async (_, inNewer, inOlder) => {
    const [newer, older] = [await filled(...inNewer), await filled(...inOlder)]
    const storage = readThrough(newer, older)
    assert.equal(await storage.move('a', 'b'), 'b')
    assert.deepEqual(await namesIn(storage), ['b'])
    assert.equal(await text(newer, 'b'), 'a')
  })

  it.each([
    ['only the older storage has', [], ['a']],
    ['both have', ['a'], ['a']],
  ])('loses nothing when it moves a file that %s and the delete fails', async (_, inNewer, inOlder) => {
    const [newer, older] = [await filled(...inNewer), await filled(...inOlder)]
    const storage = readThrough(newer, undeletable(older))
    await assert.rejects(storage.move('a', 'b'), { code: 'PermissionDenied', operation: 'move', file: 'a' })
    assert.equal(await text(storage, 'a'), 'a')
  })

  it('loses nothing when the target of a move is taken', async () => {
    for (const [inNewer, inOlder] of [
      [['a', 'b'], ['a']],
      [['b'], ['a']],
      [['a'], ['a', 'b']],
    ] as const) {
      const storage = readThrough(await filled(...inNewer), await filled(...inOlder))
      await assert.rejects(storage.move('a', 'b', { ifExists: 'error' }), { code: 'AlreadyExists' })
      assert.deepEqual([await text(storage, 'a'), await text(storage, 'b')], ['a', 'b'])
    }
  })

  it('names the cause where the older storage fails', async () => {
    const location = join(await newFolder(), 'file')
    await writeFile(location, 'not a folder')
    const broken = altered(new FileSystemStorage({ location }), () => ({
      read: async () => {
        throw Object.assign(new Error('disk'), { code: 'EIO' })
      },
      has: async () => {
        throw Object.assign(new Error('disk'), { code: 'EACCES' })
      },
    }))
    const storage = readThrough(new MemoryStorage(), broken)
    for (const [work, code] of [
      [storage.open('a'), 'Unknown'],
      [storage.copy('a', 'b'), 'Unknown'],
      [storage.exists('a'), 'PermissionDenied'],
      [storage.save('a', 'a'), 'PermissionDenied'],
    ] as const) {
      await assert.rejects(work, (error) => {
        assert.ok(isStorageError(error))
        assert.deepEqual([error.code, error.file, error.storage], [code, 'a', String(storage)])
        return true
      })
    }
  })

  it('survives an abort before the first byte of a file of the older storage is copied', async () => {
    const location = await newFolder()
    const older = new FileSystemStorage({ location })
    await older.save('a', 'content')
    const controller = new AbortController()
    const newer = altered(new MemoryStorage(), (inner) => ({
      stage: (request) => {
        controller.abort()
        return inner.stage(request)
      },
    }))
    const moving = readThrough(newer, older).move('a', 'b', { signal: controller.signal })
    await assert.rejects(moving, { code: 'Aborted' })
    await turn() // An error event that nobody listens to would end the process now.
    assert.equal(await readFile(join(location, 'a'), 'utf8'), 'content')
  })

  it('is readable at every moment of a move, in 8 processes, some of which delete what was moved', async () => {
    const count = 60
    const location = await newFolder()
    const until = join(await newFolder(), 'moved')
    await using server = await startServer({})
    const r2 = { ...server.keys, bucket: 'test-bucket' }
    const older = new FileSystemStorage({ location, fsync: false })
    for (let index = 0; index < count; index++) await older.save(movedName(index), movedContent(index))
    const processes = Array.from({ length: 8 }, (_, index) => ({
      location,
      r2,
      count,
      deletes: index % 2 === 0,
      until,
    }))
    const children = await Promise.all(processes.map((process) => startChild('readWhileMoved', process)))
    for (const child of children) child.go()
    const target = new R2Storage(r2)
    // Slow enough for every file to be read many times before, while and after it is moved.
    const delayed = altered(older, (inner) => ({
      read: async (request) => {
        await new Promise((resolve) => setTimeout(resolve, 60))
        return inner.read(request)
      },
    }))
    const { copied, failed } = await migrate(delayed, target, { concurrency: 2 })
    await writeFile(until, '')
    const results = await Promise.all(children.map(({ result }) => result))
    assert.deepEqual(
      results.flatMap(({ failures }) => failures),
      [],
    )
    assert.deepEqual([copied, failed], [count, []])
    for (const { reads } of results) assert.ok(reads > 20, `${reads} reads`)
    assert.equal((await namesIn(target)).length, count)
    assert.ok((await namesIn(older)).length < count, 'the operators deleted something')
  })
})

function heapAfterCollection(): number {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
  return process.memoryUsage().heapUsed
}

it('the driver of a wrapper can be wrapped again', async () => {
  const storage = readThrough(readThrough(await filled('a'), await filled('b')), await filled('c'))
  assert.deepEqual(await namesIn(storage), ['a', 'b', 'c'])
  assert.equal(driverOf(storage).label, String(storage))
})
