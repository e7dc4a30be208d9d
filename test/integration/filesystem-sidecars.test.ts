import { execFile } from 'node:child_process'
import {
  appendFile,
  link,
  lstat,
  readFile,
  rename,
  rm,
  stat,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { FileSystemStorage } from 'stowage'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { Root } from '../../src/drivers/filesystem/root.js'
import { Sidecars } from '../../src/drivers/filesystem/sidecars.js'
import { toName } from '../../src/names.js'
import { newFolder, sidecarsIn } from './child/folders.js'

let root: string
let storage: FileSystemStorage
const described = { metadata: { by: 'Zoë' }, contentType: 'text/x-special', cacheControl: 'no-store' }

beforeEach(async () => {
  root = join(await newFolder(), 'root')
  storage = new FileSystemStorage({ location: root })
})

afterEach(() => vi.restoreAllMocks())

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

it('forgets the metadata when the file is overwritten without, and leaves no sidecar behind', async () => {
  await storage.save('a.txt', 'a', described)
  await storage.save('a.txt', 'b', { ifExists: 'overwrite' })
  expect(await storage.stat('a.txt')).toMatchObject({ contentType: 'text/plain', metadata: {} })
  expect(await sidecarsIn(root)).toEqual([])
  await storage.save('a.txt', 'c', { ...described, ifExists: 'overwrite' })
  await storage.delete('a.txt')
  expect(await sidecarsIn(root)).toEqual([])
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
