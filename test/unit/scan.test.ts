/** Reading a file for a hash: what a driver's `scan` promises, and what the transfers make of it. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { truncateSync } from 'node:fs'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  compare,
  defaultStorage,
  driverOf,
  FileSystemStorage,
  MemoryStorage,
  migrate,
  prefixed,
  readThrough,
  setDefaultStorage,
} from 'stowage'
import { afterAll, describe, it, vi } from 'vitest'
import { Pace } from '../../src/drivers/filesystem/pace.js'
import { ContentHash } from '../../src/transfer/etag-hash.js'
import { scan } from '../../src/transfer/scan.js'
import { altered } from './altered.js'

const KIB = 1024
const folders: string[] = []

afterAll(async () => {
  for (const path of folders) await rm(path, { recursive: true, force: true })
})

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'stowage-scan-'))
  folders.push(path)
  return path
}

const md5 = (bytes: Buffer) => createHash('md5').update(bytes).digest('hex')

async function scanned(storage: FileSystemStorage | MemoryStorage, name: string): Promise<Buffer> {
  const pieces: Buffer[] = []
  await scan(storage, name, (piece) => pieces.push(Buffer.from(piece)), new AbortController().signal)
  return Buffer.concat(pieces)
}

describe('a scan of a file on disk', () => {
  it('delivers the bytes of the file, of every size', async () => {
    const storage = new FileSystemStorage({ location: await folder(), fsync: false })
    for (const size of [0, 1, 16 * KIB, 256 * KIB - 1, 256 * KIB, 256 * KIB + 1, 3000 * KIB]) {
      const bytes = randomBytes(size)
      for (const name of [`${size}`, `d/e/${size}`]) {
        await storage.save(name, bytes)
        assert.ok((await scanned(storage, name)).equals(bytes), name)
      }
    }
  })

  it('keeps many files apart that are read at a time', async () => {
    const storage = new FileSystemStorage({ location: await folder(), fsync: false })
    const files = Array.from({ length: 40 }, (_, index) => randomBytes(700 * KIB + index))
    for (const [index, bytes] of files.entries()) await storage.save(`d/${index}`, bytes)
    const all = await Promise.all(files.map((_, index) => scanned(storage, `d/${index}`)))
    for (const [index, bytes] of files.entries()) assert.ok(all[index]?.equals(bytes))
  })

  it('finds nothing outside of the root, and no folder or pipe', async () => {
    const [location, outside] = [await folder(), await folder()]
    const storage = new FileSystemStorage({ location, fsync: false })
    await storage.save('d/inside', 'inside')
    await scanned(storage, 'd/inside') // From now on the quick way is open.
    await writeFile(join(outside, 'secret'), 'secret')
    await symlink(join(outside, 'secret'), join(location, 'd/file-out'))
    await symlink(outside, join(location, 'folder-out'))
    await symlink(join(location, 'd/inside'), join(location, 'link-in'))
    execFileSync('mkfifo', [join(location, 'd/pipe')])
    await mkdir(join(location, '.stowage/tmp'), { recursive: true })
    await symlink(join(location, '.stowage'), join(location, 'own'))
    await writeFile(join(location, '.stowage/tmp/draft'), 'draft')
    for (const name of [
      'd/file-out',
      'folder-out/secret',
      'own/tmp/draft',
      'd',
      'd/pipe',
      'none',
      'd/none',
    ]) {
      let pieces = 0
      const scanning = scan(storage, name, () => pieces++, new AbortController().signal)
      await assert.rejects(scanning, { code: 'NotFound', operation: 'open', file: name }, name)
      assert.equal(pieces, 0, name)
    }
    assert.equal(String(await scanned(storage, 'link-in')), 'inside')
  })

  it('ends by an abort, and by an error of the consumer', async () => {
    const storage = new FileSystemStorage({ location: await folder(), fsync: false })
    await storage.save('d/a', randomBytes(2000 * KIB))
    const controller = new AbortController()
    let pieces = 0
    const aborted = scan(storage, 'd/a', () => ++pieces && controller.abort(), controller.signal)
    await assert.rejects(aborted, { code: 'Aborted' })
    assert.equal(pieces, 1)
    const broken = () => {
      throw new Error('mine')
    }
    const signal = new AbortController().signal
    await assert.rejects(
      scan(storage, 'd/a', broken, signal),
      ({ cause }: Error) => cause instanceof Error && cause.message === 'mine',
    )
  })

  it('fails where another program cuts the file meanwhile', async () => {
    const location = await folder()
    const storage = new FileSystemStorage({ location, fsync: false })
    await storage.save('d/a', randomBytes(600 * KIB))
    const cut = () => truncateSync(join(location, 'd/a'), 1)
    const scanning = scan(storage, 'd/a', cut, new AbortController().signal)
    await assert.rejects(scanning, { code: 'Corrupt', operation: 'open', file: 'd/a' })
  })

  it('lets the event loop work', async () => {
    const storage = new FileSystemStorage({ location: await folder(), fsync: false })
    await storage.save('d/a', Buffer.alloc(30_000 * KIB))
    let turns = 0
    const timer = setInterval(() => turns++, 1)
    await scanned(storage, 'd/a')
    clearInterval(timer)
    assert.ok(turns > 0)
  })

  it('is the operation open for subscribers', async () => {
    const storage = new FileSystemStorage({ location: await folder(), fsync: false })
    await storage.save('d/a', 'text')
    const events: object[] = []
    const listen = (event: unknown) => events.push({ ...Object(event) })
    subscribe('tracing:stowage:operation:asyncEnd', listen)
    try {
      await scanned(storage, 'd/a')
      await scanned(storage, 'd/b').catch(() => {})
    } finally {
      unsubscribe('tracing:stowage:operation:asyncEnd', listen)
    }
    const common = { operation: 'open', storage: String(storage) }
    assert.deepEqual(events, [
      { ...common, file: 'd/a', bytes: 4, outcome: 'ok' },
      { ...common, file: 'd/b', outcome: 'NotFound' },
    ])
  })
})

describe('a transfer', () => {
  it('compares what a subclass opens, not what its driver has', async () => {
    const options = { location: await folder(), fsync: false }
    const inner = new FileSystemStorage(options)
    await inner.save('a', 'TEXT')
    class Lower extends FileSystemStorage {
      override open(...args: Parameters<FileSystemStorage['open']>) {
        return other.open(...args)
      }
    }
    const other = new MemoryStorage()
    await other.save('a', 'text')
    const target = new MemoryStorage()
    await target.save('a', 'text')
    const { skipped, failed } = await migrate(new Lower(options), target)
    assert.deepEqual([skipped, failed], [1, []])
  })

  it('takes the short ways through the default storage, unless a test has replaced a method', async () => {
    const disk = new FileSystemStorage({ location: await folder(), fsync: false })
    await disk.save('d/a', 'text')
    const target = new MemoryStorage()
    await migrate(disk, target)
    let scans = 0
    const counting = altered(disk, (driver) => ({
      scan: async (request) => {
        scans += 1
        await driver.scan?.(request)
      },
    }))
    using _ = setDefaultStorage(counting)
    assert.equal((await migrate(defaultStorage, target)).skipped, 1)
    assert.equal(scans, 1)
    using spy = vi.spyOn(defaultStorage, 'open')
    assert.equal((await migrate(defaultStorage, target)).skipped, 1)
    assert.equal(scans, 1)
    assert.equal(spy.mock.calls.length, 1)
  })

  it('needs no scan of a driver', async () => {
    const disk = new FileSystemStorage({ location: await folder(), fsync: false })
    await disk.save('d/a', 'text')
    await disk.save('d/large', Buffer.alloc(1500 * KIB, 1))
    const plain = altered(disk, () => ({ scan: undefined }))
    assert.equal(driverOf(plain).scan, undefined)
    const target = new MemoryStorage()
    await migrate(plain, target)
    for (const source of [plain, disk]) {
      assert.deepEqual(await migrate(source, target), { copied: 0, skipped: 2, failed: [], bytes: 0 })
    }
  })

  it('finds a file of equal size with other content, behind every wrapper', async () => {
    const disk = new FileSystemStorage({ location: await folder(), fsync: false })
    for (const name of ['t/same', 't/differs']) await disk.save(name, 'abc')
    const older = new FileSystemStorage({ location: await folder(), fsync: false })
    await older.save('t/older', 'abc')
    const target = new MemoryStorage()
    for (const name of ['same', 'older']) await target.save(name, 'abc')
    await target.save('differs', 'abd')
    const found: string[] = []
    for await (const { name, status } of compare(prefixed(readThrough(disk, older), 't'), target)) {
      found.push(`${name} ${status}`)
    }
    assert.deepEqual(found, ['differs differs', 'older same', 'same same'])
  })

  it('names a file that vanished after it was listed', async () => {
    const disk = new FileSystemStorage({ location: await folder(), fsync: false })
    const target = new MemoryStorage()
    for (const name of ['d/a', 'd/b']) {
      await disk.save(name, 'abc')
      await target.save(name, 'abc')
    }
    const source = altered(disk, (inner) => ({
      async *list(...args) {
        for await (const batch of inner.list(...args)) {
          await disk.delete('d/a')
          yield batch
        }
      },
    }))
    const { skipped, failed } = await migrate(source, target)
    assert.deepEqual(
      [skipped, failed.map(({ name, error }) => [name, error.code])],
      [1, [['d/a', 'NotFound']]],
    )
  })
})

describe('the hash of a content', () => {
  it('is that of all pieces', () => {
    const bytes = randomBytes(1000)
    const cuts: [number, Buffer[]][] = [
      [1000, [bytes]],
      [1000, [bytes.subarray(0, 300), bytes.subarray(300)]],
      [-1, [bytes]],
    ]
    for (const [size, pieces] of cuts) {
      const hash = new ContentHash(size)
      for (const piece of pieces) hash.update(piece)
      assert.equal(hash.digest(), md5(bytes))
    }
    assert.equal(new ContentHash(0).digest(), md5(Buffer.alloc(0)))
  })

  it('is not that of the first piece of a file that has grown', () => {
    const hash = new ContentHash(3)
    hash.update(Buffer.from('abc'))
    hash.update(Buffer.from('d'))
    assert.equal(hash.digest(), undefined)
  })
})

describe('the pace', () => {
  const slowly = () => {
    for (const end = performance.now() + 2; performance.now() < end; );
  }

  it('takes the thread pool after a slow call, longer while calls stay slow', () => {
    const pace = new Pace()
    const detours = [1, 2, 3].map(() => {
      assert.ok(pace.isFast())
      pace.time(slowly)
      for (let count = 0; ; count++) if (pace.isFast()) return count
    })
    assert.deepEqual(detours, [4, 8, 16])
  })

  it('is tired of a long turn until the event loop had its own', async () => {
    const pace = new Pace()
    assert.ok(!pace.isTired)
    for (let count = 0; count < 4; count++) pace.time(slowly)
    assert.ok(pace.isTired)
    await pace.rest()
    assert.ok(!pace.isTired)
  })
})
