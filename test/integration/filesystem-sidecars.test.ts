import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import fs from 'node:fs'
import {
  appendFile,
  link,
  lstat,
  mkdir,
  readFile,
  rename,
  rm,
  stat,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { FileSystemStorage } from 'stowage'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Root } from '../../src/drivers/filesystem/root.js'
import { Sidecars } from '../../src/drivers/filesystem/sidecars.js'
import { toName } from '../../src/names.js'
import { aliasesIn, filesIn, newFolder, sidecarsIn } from './child/folders.js'

let root: string
let storage: FileSystemStorage
const described = { metadata: { by: 'Zoë' }, contentType: 'text/x-special', cacheControl: 'no-store' }

beforeEach(async () => {
  root = join(await newFolder(), 'root')
  storage = new FileSystemStorage({ location: root })
})

afterEach(() => vi.restoreAllMocks())

/** The modification time, in nanoseconds. */
async function timeOf(path: string): Promise<string> {
  return String((await lstat(path, { bigint: true })).mtimeNs)
}

/** `seconds` may have a fraction. */
async function setTime(path: string, seconds: string): Promise<void> {
  await promisify(execFile)('touch', ['-h', '-d', `@${seconds}`, path])
}

it('adds no file where there is nothing to say that the name does not', async () => {
  await storage.save('a.txt', 'a')
  await storage.save('b.txt', 'b', { contentType: 'text/plain', metadata: {} })
  await storage.save('c', 'c', { contentType: 'application/octet-stream' })
  expect(await sidecarsIn(root)).toEqual([])
})

it('takes a file that was edited by hand as a file with defaults', async () => {
  await storage.save('a.txt', 'a', described)
  expect(await storage.stat('a.txt')).toMatchObject(described)
  await appendFile(join(root, 'a.txt'), 'b')
  expect(await storage.stat('a.txt')).toMatchObject({ size: 2, contentType: 'text/plain', metadata: {} })
  expect((await storage.stat('a.txt')).cacheControl).toBeUndefined()
})

it('takes a file that was replaced by hand as a file with defaults, at the same size as well', async () => {
  await storage.save('a.txt', 'a', described)
  await writeFile(join(root, 'a.txt'), 'b')
  const { metadata } = await storage.open('a.txt')
  expect(metadata).toEqual({})
  await storage.save('c.txt', 'c', described)
  await rm(join(root, 'c.txt'))
  await writeFile(join(root, 'c.txt'), 'd')
  expect(await storage.stat('c.txt')).toMatchObject({ contentType: 'text/plain', metadata: {} })
})

it('keeps the metadata when the whole root is restored from a backup', async () => {
  await storage.save('a/x.txt', 'x', described)
  await storage.save('a/plain.txt', 'plain')
  const restored = join(root, '..', 'restored')
  await promisify(execFile)('cp', ['-a', root, restored])
  expect((await stat(join(restored, 'a/x.txt'))).ino).not.toBe((await stat(join(root, 'a/x.txt'))).ino)
  await rm(root, { recursive: true })
  const other = new FileSystemStorage({ location: restored })
  expect(await other.stat('a/x.txt')).toMatchObject(described)
  expect(await other.stat('a/plain.txt')).toMatchObject({ contentType: 'text/plain', metadata: {} })
  expect(await (await other.open('a/x.txt')).text()).toBe('x')
  const moved = await other.move('a/x.txt', 'b/y.txt')
  expect(await other.stat(moved)).toMatchObject(described)
  await other.save('b/y.txt', 'new', { ifExists: 'overwrite' })
  expect((await other.stat('b/y.txt')).metadata).toEqual({})
})

describe.each([
  { unit: 'seconds', digits: 0 },
  { unit: 'milliseconds', digits: 3 },
  { unit: 'microseconds', digits: 6 },
])('when a copy of the root has times in whole $unit', ({ digits }) => {
  it('keeps the metadata, through copies, moves and overwrites, too', async () => {
    await storage.save('a/x.txt', 'x', described)
    await storage.save('a/plain.txt', 'plain')
    const time = await timeOf(join(root, 'a/x.txt'))
    const copy = join(root, '..', 'copy')
    await promisify(execFile)('cp', ['-r', root, copy])
    await setTime(join(copy, 'a/x.txt'), `${time.slice(0, 10)}.${time.slice(10, 10 + digits)}0`)
    const other = new FileSystemStorage({ location: copy })
    expect(await other.stat('a/x.txt')).toMatchObject(described)
    expect(await other.open('a/x.txt')).toMatchObject(described)
    expect(await other.stat('a/plain.txt')).toMatchObject({ contentType: 'text/plain', metadata: {} })
    await other.copy('a/x.txt', 'b.txt')
    await other.move('a/x.txt', 'c.txt')
    for (const name of ['b.txt', 'c.txt']) expect(await other.stat(name)).toMatchObject(described)
    await other.save('c.txt', 'y', { ifExists: 'overwrite' })
    expect((await other.stat('c.txt')).metadata).toEqual({})
  })
})

it('gives another file of the same size and second no metadata', async () => {
  await storage.save('a.txt', 'a', described)
  const time = await timeOf(join(root, 'a.txt'))
  await writeFile(join(root, 'a.txt.new'), 'b')
  await rename(join(root, 'a.txt.new'), join(root, 'a.txt'))
  await setTime(join(root, 'a.txt'), `${time.slice(0, 10)}.${time[10] === '5' ? '6' : '5'}`)
  expect(await storage.stat('a.txt')).toMatchObject({ contentType: 'text/plain', metadata: {} })
})

it('gives a newer version no metadata of an older one whose alias is still there', async () => {
  await storage.save('a.txt', 'a', described)
  const [alias = ''] = await aliasesIn(root)
  const text = await readFile(join(root, alias))
  await storage.save('a.txt', 'b', { ifExists: 'overwrite' })
  await writeFile(join(root, alias), text)
  expect(await storage.stat('a.txt')).toMatchObject({ contentType: 'text/plain', metadata: {} })
})

it('keeps two versions apart where the filesystem has times in steps of two seconds', async () => {
  await sleep(2000 - (Date.now() % 2000))
  const steps = 2_000_000_000n
  const coarse = <T>(stats: T): T => {
    if (typeof stats !== 'object' || stats === null || !('mtimeNs' in stats)) return stats
    const time = BigInt(String(stats.mtimeNs))
    return Object.assign(stats, { mtimeNs: time - (time % steps) })
  }
  const { fstatSync, lstatSync, lstat: lstatCall } = fs
  vi.spyOn(fs, 'fstatSync').mockImplementation(((...args: Parameters<typeof fstatSync>) =>
    coarse(fstatSync(...args))) as typeof fstatSync)
  vi.spyOn(fs, 'lstatSync').mockImplementation(((...args: Parameters<typeof lstatSync>) =>
    coarse(lstatSync(...args))) as typeof lstatSync)
  vi.spyOn(fs, 'lstat').mockImplementation(((...args: unknown[]) => {
    const callback = args.pop() as (error: unknown, stats: unknown) => void
    const call = lstatCall as (...args: unknown[]) => void
    call(...args, (error: unknown, stats: unknown) => callback(error, coarse(stats)))
  }) as typeof lstatCall)
  const quick = new FileSystemStorage({ location: root, fsync: false })
  await quick.save('a.txt', 'a', described)
  expect(await quick.stat('a.txt')).toMatchObject(described)
  const [alias = ''] = await aliasesIn(root)
  const text = await readFile(join(root, alias))
  await quick.save('a.txt', 'b', { ifExists: 'overwrite' })
  // As if the process had died before it removed what belongs to the older version.
  await writeFile(join(root, alias), text)
  expect(await quick.stat('a.txt')).toMatchObject({ contentType: 'text/plain', metadata: {} })
})

it('reads the sidecars of stowage 0.1, and makes their aliases with the next sweep', async () => {
  await storage.save('first.txt', 'x')
  await vi.waitFor(async () => expect(await filesIn(root)).toContain('.stowage/swept'))
  await writeFile(join(root, 'a.txt'), 'a')
  await setTime(join(root, 'a.txt'), '1790000000.123457')
  const { ino, mtimeNs, size } = await lstat(join(root, 'a.txt'), { bigint: true })
  const digest = createHash('sha256').update('a.txt').digest('hex').slice(0, 32)
  const folder = join(root, '.stowage/meta', digest.slice(0, 2))
  await mkdir(folder, { recursive: true })
  const text = JSON.stringify({ name: 'a.txt', ...described })
  await writeFile(join(folder, `${digest}-${mtimeNs}-${size}-${ino}`), text)
  expect(await storage.stat('a.txt')).toMatchObject(described)

  await rm(join(root, '.stowage/swept'))
  await new FileSystemStorage({ location: root }).save('second.txt', 'x')
  await vi.waitFor(async () => expect(await aliasesIn(root)).toHaveLength(1))
  const copy = join(root, '..', 'copy')
  await promisify(execFile)('cp', ['-r', root, copy])
  await setTime(join(copy, 'a.txt'), '1790000000')
  expect(await new FileSystemStorage({ location: copy }).stat('a.txt')).toMatchObject(described)
  expect(await storage.stat('a.txt')).toMatchObject(described)
  await storage.delete('a.txt')
  expect([...(await sidecarsIn(root)), ...(await aliasesIn(root))]).toEqual([])
})

it('forgets the metadata when the file is overwritten without, and leaves no sidecar behind', async () => {
  await storage.save('a.txt', 'a', described)
  await storage.save('a.txt', 'b', { ifExists: 'overwrite' })
  expect(await storage.stat('a.txt')).toMatchObject({ contentType: 'text/plain', metadata: {} })
  expect([...(await sidecarsIn(root)), ...(await aliasesIn(root))]).toEqual([])
  await storage.save('a.txt', 'c', { ...described, ifExists: 'overwrite' })
  await storage.delete('a.txt')
  expect([...(await sidecarsIn(root)), ...(await aliasesIn(root))]).toEqual([])
})

it('carries the metadata along with a copy and a move, over whatever was there', async () => {
  await storage.save('a.txt', 'a', described)
  await storage.save('b.txt', 'b', { metadata: { by: 'another' } })
  await storage.copy('a.txt', 'b.txt', { ifExists: 'overwrite' })
  expect(await storage.stat('b.txt')).toMatchObject(described)
  expect(await storage.stat('a.txt')).toMatchObject(described)
  await storage.save('c.txt', 'c', { metadata: { by: 'a third' } })
  await storage.move('a.txt', 'c.txt', { ifExists: 'overwrite' })
  expect(await storage.stat('c.txt')).toMatchObject(described)
  expect(await readFile(join(root, 'c.txt'), 'utf8')).toBe('a')
  expect(await sidecarsIn(root)).toHaveLength(2)
  await storage.move('c.txt', 'd.png')
  expect(await storage.stat('d.png')).toMatchObject(described)
})

it('keeps the content type of a file that moves to another extension', async () => {
  await storage.save('photo.png', 'pixels')
  await storage.move('photo.png', 'photo.bin')
  expect((await storage.stat('photo.bin')).contentType).toBe('image/png')
  await storage.move('photo.bin', 'again.png')
  expect((await storage.stat('again.png')).contentType).toBe('image/png')
  expect(await sidecarsIn(root)).toEqual([])
})

it('gives each of many versions of the same size an ETag of its own, also in one moment', async () => {
  vi.spyOn(Date, 'now').mockReturnValue(Date.now())
  const fast = new FileSystemStorage({ location: root, fsync: false })
  const etags = new Set<string>()
  for (let version = 100; version < 150; version++) {
    const metadata = { version: `${version}` }
    await fast.save('a.txt', `${version}`, { ifExists: 'overwrite', metadata })
    etags.add((await fast.stat('a.txt')).etag)
  }
  expect(etags.size).toBe(50)
})

it('takes no place from the sidecar of another version that looks the same', async () => {
  await storage.save('a.txt', 'a', described)
  const sidecars = new Sidecars(
    new Root({ location: root, directoryMode: 0o755, fsync: false }),
    false,
    0o644,
  )
  const version = await lstat(join(root, 'a.txt'), { bigint: true })
  const name = toName('a.txt')
  expect(await sidecars.create(name, version, { contentType: 'a/b', metadata: {} })).toBe(false)
  expect(await storage.stat('a.txt')).toMatchObject(described)
})

it('is not misled by a file of another program whose time happens to look like its own', async () => {
  await storage.save('first.txt', 'x')
  await writeFile(join(root, 'b.txt'), 'b')
  await utimes(join(root, 'b.txt'), 1_700_000_000, 1_700_000_000)
  expect(await storage.stat('b.txt')).toMatchObject({ contentType: 'text/plain', metadata: {} })
})

it('calls a sidecar that somebody has damaged corrupt, and can still overwrite and delete the file', async () => {
  await storage.save('a.txt', 'a', described)
  const [sidecar = ''] = await sidecarsIn(root)
  await writeFile(join(root, sidecar), '{"contentType":')
  await expect(storage.stat('a.txt')).rejects.toMatchObject({ code: 'Corrupt' })
  await storage.save('a.txt', 'b', { ifExists: 'overwrite' })
  expect(await (await storage.open('a.txt')).text()).toBe('b')
  await storage.delete('a.txt')
  expect(await storage.exists('a.txt')).toBe(false)
})

it('takes an empty sidecar, which a power cut may leave, as none', async () => {
  await storage.save('a.txt', 'a', described)
  const [sidecar = ''] = await sidecarsIn(root)
  await truncate(join(root, sidecar))
  expect(await (await storage.open('a.txt')).text()).toBe('a')
  expect(await storage.stat('a.txt')).toMatchObject({ contentType: 'text/plain', metadata: {} })
  await storage.move('a.txt', 'b.txt')
  expect(await (await storage.open('b.txt')).text()).toBe('a')
})

it('keeps the metadata of a file that a move replaces by itself, as after a move that a crash broke off', async () => {
  await storage.save('from.txt', 'x', described)
  await link(join(root, 'from.txt'), join(root, 'to.txt'))
  await storage.move('from.txt', 'to.txt', { ifExists: 'overwrite' })
  expect(await storage.stat('to.txt')).toMatchObject(described)
  expect(await storage.exists('from.txt')).toBe(false)
})

it('keeps the metadata at both names when a move that a crash broke off is done again', async () => {
  await storage.save('from.txt', 'x', described)
  const [sidecar = ''] = await sidecarsIn(root)
  const text = await readFile(join(root, sidecar))
  await link(join(root, 'from.txt'), join(root, '..', 'kept'))
  await storage.move('from.txt', 'to.txt')
  // As if the process had died before it took the source away.
  await rename(join(root, '..', 'kept'), join(root, 'from.txt'))
  await writeFile(join(root, sidecar), text)
  const renamed = await storage.move('from.txt', 'to.txt')
  expect(renamed).not.toBe('to.txt')
  for (const name of ['to.txt', renamed]) expect(await storage.stat(name)).toMatchObject(described)
})
