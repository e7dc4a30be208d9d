import { statfsSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { FileSystemStorage, isStorageError, R2Storage, S3Storage, type Storage } from 'stowage'
import { afterEach, describe, expect, inject, it } from 'vitest'
import { inChild } from '../integration/child/child.js'
import { fingerprint, newFolder } from '../integration/child/folders.js'
import { startServer } from '../integration/child/server.js'
import { report } from './figures.js'
import { FORM } from './form.js'
import { mountSmall, remount, unmountAll, whyNoMounts } from './mounts.js'
import { perform, type Step } from './steps.js'
import { versionAt } from './version.js'

afterEach(unmountAll)
const cannotMount = await whyNoMounts()
if (cannotMount !== undefined) console.log(`Full and read-only disks are not tested: ${cannotMount}`)

const PAGE = 4096
const MIB = 1024 * 1024

/** Work on a disk that is nearly full. Each call needs some pages and some inodes, in several places. */
const STEPS: readonly Step[] = [
  { do: 'save', name: 'n/e/w/x.txt', version: 'd3', ifExists: 'rename', stream: false },
  { do: 'save', name: 'n/e/w/x.txt', version: 'd4', ifExists: 'error', stream: true },
  { do: 'save', name: 'old.txt', version: 'd4', ifExists: 'overwrite', stream: false },
  { do: 'save', name: 'old.txt', version: 'p3', ifExists: 'overwrite', stream: true },
  { do: 'copy', from: 'old.txt', to: 'n/e/w/x.txt', ifExists: 'rename' },
  { do: 'move', from: 'old.txt', to: 'n/e/w/x.txt', ifExists: 'rename' },
]

describe.skipIf(cannotMount !== undefined)('on a disk that has too little room', () => {
  /** `old.txt` is there, and the folders for sidecars are, which stay once they are made. */
  const prepare = async (options: string) => {
    const root = await mountSmall(options)
    const storage = new FileSystemStorage({ location: root })
    for (const name of ['n/e/w/x.txt', 'old.txt']) {
      await perform(storage, { do: 'save', name, version: 'd1', ifExists: 'error', stream: false })
    }
    await storage.delete('n/e/w/x.txt')
    return { root, storage }
  }

  /** Does a step with more and more room until it succeeds; until then nothing may change. Tells how often it failed. */
  const tryUntilThereIsRoom = async (
    step: Step,
    root: string,
    storage: Storage,
    giveRoom: (units: number) => Promise<void>,
  ): Promise<number> => {
    for (let units = 0; ; units++) {
      await giveRoom(units)
      const before = { files: await fingerprint(root), room: statfsSync(root) }
      try {
        await perform(storage, step)
        return units
      } catch (error) {
        const where = `${JSON.stringify(step)} with room for ${units}`
        expect(isStorageError(error) && error.code, `${where}: ${error}`).toBe('Full')
        expect(await fingerprint(root), where).toEqual(before.files)
        expect(statfsSync(root), where).toEqual(before.room)
        expect(await versionAt(storage, 'old.txt')).toBe('d1')
        expect(units).toBeLessThan(100)
      }
    }
  }

  it('says so at every page, changes nothing and gives the room back', async () => {
    let failures = 0
    for (const step of STEPS) {
      const { root, storage } = await prepare('size=1m')
      const ballast = join(root, 'ballast')
      writeFileSync(ballast, Buffer.alloc(statfsSync(root).bavail * PAGE))
      expect(statfsSync(root).bavail).toBe(0)
      const { size } = statSync(ballast)
      failures += await tryUntilThereIsRoom(step, root, storage, async (units) => {
        truncateSync(ballast, size - units * PAGE)
      })
      await unmountAll()
    }
    report({
      trial: 'a disk that fills up at each page of a save, copy or move',
      tried: `${STEPS.length} operations, ${failures} times out of space`,
      outcome: 'Full each time, the old file intact, all space back',
    })
  })

  it('says so at every inode, changes nothing and gives the inodes back', async () => {
    let failures = 0
    for (const step of STEPS) {
      const { root, storage } = await prepare('size=4m,nr_inodes=60')
      const free = statfsSync(root).ffree
      for (let index = 0; index < free; index++) writeFileSync(join(root, `ballast-${index}`), '')
      failures += await tryUntilThereIsRoom(step, root, storage, async (units) => {
        if (units > 0) await rm(join(root, `ballast-${units - 1}`))
      })
      await unmountAll()
    }
    report({
      trial: 'a disk that runs out of inodes at each file or folder of a save, copy or move',
      tried: `${STEPS.length} operations, ${failures} times out of inodes`,
      outcome: 'Full each time, nothing left behind, no empty folder either',
    })
  })

  it('refuses to write on a read-only disk, and reads', async () => {
    const { root, storage } = await prepare('size=1m')
    await remount(root, 'ro')
    for (const step of [...STEPS, { do: 'delete', name: 'old.txt' } as const]) {
      await expect(perform(storage, step), JSON.stringify(step)).rejects.toMatchObject({
        code: 'PermissionDenied',
        message: expect.stringContaining('read-only'),
      })
    }
    expect(await versionAt(storage, 'old.txt')).toBe('d1')
  })
})

describe('with too few descriptors', () => {
  it('lets saves on R2 succeed or say that they cannot, and loses none that it acknowledged', async () => {
    await using server = await startServer({})
    const options = { ...server.keys, bucket: 'test-bucket' }
    const storage = { kind: 'r2', ...options } as const
    const results = await inChild('saveMany', { storage, count: 300 }, { openFiles: 64 })
    const saved = results.flatMap(({ name }) => name ?? [])
    expect(saved.length).toBeGreaterThan(0)
    for (const { name, code } of results) if (name === undefined) expect(code).toBe('Unavailable')
    const there = new Set<string>()
    for await (const { name } of new R2Storage(options).list()) there.add(name)
    for (const name of saved) expect(there).toContain(name)
    report({
      trial: '300 simultaneous saves to R2 by a process with 64 descriptors (ulimit -n)',
      tried: `${saved.length} succeeded, ${results.length - saved.length} told to try again`,
      outcome: '0 lost, no crash',
    })
  })
})

describe('of a length that cannot be', () => {
  const HUGE = 2 ** 50
  /** Fails unless it is refused soon, with an error of this package, and without taking memory for it. */
  const expectRefused = async (work: Promise<unknown>) => {
    const before = process.memoryUsage().rss
    const error = await work.then(
      () => undefined,
      (reason: unknown) => reason,
    )
    expect(isStorageError(error), String(error)).toBe(true)
    expect(process.memoryUsage().rss - before).toBeLessThan(200 * MIB)
  }
  const hugeBlob = () => Object.defineProperty(new Blob(['x']), 'size', { value: HUGE })

  it.each([true, false])('a Blob is not stored (R2, fastPath %s)', async (fastPath) => {
    await using server = await startServer({})
    const storage = new R2Storage({ ...server.keys, bucket: 'test-bucket', fastPath })
    await expectRefused(storage.save('huge.bin', hugeBlob()))
    expect(await storage.exists('huge.bin')).toBe(false)
  })

  it.each([true, false])('an answer is not taken for a file (R2, fastPath %s)', async (fastPath) => {
    const server = createServer((_, response) => {
      response.writeHead(200, { 'content-length': String(HUGE), etag: '"x"' })
      response.write('x')
      setTimeout(() => response.destroy(), 50)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const keys = { endpoint, accessKeyId: 'a'.repeat(32), secretAccessKey: 'b'.repeat(64) }
    const storage = new R2Storage({ ...keys, bucket: 'test-bucket', fastPath, retryTimeout: 2_000 })
    try {
      const opened = await storage.open('huge.bin')
      expect(opened.size).toBe(HUGE)
      await expectRefused(opened.bytes())
      await expectRefused((await storage.open('huge.bin')).text())
      const streamed = await storage.open('huge.bin')
      await expectRefused(
        (async () => {
          for await (const _ of streamed);
        })(),
      )
    } finally {
      server.close()
      server.closeAllConnections()
    }
  })

  it.skipIf(cannotMount !== undefined)('a file is not read at once, nor stored elsewhere', async () => {
    const root = await mountSmall('size=1m')
    const storage = new FileSystemStorage({ location: root })
    await writeFile(join(root, 'huge.bin'), '')
    truncateSync(join(root, 'huge.bin'), HUGE)
    expect(await storage.size('huge.bin')).toBe(HUGE)
    await expectRefused((await storage.open('huge.bin')).bytes())
    await expectRefused(storage.copy('huge.bin', 'copy.bin'))
    await using server = await startServer({})
    const target = new R2Storage({ ...server.keys, bucket: 'test-bucket' })
    await expectRefused(target.save('huge.bin', await storage.open('huge.bin')))
    expect(await storage.listdir()).toEqual({ directories: [], files: ['huge.bin'] })
  })
})

describe('with 1,000 saves of one name at the same time', () => {
  const expectAll = async (storage: Storage, where: string) => {
    const saves = Array.from({ length: 1_000 }, (_, index) =>
      storage.save('same/name.txt', `content ${index}`),
    )
    const names = await Promise.all(saves)
    expect(new Set(names).size).toBe(1_000)
    expect(names.filter((name) => name === 'same/name.txt')).toHaveLength(1)
    let listed = 0
    for await (const { name } of storage.list('same')) listed += names.includes(name) ? 1 : 0
    expect(listed).toBe(1_000)
    for (let index = 0; index < 1_000; index += 97) {
      expect(await (await storage.open(names[index] ?? '')).text()).toBe(`content ${index}`)
    }
    report({
      trial: `1,000 simultaneous saves of one name on ${where}`,
      tried: '1,000 saves',
      outcome: '1,000 files, one under the name itself, 0 overwritten',
    })
  }

  it('keeps them all on the filesystem', async () => {
    await expectAll(new FileSystemStorage({ location: await newFolder(), fsync: false }), 'the filesystem')
  })

  it('keeps them all on R2', async () => {
    await using server = await startServer({})
    await expectAll(new R2Storage({ ...server.keys, bucket: 'test-bucket' }), 'a strict R2 server')
  })

  const ceph = inject('ceph')
  it.skipIf(ceph === null)('keeps them all on Ceph', async () => {
    if (ceph === null) return
    const { endpoint, ...credentials } = ceph
    const bucket = `exhaustion-${Date.now()}`
    const client = new S3Client({ endpoint, credentials, region: 'us-east-1', forcePathStyle: true })
    await client.send(new CreateBucketCommand({ Bucket: bucket }))
    client.destroy()
    await expectAll(new S3Storage({ ...ceph, bucket }), 'Ceph')
  })
})

it('lists and deletes very many files of one folder, in order and in little memory', async () => {
  const count = { quick: 10_000, long: 100_000, soak: 100_000 }[FORM]
  const root = await newFolder()
  await mkdir(join(root, 'many'))
  for (let index = 0; index < count; index++) writeFileSync(join(root, 'many', `file ${index}.txt`), 'x')
  const storage = new FileSystemStorage({ location: root, fsync: false })
  const before = process.memoryUsage().rss
  let grown = 0
  let last = ''
  let listed = 0
  for await (const { name, size } of storage.list()) {
    // Digits and letters only: their order is that of their bytes.
    expect(name > last && size === 1).toBe(true)
    last = name
    listed += 1
    if (listed % 1_000 === 0) grown = Math.max(grown, process.memoryUsage().rss - before)
  }
  expect(listed).toBe(count)
  const { files } = await storage.listdir('many')
  expect(files).toHaveLength(count)
  expect(await storage.deletePrefix('many')).toEqual({ deleted: count })
  expect(await storage.listdir()).toEqual({ directories: [], files: [] })
  // The names of one folder are held, as is said: some hundred bytes each.
  expect(grown).toBeLessThan(64 * MIB + count * 1_000)
  report({
    trial: 'very many files in one folder of the filesystem',
    tried: `${count} files listed in order and deleted`,
    outcome: `all of them; the process grew by ${Math.round(grown / MIB)} MiB`,
  })
})
