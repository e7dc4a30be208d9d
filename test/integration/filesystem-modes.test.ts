import { chmod, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { FileSystemStorage } from 'stowage'
import { describe, expect, it } from 'vitest'
import { inChild } from './child/child.js'
import { filesIn, newFolder } from './child/folders.js'

const modeOf = async (path: string) => ((await stat(path)).mode & 0o7777).toString(8)

describe.each([
  { umask: 0o077, modes: {} },
  { umask: 0o000, modes: {} },
  { umask: 0o077, modes: { fileMode: 0o640, directoryMode: 0o2750 } },
  { umask: 0o000, modes: { fileMode: 0o600, directoryMode: 0o700 } },
])('with umask $umask and $modes', ({ umask, modes }) => {
  it('gives every new file and every new folder exactly the configured mode', async () => {
    const parent = await newFolder()
    const root = join(parent, 'new', 'root')
    await inChild('saveUnderUmask', { location: root, umask, ...modes })
    const { fileMode = 0o644, directoryMode = 0o755 } = modes
    const files = await filesIn(root)
    expect(files.filter((path) => !path.startsWith('.stowage/'))).toEqual([
      'a/b/c/plain.txt',
      'a/d/described.txt',
      'e/f/copied.txt',
    ])
    for (const path of files) {
      expect(`${path} ${await modeOf(join(root, path))}`).toBe(`${path} ${fileMode.toString(8)}`)
    }
    const folders = (await readdir(parent, { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isDirectory())
      .map((entry) => join(entry.parentPath, entry.name))
    expect(folders).toContain(join(root, 'a/b/c'))
    for (const folder of folders) {
      expect(`${folder} ${await modeOf(folder)}`).toBe(`${folder} ${directoryMode.toString(8)}`)
    }
  })
})

describe.each(['EPERM', 'ENOTSUP'])('on a mount that refuses every chmod by %s', (code) => {
  const modesOf = async (root: string) =>
    Promise.all(['', 'a', 'a/b', 'a/b/x.txt'].map((path) => modeOf(join(root, path))))

  it('makes none where the modes are right already', async () => {
    const location = join(await newFolder(), 'new')
    const outcome = await inChild('saveWithoutChmod', { location, code, umask: 0o022 })
    expect(outcome).toEqual({ name: 'a/b/x.txt' })
    expect(await modesOf(location)).toEqual(['755', '755', '755', '644'])
  })

  it('leaves modes to umask and mount where they are null', async () => {
    const location = join(await newFolder(), 'new')
    const modes = { fileMode: null, directoryMode: null }
    expect(await inChild('saveWithoutChmod', { location, code, umask: 0o027, ...modes })).toEqual({
      name: 'a/b/x.txt',
    })
    expect(await modesOf(location)).toEqual(['750', '750', '750', '640'])
  })

  it.each([
    ['directoryMode', {}],
    ['fileMode', { directoryMode: null }],
  ])('names the option %s where a mode is another, and leaves nothing', async (option, modes) => {
    const parent = await newFolder()
    const location = join(parent, 'new', 'root')
    const outcome = await inChild('saveWithoutChmod', { location, code, umask: 0o077, ...modes })
    expect(outcome.code).toBe('PermissionDenied')
    expect(outcome.message).toMatch(new RegExp(`option ${option} to 0o[67]00, or to null`))
    expect(await readdir(parent)).toEqual([])
  })
})

it('leaves the mode of a folder alone that was there before', async () => {
  const root = await newFolder()
  await chmod(root, 0o750)
  await new FileSystemStorage({ location: root }).save('x.txt', 'x')
  expect(await modeOf(root)).toBe('750')
})

it('shows nothing of its own folder, wherever one is, to any method', async () => {
  const root = await newFolder()
  const storage = new FileSystemStorage({ location: root })
  await storage.save('a/x.txt', 'x', { metadata: { by: 'me' } })
  expect((await filesIn(root)).some((path) => path.startsWith('.stowage/meta/'))).toBe(true)
  const listed: string[] = []
  for await (const { name } of storage.list()) listed.push(name)
  expect(listed).toEqual(['a/x.txt'])
  expect(await storage.listdir()).toEqual({ directories: ['a'], files: [] })
  for (const name of ['.stowage/meta/x', '.stowage', 'a/.stowage/x', './.stowage//tmp/x', 'A/.STOWAGE/x']) {
    await expect(storage.save(name, 'x')).rejects.toMatchObject({ code: 'InvalidName' })
    await expect(storage.open(name)).rejects.toMatchObject({ code: 'InvalidName' })
    await expect(storage.exists(name)).rejects.toMatchObject({ code: 'InvalidName' })
    await expect(storage.deletePrefix(name)).rejects.toMatchObject({ code: 'InvalidName' })
  }
})

it('keeps a file under its own name and content, for other programs, and takes theirs with defaults', async () => {
  const root = await newFolder()
  const storage = new FileSystemStorage({ location: root })
  await storage.save('a/photo.png', 'pixels')
  expect(await readFile(join(root, 'a/photo.png'), 'utf8')).toBe('pixels')
  await writeFile(join(root, 'a/by hand.png'), 'drawn')
  expect(await storage.stat('a/by hand.png')).toMatchObject({
    contentType: 'image/png',
    size: 5,
    metadata: {},
  })
})
