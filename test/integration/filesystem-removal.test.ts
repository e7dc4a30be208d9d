import { chmod, mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { FileSystemStorage } from 'stowage'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { inChild } from './child/child.js'
import { filesIn, newFolder } from './child/folders.js'

let root: string
let storage: FileSystemStorage

beforeEach(async () => {
  root = await newFolder()
  storage = new FileSystemStorage({ location: root, fsync: false })
})
afterEach(() => vi.restoreAllMocks())

it.runIf(process.platform === 'linux')('deletes a folder with names that are not UTF-8', async () => {
  await storage.save('a/x.txt', 'x')
  const latin1 = (path: string) => Buffer.from(path, 'latin1')
  await mkdir(latin1(join(root, 'a/dépôt')))
  await writeFile(latin1(join(root, 'a/dépôt/café.txt')), 'x')
  await writeFile(latin1(join(root, 'a/café.txt')), 'x')
  expect(await storage.deletePrefix('a', { dryRun: true })).toEqual({ deleted: 3 })
  expect(await storage.deletePrefix('a')).toEqual({ deleted: 3 })
  expect(await readdir(root)).toEqual(['.stowage'])
})

it.runIf(process.platform === 'linux')('tells names that are not UTF-8, each by itself', async () => {
  await storage.save('d/replacement\ufffd', 'x')
  const latin1 = (path: string) => Buffer.from(path, 'latin1')
  for (const folder of ['', 'd/']) await writeFile(latin1(join(root, `${folder}café`)), 'x')
  await writeFile(latin1(join(root, 'cafè')), 'x')
  await mkdir(latin1(join(root, 'dépôt')))
  await writeFile(latin1(join(root, 'dépôt/file')), 'x')
  const told: string[] = []
  const listed: string[] = []
  const onInvalidName = (name: string) => void told.push(name)
  for await (const { name } of storage.list('', { onInvalidName })) listed.push(name)
  expect(listed).toEqual(['d/replacement\ufffd'])
  expect(told.sort()).toEqual(['caf\udce8', 'caf\udce9', 'd/caf\udce9', 'd\udce9p\udcf4t/'])
  told.length = 0
  expect(await storage.listdir('', { onInvalidName })).toEqual({ directories: ['d'], files: [] })
  expect(told.sort()).toEqual(['caf\udce8', 'caf\udce9', 'd\udce9p\udcf4t/'])
})

it('says that its folder is a file, and does not call it empty', async () => {
  await writeFile(join(root, 'file'), 'x')
  const storage = new FileSystemStorage({ location: join(root, 'file') })
  const refusal = { code: 'Misconfigured', message: expect.stringContaining('is not a folder') }
  await expect(storage.listdir()).rejects.toMatchObject(refusal)
  await expect(storage.list()[Symbol.asyncIterator]().next()).rejects.toMatchObject(refusal)
})

it('deletes nothing outside when the folder is swapped for a link after its files were listed', async () => {
  const outside = await newFolder()
  await writeFile(join(outside, 'x.txt'), 'outside')
  await storage.save('folder/x.txt', 'inside')
  await inChild('deletePrefixWhileSwapped', { location: root, to: outside })
  expect(await readdir(outside)).toEqual(['x.txt'])
  expect(await readdir(join(root, 'folder-aside'))).toEqual(['x.txt'])
})

it('deletes all that may be deleted, then says what may not', async () => {
  for (const name of ['a/1.txt', 'a/locked/2.txt', 'a/z/3.txt']) await storage.save(name, 'x')
  for (const folder of ['', '.stowage/tmp', 'a', 'a/z']) await chmod(join(root, folder), 0o777)
  await chmod(join(root, 'a/locked'), 0o555)
  const outcome = await inChild('deletePrefixAsNobody', { location: root, prefix: 'a' })
  await chmod(join(root, 'a/locked'), 0o755)
  expect(outcome).toMatchObject({ code: 'PermissionDenied' })
  expect((await filesIn(root)).filter((path) => path.startsWith('a/'))).toEqual(['a/locked/2.txt'])
})

it('stops at an abort in the midst of a folder', async () => {
  await mkdir(join(root, 'a'))
  for (let index = 0; index < 2_000; index++) await writeFile(join(root, `a/${index}`), '')
  const controller = new AbortController()
  const deleting = storage.deletePrefix('a', { signal: controller.signal })
  const left = async () => (await readdir(join(root, 'a'))).length
  while ((await left()) === 2_000) {
    // Not begun yet.
  }
  controller.abort()
  await expect(deleting).rejects.toMatchObject({ code: 'Aborted' })
  const after = await left()
  expect(after).toBeGreaterThan(0)
  await new Promise(setImmediate)
  expect(await left()).toBe(after)
})

it('has deletes on the disk before it acknowledges, also where the folder stays', async () => {
  const location = join(root, 'durable')
  const { gone, stayed } = await inChild('recordDeletePrefix', { location })
  expect(gone.at(-1)).toBe(`fsync ${location}`)
  const path = join(location, 'stays')
  expect(stayed.slice(0, 2)).toEqual([`unlink ${path}/x.txt`, `fsync ${path}`])
})

it('clears away what crashes left in the storage’s own folder of a mount', async () => {
  await storage.save('mount/x.txt', 'x')
  const own = join(root, 'mount/.stowage')
  await mkdir(own)
  await writeFile(join(own, 'left'), 'half')
  expect(await storage.deletePrefix('mount')).toEqual({ deleted: 1 })
  // It may be one that is just being written.
  expect(await readdir(own)).toEqual(['left'])
  vi.spyOn(Date, 'now').mockReturnValue(Date.now() + 25 * 60 * 60 * 1000)
  expect(await storage.deletePrefix('mount')).toEqual({ deleted: 0 })
  expect(await readdir(root)).toEqual(['.stowage'])
})
