import assert from 'node:assert/strict'
import { mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import {
  FileSystemStorage,
  MemoryStorage,
  prefixed,
  readOnly,
  readThrough,
  type StorageDriver,
  sweep,
} from 'stowage'
import { describe, it } from 'vitest'
import { plainAttributes } from '../../src/testing/local-r2/object-store.js'
import { filesIn, newFolder } from '../integration/child/folders.js'
import { setUpR2 } from '../integration/r2-setup.js'
import { altered } from '../unit/altered.js'

/** The driver of somebody else, which has no such method. */
const WITHOUT: Partial<StorageDriver> = Object.create(null, { sweep: { value: undefined } })
const NOW = { olderThan: 0 }
/** Seconds that no `Date` can go back. */
const FOR_EVER = { olderThan: Number.MAX_SAFE_INTEGER }

async function write(folder: string, path: string): Promise<void> {
  await mkdir(dirname(join(folder, path)), { recursive: true })
  await writeFile(join(folder, path), 'left')
}

describe('sweep on disk', () => {
  async function used() {
    const location = await newFolder()
    const storage = new FileSystemStorage({ location, fsync: false })
    for (const name of ['a/kept.txt', 'a/gone.txt', 'b/gone.txt']) {
      await storage.save(name, 'x', { metadata: { by: 'me' } })
    }
    await rm(storage.path('a/gone.txt'))
    await rm(storage.path('b/gone.txt'))
    await write(location, '.stowage/tmp/left')
    await write(location, 'a/.stowage/left')
    await write(location, 'b/c/.stowage/left')
    return { location, storage }
  }
  const leftIn = async (location: string) =>
    (await filesIn(location)).filter((path) => path.endsWith('left')).sort()
  const sidecarsIn = async (location: string) =>
    (await filesIn(location)).filter((path) => path.startsWith('.stowage/meta/')).length / 2

  it('removes temporary files, also those in mounts, and the sidecars of missing files', async () => {
    const { location, storage } = await used()
    assert.deepEqual([await sidecarsIn(location), (await leftIn(location)).length], [3, 3])
    assert.deepEqual(await sweep(storage, { olderThan: 3600 }), { removed: 0 })
    assert.deepEqual([await sidecarsIn(location), (await leftIn(location)).length], [3, 3])
    await new Promise((resolve) => setTimeout(resolve, 20))
    assert.deepEqual(await sweep(storage, NOW), { removed: 5 })
    assert.deepEqual([await sidecarsIn(location), await leftIn(location)], [1, []])
    assert.deepEqual((await storage.stat('a/kept.txt')).metadata, { by: 'me' })
    assert.deepEqual(await sweep(storage, NOW), { removed: 0 })
  })

  it('removes only what is below a prefix', async () => {
    const { location, storage } = await used()
    await new Promise((resolve) => setTimeout(resolve, 20))
    assert.deepEqual(await sweep(prefixed(storage, 'b'), NOW), { removed: 2 })
    assert.deepEqual(await leftIn(location), ['.stowage/tmp/left', 'a/.stowage/left'])
    assert.equal(await sidecarsIn(location), 2)
    assert.deepEqual(await sweep(prefixed(storage, 'none'), NOW), { removed: 0 })
  })

  it('does not follow links', async () => {
    const { location, storage } = await used()
    const outside = await newFolder()
    await write(outside, '.stowage/left')
    await symlink(outside, join(location, 'link'))
    await sweep(storage, NOW)
    assert.deepEqual(await leftIn(outside), ['.stowage/left'])
  })

  it('leaves everything alone that is younger than any date can be', async () => {
    const { location, storage } = await used()
    await writeFile(storage.path('a/kept.txt'), 'replaced by another program')
    assert.deepEqual(await sweep(storage, FOR_EVER), { removed: 0 })
    assert.deepEqual([await sidecarsIn(location), (await leftIn(location)).length], [3, 3])
  })

  it('finds nothing where nothing was ever stored', async () => {
    const location = join(await newFolder(), 'none')
    assert.deepEqual(await sweep(new FileSystemStorage({ location }), NOW), { removed: 0 })
    assert.deepEqual(await filesIn(location), [])
  })
})

describe.each([true, false])('sweep on R2 (fastPath %s)', (fastPath) => {
  const r2 = setUpR2(fastPath)

  /** What crashes leave, and what looks like it, in two folders. All of it is `hours` old. */
  function leave(hours: number): void {
    const bucket = r2.server.bucket()
    const then = Date.now() - hours * 3_600_000
    const held = { metadata: { 'stowage-claim': '1' } }
    for (const folder of ['a/', 'b/']) {
      for (const object of [
        bucket.plant(`${folder}.stowage/probe-1.pdf`, 'probe'),
        bucket.plant(`${folder}held`, '', held),
        bucket.plant(`${folder}held by this version`, 'x'.repeat(36), held),
        bucket.plant(`${folder}.stowage/uploads/given-up`, 'x', {}),
        bucket.plant(`${folder}not held any more`, 'x', held),
        bucket.plant(`${folder}empty`),
        bucket.plant(`${folder}probe-1`, 'probe'),
      ]) {
        bucket.put({ ...object, lastModifiedMs: then })
      }
      bucket.open(`${folder}large`, plainAttributes, then)
    }
  }
  const kept = (folder: string) => [`${folder}/empty`, `${folder}/not held any more`, `${folder}/probe-1`]

  it('removes probes, placeholders and open uploads', async () => {
    leave(170)
    assert.deepEqual(await sweep(r2.storage()), { removed: 10 })
    assert.deepEqual(r2.server.bucket().keys(), [...kept('a'), ...kept('b')])
    assert.equal(r2.server.openUploads, 0)
    assert.deepEqual(await sweep(r2.storage()), { removed: 0 })
  })

  it('leaves alone what is younger', async () => {
    leave(167)
    assert.deepEqual(await sweep(r2.storage()), { removed: 0 })
    assert.deepEqual(await sweep(r2.storage(), { olderThan: 168 * 3600 }), { removed: 0 })
    assert.deepEqual(await sweep(r2.storage(), FOR_EVER), { removed: 0 })
    assert.deepEqual(await r2.storage().abortStaleUploads(FOR_EVER), { aborted: 0 })
    assert.equal(r2.server.openUploads, 2)
    assert.deepEqual(await sweep(r2.storage(), { olderThan: 166 * 3600 }), { removed: 10 })
  })

  it.each([
    ['the prefix of the storage', () => r2.storage({ prefix: 'a' })],
    ['prefixed()', () => prefixed(r2.storage(), 'a')],
  ])('stays below %s', async (_, make) => {
    leave(170)
    const before = r2.server.bucket().keys()
    assert.deepEqual(await sweep(make()), { removed: 5 })
    const after = r2.server.bucket().keys()
    assert.deepEqual(after, [...kept('a'), ...before.filter((key) => key.startsWith('b/'))])
    assert.equal(r2.server.openUploads, 1)
  })
})

describe('sweep', () => {
  it('has nothing to do in memory', async () => {
    assert.deepEqual(await sweep(new MemoryStorage(), NOW), { removed: 0 })
  })

  it('is refused by a storage for reading, and by one that cannot', async () => {
    const denied = { code: 'PermissionDenied', operation: 'sweep' }
    await assert.rejects(sweep(readOnly(new MemoryStorage()), NOW), denied)
    const without = altered(new MemoryStorage(), () => WITHOUT)
    for (const storage of [without, prefixed(without, 'a'), readThrough(without, new MemoryStorage())]) {
      await assert.rejects(sweep(storage, NOW), { code: 'Unsupported', operation: 'sweep' })
    }
  })

  it('sweeps the storage that a readThrough writes to', async () => {
    const swept: string[] = []
    const told = (name: string) =>
      altered(new MemoryStorage(), () => ({
        sweep: async (folder: string) => {
          swept.push(`${name}:${folder}`)
          return 3
        },
      }))
    const storage = prefixed(readThrough(told('new'), told('old')), 'a/b')
    assert.deepEqual(await sweep(storage), { removed: 3 })
    assert.deepEqual(swept, ['new:a/b'])
  })

  it.each([{ olderThan: -1 }, { olderThan: 0.5 }, { older: 1 }])('refuses %j', async (options) => {
    const given = options as Parameters<typeof sweep>[1]
    await assert.rejects(sweep(new MemoryStorage(), given), { code: 'InvalidArgument', operation: 'sweep' })
  })
})
