import { link, mkdir, readdir, readFile, rename, stat, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { FileSystemStorage } from 'stowage'
import { beforeEach, describe, expect, it } from 'vitest'
import { inChild } from './child/child.js'
import { fingerprint, newFolder, sidecarsIn } from './child/folders.js'

let root: string
let outside: string
let storage: FileSystemStorage

beforeEach(async () => {
  const parent = await newFolder()
  root = join(parent, 'root')
  // The same beginning as the root's path: a guard that compares text would take it for a part of the root.
  outside = join(parent, 'root-outside')
  storage = new FileSystemStorage({ location: root })
  await mkdir(outside)
  await writeFile(join(outside, 'secret.txt'), 'secret')
  await storage.save('mine.txt', 'mine', { metadata: { by: 'me' } })
})

async function namesIn(prefix = ''): Promise<string[]> {
  const names: string[] = []
  for await (const { name } of storage.list(prefix)) names.push(name)
  return names
}

/** A link of each kind, and the name by which a caller tries to get through it. */
const links: { kind: string; name: string; make(): Promise<void> }[] = [
  {
    kind: 'a link to a file outside',
    name: 'leaf.txt',
    make: () => symlink(join(outside, 'secret.txt'), join(root, 'leaf.txt')),
  },
  {
    kind: 'a relative link to a file outside',
    name: 'leaf.txt',
    make: () => symlink('../root-outside/secret.txt', join(root, 'leaf.txt')),
  },
  {
    kind: 'a file in a linked folder',
    name: 'folder/secret.txt',
    make: () => symlink(outside, join(root, 'folder')),
  },
  {
    kind: 'a file in a linked folder deep down',
    name: 'a/b/folder/secret.txt',
    make: async () => {
      await mkdir(join(root, 'a/b'), { recursive: true })
      await symlink('../../../root-outside', join(root, 'a/b/folder'))
    },
  },
  {
    kind: 'a link to nothing outside',
    name: 'dangling.txt',
    make: () => symlink(join(outside, 'new.txt'), join(root, 'dangling.txt')),
  },
  {
    kind: 'a file in a folder linked to nothing',
    name: 'gone/new.txt',
    make: () => symlink(join(outside, 'gone'), join(root, 'gone')),
  },
  {
    kind: 'a chain of links that leads outside',
    name: 'one.txt',
    make: async () => {
      await symlink('two.txt', join(root, 'one.txt'))
      await symlink('three.txt', join(root, 'two.txt'))
      await symlink('../root-outside/secret.txt', join(root, 'three.txt'))
    },
  },
  {
    kind: 'links that lead to each other',
    name: 'loop.txt',
    make: async () => {
      await symlink('pool.txt', join(root, 'loop.txt'))
      await symlink('loop.txt', join(root, 'pool.txt'))
    },
  },
  {
    kind: 'a folder that links to itself',
    name: 'self/x.txt',
    make: () => symlink('self', join(root, 'self')),
  },
  {
    kind: "a link into the storage's own folder",
    name: 'peek.json',
    make: async () => symlink(join(root, (await sidecarsIn(root))[0] ?? ''), join(root, 'peek.json')),
  },
  {
    kind: "a link to the storage's own folder",
    name: 'peek/swept',
    make: () => symlink('.stowage', join(root, 'peek')),
  },
]

describe.each(links)('$kind', ({ name, make }) => {
  beforeEach(make)

  it('is no file for any method that reads', async () => {
    const before = [...(await fingerprint(outside)), ...(await fingerprint(join(root, '.stowage')))]
    const missing = { code: 'NotFound' }
    await expect(storage.open(name)).rejects.toMatchObject(missing)
    await expect(storage.stat(name)).rejects.toMatchObject(missing)
    await expect(storage.size(name)).rejects.toMatchObject(missing)
    expect(await storage.exists(name)).toBe(false)
    await expect(storage.copy(name, 'copied.txt')).rejects.toMatchObject(missing)
    await expect(storage.move(name, 'moved.txt')).rejects.toMatchObject(missing)
    expect(await namesIn()).toEqual(['mine.txt'])
    const folder = name.includes('/') ? dirname(name) : name
    expect(await namesIn(folder)).toEqual([])
    expect(await storage.listdir(folder)).toEqual({ directories: [], files: [] })
    expect(await storage.deletePrefix(folder)).toEqual({ deleted: 0 })
    expect([...(await fingerprint(outside)), ...(await fingerprint(join(root, '.stowage')))]).toEqual(before)
  })

  it('leads no write out of the root', async () => {
    const before = await fingerprint(outside)
    const stored: string[] = []
    for (const ifExists of ['rename', 'error', 'overwrite'] as const) {
      for (const write of [
        () => storage.save(name, 'written', { ifExists }),
        () => storage.save(name, 'written', { ifExists, metadata: { by: 'me' } }),
        () => storage.copy('mine.txt', name, { ifExists }),
      ]) {
        const result = await write().catch((error) => error.code)
        if (result === 'AlreadyExists' || result === 'PermissionDenied' || result === 'NotFound') continue
        stored.push(result)
      }
    }
    await storage.move('mine.txt', name, { ifExists: 'overwrite' }).catch(() => {})
    expect(await fingerprint(outside)).toEqual(before)
    for (const each of stored) expect(await namesIn()).toContain(each)
    await storage.delete(name)
    await storage.deleteMany([name, 'other.txt'])
    await storage.deletePrefix(name)
    expect(await fingerprint(outside)).toEqual(before)
  })
})

it('shows, counts and removes nothing in a folder behind a link that leads out', async () => {
  await mkdir(join(outside, 'folder/empty'), { recursive: true })
  await writeFile(join(outside, 'folder/secret.txt'), 'secret')
  await symlink(outside, join(root, 'link'))
  const before = await fingerprint(outside)
  for (const folder of ['link', 'link/folder', 'link/folder/empty']) {
    expect(await namesIn(folder)).toEqual([])
    expect(await storage.listdir(folder)).toEqual({ directories: [], files: [] })
    expect(await storage.deletePrefix(folder, { dryRun: true })).toEqual({ deleted: 0 })
    await storage.deletePrefix(folder)
  }
  expect(await fingerprint(outside)).toEqual(before)
})

it('says that a linked folder leads out when a file is to be saved there', async () => {
  await symlink(outside, join(root, 'folder'))
  const saved = storage.save('folder/new.txt', 'x')
  await expect(saved).rejects.toMatchObject({ code: 'PermissionDenied', message: /link that leads out/ })
})

it('removes no empty folder outside when a save through a link to it is refused', async () => {
  await mkdir(join(outside, 'empty/deeper'), { recursive: true })
  await symlink(outside, join(root, 'folder'))
  const saved = storage.save('folder/empty/deeper/x.txt', 'x')
  await expect(saved).rejects.toMatchObject({ code: 'PermissionDenied' })
  expect(await readdir(join(outside, 'empty'))).toEqual(['deeper'])
})

it('gives a file outside no second name, not for a moment, when it is to be moved away', async () => {
  await symlink(outside, join(root, 'folder'))
  const { ctimeMs } = await stat(join(outside, 'secret.txt'))
  await expect(storage.move('folder/secret.txt', 'x.txt')).rejects.toMatchObject({ code: 'NotFound' })
  expect((await stat(join(outside, 'secret.txt'))).ctimeMs).toBe(ctimeMs)
})

/** Only Linux tells where an opened file is. */
it.runIf(process.platform === 'linux').each(['folder/secret.txt', 'link.txt'])(
  'reads no file outside when a folder is swapped for a link at the last moment: %s',
  async (name) => {
    await storage.save('folder/secret.txt', 'mine')
    await symlink('folder/secret.txt', join(root, 'link.txt'))
    const opened = await inChild('openWhileSwapped', { location: root, name, to: outside })
    expect(opened).toMatchObject({ code: 'NotFound' })
  },
)

it('deletes and replaces a link itself, not what it leads to', async () => {
  await symlink(join(outside, 'secret.txt'), join(root, 'leaf.txt'))
  expect(await storage.save('leaf.txt', 'x')).toMatch(/^leaf_\w{7}\.txt$/)
  await storage.save('leaf.txt', 'replaced', { ifExists: 'overwrite' })
  expect(await readFile(join(root, 'leaf.txt'), 'utf8')).toBe('replaced')
  await symlink(join(outside, 'secret.txt'), join(root, 'another.txt'))
  await storage.delete('another.txt')
  expect(await readFile(join(outside, 'secret.txt'), 'utf8')).toBe('secret')
})

it('works in a root that is a link itself', async () => {
  const linked = join(root, '..', 'linked-root')
  await symlink(root, linked)
  storage = new FileSystemStorage({ location: linked })
  await storage.save('a/x.txt', 'x', { metadata: { by: 'me' } })
  expect(await (await storage.open('a/x.txt')).text()).toBe('x')
  expect(await storage.stat('a/x.txt')).toMatchObject({ metadata: { by: 'me' } })
  expect(await namesIn()).toEqual(['a/x.txt', 'mine.txt'])
  await storage.move('a/x.txt', 'b/y.txt')
  expect(await storage.deletePrefix('b')).toEqual({ deleted: 1 })
})

describe('links that stay inside the root', () => {
  beforeEach(async () => {
    await storage.save('real/x.txt', 'x', { metadata: { by: 'me' } })
    await symlink('real', join(root, 'alias'))
    await symlink('real/x.txt', join(root, 'x-alias.txt'))
    await symlink('x-alias.txt', join(root, 'x-again.txt'))
  })

  it.each(['alias/x.txt', 'x-alias.txt', 'x-again.txt'])('read as what they lead to: %s', async (name) => {
    expect(await (await storage.open(name)).text()).toBe('x')
    expect(await storage.stat(name)).toMatchObject({ size: 1 })
    expect(await storage.exists(name)).toBe(true)
    const copied = await storage.copy(name, 'copied.txt')
    expect(await (await storage.open(copied)).text()).toBe('x')
  })

  it('take saves into a linked folder', async () => {
    await storage.save('alias/y.txt', 'y')
    expect(await readFile(join(root, 'real/y.txt'), 'utf8')).toBe('y')
    expect(await storage.save('alias/x.txt', 'x2')).toMatch(/^alias\/x_\w{7}\.txt$/)
  })

  it('move as what they lead to, and leave that alone', async () => {
    await storage.move('x-alias.txt', 'moved.txt')
    expect(await (await storage.open('moved.txt')).text()).toBe('x')
    expect(await storage.exists('x-alias.txt')).toBe(false)
    expect(await (await storage.open('real/x.txt')).text()).toBe('x')
  })
})

it('does not alter a file outside that has a hard link in the root', async () => {
  await link(join(outside, 'secret.txt'), join(root, 'hard.txt'))
  await storage.save('hard.txt', 'replaced', { ifExists: 'overwrite', metadata: { by: 'me' } })
  expect(await (await storage.open('hard.txt')).text()).toBe('replaced')
  expect(await readFile(join(outside, 'secret.txt'), 'utf8')).toBe('secret')
})

it('changes nothing about a file, nor its hard links, by a move to another type that finds the name taken', async () => {
  await writeFile(join(root, 'photo.png'), 'pixels')
  await link(join(root, 'photo.png'), join(outside, 'hard.png'))
  const before = [await storage.stat('photo.png'), (await stat(join(outside, 'hard.png'))).mtimeMs]
  await storage.save('taken.bin', 'x')
  const moved = storage.move('photo.png', 'taken.bin', { ifExists: 'error' })
  await expect(moved).rejects.toMatchObject({ code: 'AlreadyExists' })
  expect([await storage.stat('photo.png'), (await stat(join(outside, 'hard.png'))).mtimeMs]).toEqual(before)
})

it('follows its own root when a link above it is turned to another folder while it runs', async () => {
  const parent = await newFolder()
  for (const release of ['one', 'two']) {
    await mkdir(join(parent, release, 'docs'), { recursive: true })
    await writeFile(join(parent, release, 'docs/x.txt'), release)
  }
  await symlink('../../one/docs/x.txt', join(parent, 'two/docs/old.txt'))
  await symlink('one', join(parent, 'current'))
  const deployed = new FileSystemStorage({ location: join(parent, 'current') })
  expect(await (await deployed.open('docs/x.txt')).text()).toBe('one')
  await symlink('two', join(parent, 'next'))
  await rename(join(parent, 'next'), join(parent, 'current'))
  expect(await deployed.exists('docs/old.txt')).toBe(false)
  expect(await deployed.exists('docs/x.txt')).toBe(true)
  expect(await (await deployed.open('docs/x.txt')).text()).toBe('two')
  await expect(deployed.open('docs/old.txt')).rejects.toMatchObject({ code: 'NotFound' })
  await deployed.save('docs/y.txt', 'y')
  expect(await readFile(join(parent, 'two/docs/y.txt'), 'utf8')).toBe('y')
})
