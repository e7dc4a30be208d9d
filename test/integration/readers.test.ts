/** Readers that go away, or come back later. The large form is in test/chaos/readers.test.ts. */
import { readdir, readlink, rename, rm, utimes, writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { FileSystemStorage, MemoryStorage, R2Storage, type Storage, type StoredFile } from 'stowage'
import { describe, expect, it } from 'vitest'
import { inChild, startChild } from './child/child.js'
import { newFolder } from './child/folders.js'
import { startServer } from './child/server.js'
import { CONTENT, leaveEarly, WAYS } from './downloads.js'
import { MIB, setUpR2 } from './r2-setup.js'

async function descriptorsIn(folder: string): Promise<number> {
  const descriptors = await readdir('/proc/self/fd')
  const paths = await Promise.all(descriptors.map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')))
  return paths.filter((path) => path.startsWith(folder)).length
}

const linux = it.skipIf(process.platform !== 'linux')
/** As many readers may rest with a descriptor each. */
const MOST = 128
const text = (file: StoredFile) => file.text()
const streamed = async (file: StoredFile) => Buffer.concat(await file.stream().toArray()).toString()

/** Opens so many others that the first handles give up what they hold. */
async function crowd(storage: Storage, name: string, holds: () => Promise<number>): Promise<void> {
  await Promise.all(Array.from({ length: 2 * MOST }, () => storage.open(name)))
  await expect.poll(holds, { timeout: 20_000 }).toBeLessThanOrEqual(MOST)
}

describe('on the disk', () => {
  const setUp = async () => {
    const location = await newFolder()
    const storage = new FileSystemStorage({ location, fsync: false })
    await storage.save('a/x.txt', 'first')
    await storage.save('other.txt', 'other')
    return { location, storage, crowded: () => crowd(storage, 'other.txt', () => descriptorsIn(location)) }
  }

  linux(
    'files that are opened and not read hold few descriptors, and are read later all the same',
    async () => {
      const { location, storage } = await setUp()
      const files = await Promise.all(Array.from({ length: 300 }, () => storage.open('a/x.txt')))
      await expect.poll(() => descriptorsIn(location), { timeout: 20_000 }).toBeLessThanOrEqual(MOST)
      for (const file of files) expect(await file.text()).toBe('first')
      await expect.poll(() => descriptorsIn(location)).toBe(0)
    },
  )

  linux.each([
    ['replaced', (storage: FileSystemStorage) => storage.save('a/x.txt', 'other', { ifExists: 'overwrite' })],
    [
      'replaced by the same content',
      (storage: FileSystemStorage) => storage.save('a/x.txt', 'first', { ifExists: 'overwrite' }),
    ],
    ['deleted', (storage: FileSystemStorage) => storage.delete('a/x.txt')],
    ['moved away', (storage: FileSystemStorage) => storage.move('a/x.txt', 'b.txt')],
    [
      'made a folder',
      async (storage: FileSystemStorage) => {
        await storage.delete('a/x.txt')
        await storage.save('a/x.txt/y.txt', 'y')
      },
    ],
    [
      'replaced by hand, with the old time',
      async (storage: FileSystemStorage) => {
        const path = storage.path('a/x.txt')
        const { lastModified } = await storage.stat('a/x.txt')
        await writeFile(`${path}.new`, 'other')
        await rename(`${path}.new`, path)
        await utimes(path, lastModified, lastModified)
      },
    ],
  ])('a reader that rested says that its file was %s', async (_, change) => {
    const { storage, crowded } = await setUp()
    const files = [await storage.open('a/x.txt'), await storage.open('a/x.txt')]
    await sleep(5)
    await crowded()
    await change(storage)
    for (const [index, read] of [text, streamed].entries()) {
      const file = files[index]
      await expect(file && read(file)).rejects.toMatchObject({
        code: 'Unavailable',
        message: expect.stringContaining('replaced or deleted'),
      })
    }
  })

  linux(
    'a reader that rested goes on where a link leads, and after changes that leave the content',
    async () => {
      const { location, storage, crowded } = await setUp()
      const { link, symlink, chmod } = await import('node:fs/promises')
      await symlink('a/x.txt', `${location}/link.txt`)
      const files = [await storage.open('link.txt'), await storage.open('a/x.txt', { range: { offset: 2 } })]
      await sleep(5)
      await crowded()
      await link(`${location}/a/x.txt`, `${location}/second name.txt`)
      await chmod(`${location}/a/x.txt`, 0o600)
      expect(await Promise.all(files.map((file) => file.text()))).toEqual(['first', 'rst'])
    },
  )

  it('a reader that is at work reads on in its version when the file is replaced or deleted', async () => {
    const { storage } = await setUp()
    const content = Buffer.alloc(3 * MIB, 'old')
    await storage.save('big.bin', content)
    const read: Buffer[] = []
    for await (const chunk of await storage.open('big.bin')) {
      if (read.length === 1) await storage.save('big.bin', 'new', { ifExists: 'overwrite' })
      if (read.length === 2) await storage.delete('big.bin')
      read.push(chunk)
    }
    expect(Buffer.compare(Buffer.concat(read), content)).toBe(0)
  })

  linux('readers that come and go while descriptors are scarce read their own file', async () => {
    const location = await newFolder()
    const storage = new FileSystemStorage({ location, fsync: false })
    const names = Array.from({ length: 20 }, (_, index) => `${index}.bin`)
    const contentOf = (name: string) => Buffer.alloc(400_000, name)
    for (const name of names) await storage.save(name, contentOf(name))
    const readSlowly = async (index: number) => {
      const name = names[index % names.length] ?? ''
      const chunks: Buffer[] = []
      for await (const chunk of await storage.open(name)) {
        chunks.push(chunk)
        await sleep((index * 37) % 160)
      }
      expect(Buffer.compare(Buffer.concat(chunks), contentOf(name))).toBe(0)
    }
    await Promise.all(Array.from({ length: 300 }, (_, index) => readSlowly(index)))
    await expect.poll(() => descriptorsIn(location)).toBe(0)
  })

  linux('500 files can be open with 256 descriptors', async () => {
    const { location } = await setUp()
    const storage = { kind: 'filesystem', location } as const
    const { bytes } = await inChild('openMany', { storage, name: 'a/x.txt', count: 500 }, { openFiles: 256 })
    expect(bytes).toBe(2500)
  })

  linux('clients that leave cost no descriptors', async () => {
    const { location, storage } = await setUp()
    await storage.save('big.bin', CONTENT)
    await leaveEarly(storage, 'big.bin', { clients: 60, within: 300 })
    await crowd(storage, 'other.txt', () => descriptorsIn(location))
    await rm(`${location}/big.bin`)
    // Those that left have given up first, so the file is gone for good.
    const descriptors = await readdir('/proc/self/fd')
    const paths = await Promise.all(descriptors.map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')))
    expect(paths.filter((path) => path.includes('big.bin'))).toEqual([])
  })
})

describe.each([true, false])('on S3, fastPath %s', (fastPath) => {
  const r2 = setUpR2(fastPath)
  const few = { maxConnections: 4, maxAttempts: 2 }

  it('many files can be open, and are read one after the other', async () => {
    const content = Buffer.alloc(300_000, 'x')
    r2.server.bucket().plant('a.bin', content)
    const storage = r2.storage(few)
    const files = await Promise.all(Array.from({ length: 40 }, () => storage.open('a.bin')))
    expect(await storage.exists('a.bin')).toBe(true)
    for (const file of files) expect((await file.bytes()).equals(content)).toBe(true)
  })

  it('small files that are open hold no connection at all', async () => {
    r2.server.bucket().plant('a.txt', 'hello')
    const storage = r2.storage(few)
    const files = await Promise.all(Array.from({ length: 40 }, () => storage.open('a.txt')))
    const before = r2.server.requests.length
    for (const file of files) expect(await file.text()).toBe('hello')
    expect(r2.server.requests.length).toBe(before)
  })

  it('a handle can be read after any time', async () => {
    r2.server.bucket().plant('a.bin', CONTENT)
    const file = await r2.storage({ idleTimeout: 50 }).open('a.bin')
    await sleep(300)
    expect((await file.bytes()).equals(CONTENT)).toBe(true)
  })

  it.each(['replaced', 'deleted'])('a handle says that its file was %s while it rested', async (how) => {
    r2.server.bucket().plant('a.bin', CONTENT)
    const file = await r2.storage({ idleTimeout: 50 }).open('a.bin')
    await sleep(300)
    if (how === 'deleted') r2.server.bucket().delete('a.bin')
    else r2.server.bucket().plant('a.bin', Buffer.alloc(CONTENT.byteLength, 'other'))
    await expect(file.bytes()).rejects.toMatchObject({
      code: 'Unavailable',
      message: expect.stringContaining('replaced or deleted'),
    })
  })

  it('clients that leave cost no connections, and nobody waits for them', async () => {
    r2.server.bucket().plant('big.bin', CONTENT)
    const storage = r2.storage(few)
    await leaveEarly(storage, 'big.bin', { clients: 60, within: 300 })
    expect((await (await storage.open('big.bin')).bytes()).equals(CONTENT)).toBe(true)
  })

  it('what readers held while they rested is closed, and nothing is opened in its place', async () => {
    r2.server.bucket().plant('big.bin', CONTENT)
    const before = r2.server.connections
    const storage = r2.storage({ idleTimeout: 100 })
    const readers = await Promise.all(
      Array.from({ length: 8 }, async () => (await storage.open('big.bin'))[Symbol.asyncIterator]()),
    )
    await Promise.all(readers.map((reader) => reader.next()))
    await expect.poll(() => r2.server.connections - before, { timeout: 5_000 }).toBeLessThanOrEqual(0)
    await sleep(200)
    expect(r2.server.connections - before).toBeLessThanOrEqual(0)
  })

  it('a reader of one storage is saved into another, however slowly', async () => {
    r2.server.bucket().plant('big.bin', CONTENT)
    const storage = r2.storage({ ...few, maxConnections: 1, idleTimeout: 100 })
    const target = new MemoryStorage()
    await target.save('copy.bin', await storage.open('big.bin'))
    await storage.save('copy.bin', await storage.open('big.bin'))
    expect((await (await target.open('copy.bin')).bytes()).equals(CONTENT)).toBe(true)
    expect(await storage.size('copy.bin')).toBe(CONTENT.byteLength)
  })
})

describe.each([true, false])('a process, fastPath %s', (fastPath) => {
  it.each([
    ['a small file', 'hello', false],
    ['a large file', CONTENT, false],
    ['a large file, half read', CONTENT, true],
  ])('ends although %s is open', async (_, content, half) => {
    await using server = await startServer({})
    const options = { ...server.keys, bucket: 'test-bucket', fastPath }
    await new R2Storage(options).save('a.bin', content)
    const storage = { kind: 'r2', ...options } as const
    const child = await startChild('openOnly', { storage, name: 'a.bin', half })
    child.go()
    const opened = await child.result
    expect(Date.now() - opened).toBeLessThan(10_000)
  })
})

describe('in memory', () => {
  it('a handle is read in its version at any time, by every way out of the process', async () => {
    const storage = new MemoryStorage()
    await storage.save('big.bin', CONTENT)
    await leaveEarly(storage, 'big.bin', { clients: 4 * WAYS.length, within: 100 })
    const file = await storage.open('big.bin')
    expect((await file.bytes()).equals(CONTENT)).toBe(true)
  })
})
