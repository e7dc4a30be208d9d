import { execFile } from 'node:child_process'
import fs from 'node:fs'
import { mkdir, readdir, stat, symlink, truncate } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { runInNewContext } from 'node:vm'
import { FileSystemStorage } from 'stowage'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { classifySystemError, hasCode } from '../../src/drivers/filesystem/system-errors.js'
import { inChild } from './child/child.js'
import { fingerprint, newFolder } from './child/folders.js'

const run = promisify(execFile)
const isRoot = process.getuid?.() === 0
if (!isRoot) console.log('Not root: no device node can be made, its test is not run.')

let root: string
let storage: FileSystemStorage
const server = createServer()

beforeEach(async () => {
  root = await newFolder()
  storage = new FileSystemStorage({ location: root })
  await storage.save('mine.txt', 'mine')
  // The first save also sweeps, beside the calls that come next.
  await vi.waitFor(() => stat(join(root, '.stowage/swept')), { timeout: 10_000 })
})
afterEach(() => new Promise((resolve) => server.close(resolve)))

const kinds: { kind: string; skip?: boolean; make(path: string): Promise<unknown> }[] = [
  { kind: 'a FIFO', make: (path) => run('mkfifo', [path]) },
  { kind: 'a socket', make: (path) => new Promise<void>((resolve) => server.listen(path, resolve)) },
  { kind: 'an endless device', skip: !isRoot, make: (path) => run('mknod', [path, 'c', '1', '5']) },
  { kind: 'a folder', make: (path) => mkdir(path) },
]

describe.each(kinds)('$kind at a name', ({ skip, make }) => {
  it.skipIf(skip)('is no file: reading says so at once, and nothing opens or removes it', async () => {
    await make(join(root, 'odd'))
    const before = await fingerprint(root)
    const missing = { code: 'NotFound' }
    // More than there are threads in the pool: one that waited for the other end of a FIFO would stop them all.
    await Promise.all(
      Array.from({ length: 8 }, () => expect(storage.open('odd')).rejects.toMatchObject(missing)),
    )
    await expect(storage.stat('odd')).rejects.toMatchObject(missing)
    expect(await storage.exists('odd')).toBe(false)
    await expect(storage.copy('odd', 'copied')).rejects.toMatchObject(missing)
    await expect(storage.move('odd', 'moved')).rejects.toMatchObject(missing)
    const names: string[] = []
    for await (const { name } of storage.list()) names.push(name)
    expect(names).toEqual(['mine.txt'])
    expect((await storage.listdir()).files).toEqual(['mine.txt'])
    await storage.delete('odd')
    await storage.deleteMany(['odd', 'none'])
    await expect(storage.save('odd', 'x', { ifExists: 'error' })).rejects.toMatchObject({
      code: 'AlreadyExists',
    })
    expect(await fingerprint(root)).toEqual(before)
    expect(await storage.save('odd', 'x')).toMatch(/^odd_\w{7}$/)
  })
})

it('never replaces a folder by a file, and says what is in the way', async () => {
  await storage.save('folder/x.txt', 'x')
  const inTheWay = { code: 'AlreadyExists', message: /folder/ }
  const overwrite = { ifExists: 'overwrite' } as const
  await expect(storage.save('folder', 'x', overwrite)).rejects.toMatchObject(inTheWay)
  await expect(storage.copy('mine.txt', 'folder', overwrite)).rejects.toMatchObject(inTheWay)
  await expect(storage.move('mine.txt', 'folder', overwrite)).rejects.toMatchObject(inTheWay)
  await mkdir(join(root, 'empty'))
  await expect(storage.save('empty', 'x', overwrite)).rejects.toMatchObject(inTheWay)
  expect(await (await storage.open('mine.txt')).text()).toBe('mine')
})

it('calls a name below a file taken, and finds nothing there', async () => {
  await expect(storage.save('mine.txt/x.txt', 'x')).rejects.toMatchObject({ code: 'AlreadyExists' })
  await expect(storage.open('mine.txt/x.txt')).rejects.toMatchObject({ code: 'NotFound' })
  expect(await storage.exists('mine.txt/x.txt')).toBe(false)
  await storage.delete('mine.txt/x.txt')
  expect(await storage.listdir('mine.txt')).toEqual({ directories: [], files: [] })
})

it('lists what is beside folders that go deeper than the system takes a path', async () => {
  // Only by steps from folder to folder can they be made; `rm` removes them so.
  const steps = `for (const name of ['deep', ...Array(20).fill('n'.repeat(250))]) {
    fs.mkdirSync(name)
    process.chdir(name)
  }`
  await run(process.execPath, ['-e', steps], { cwd: root })
  await storage.save('z.txt', 'z')
  const names: string[] = []
  for await (const { name } of storage.list()) names.push(name)
  await run('rm', ['-r', join(root, 'deep')])
  expect(names).toEqual(['mine.txt', 'z.txt'])
})

it('looks at no file of a folder for its names and kinds, and leaves links out', async () => {
  for (const name of ['b.txt', 'a/x.txt', 'a.txt', 'c/d/x.txt']) await storage.save(`folder/${name}`, 'x')
  await symlink('b.txt', join(root, 'folder/link.txt'))
  await symlink('a', join(root, 'folder/link'))
  const looks = [vi.spyOn(fs, 'lstat'), vi.spyOn(fs, 'lstatSync'), vi.spyOn(fs, 'stat')]
  const listing = await storage.listdir('folder')
  const looked = looks.flatMap(({ mock }) => mock.calls.map(([path]) => String(path)))
  vi.restoreAllMocks()
  expect(listing).toEqual({ directories: ['a', 'c'], files: ['a.txt', 'b.txt'] })
  expect(looked).toEqual([join(root, 'folder')])
})

it.each([false, true])(
  'finds all files of a folder from which others vanish, where the system lists no kinds; removing: %s',
  async (remove) => {
    expect(await inChild('listWhileVanishing', { location: root, remove })).toBe(2)
  },
)

it('knows the errors of another realm, as Node’s are under Jest', () => {
  const foreign = runInNewContext(`Object.assign(new Error("ENOENT: '/srv/x'"), { code: 'ENOENT' })`)
  expect(foreign).not.toBeInstanceOf(Error)
  expect(hasCode(foreign, 'ENOENT')).toBe(true)
  expect(classifySystemError(foreign)).toMatchObject({
    code: 'NotFound',
    message: 'there is no such file (ENOENT)',
    cause: foreign,
  })
})

it('says so when a file is larger than any buffer', async () => {
  // Takes no room on the disk.
  await truncate(join(root, 'mine.txt'), 2 ** 43)
  const file = await storage.open('mine.txt')
  await expect(file.bytes()).rejects.toMatchObject({ code: 'InvalidArgument', message: /use stream\(\)/ })
  const end = await storage.open('mine.txt', { range: { offset: -5 } })
  expect((await end.bytes()).byteLength).toBe(5)
})

it.runIf(process.platform === 'linux')('leaves no descriptor open for what it refuses to read', async () => {
  await mkdir(join(root, 'folder'))
  const descriptors = async () => (await readdir('/proc/self/fd')).length
  const before = await descriptors()
  for (let times = 0; times < 50; times++) {
    await expect(storage.open('mine.txt', { range: { offset: 9 } })).rejects.toThrow()
    await expect(storage.open('folder')).rejects.toThrow()
  }
  await expect.poll(descriptors).toBeLessThan(before + 10)
})
