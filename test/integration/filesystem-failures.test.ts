import { execFile } from 'node:child_process'
import { createReadStream } from 'node:fs'
import { chmod, mkdir, readdir, readFile, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { FileSystemStorage } from 'stowage'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { inChild } from './child/child.js'
import { filesIn, newFolder, sidecarsIn, temporaryFilesIn } from './child/folders.js'

const run = promisify(execFile)

/** Mounted by a test, taken away after it. */
const mounts: string[] = []
const mount = async (folder: string, size: string) => {
  await run('mount', ['-t', 'tmpfs', '-o', `size=${size},mode=0755`, 'tmpfs', folder])
  mounts.push(folder)
}
const unmount = async () => {
  for (const folder of mounts.splice(0)) await run('umount', ['-l', folder])
}
afterEach(unmount)

const cannotMount = await newFolder()
  .then((folder) => mount(folder, '64k'))
  .then(
    () => unmount().then(() => undefined),
    (error: Error) => error.message,
  )
if (cannotMount !== undefined) {
  console.log(
    `No filesystem can be mounted here, so a full disk and a mount below the root are not tested: ${cannotMount}`,
  )
}

describe.skipIf(cannotMount !== undefined)('on a disk that fills up', () => {
  it('says so, leaves nothing behind and keeps the old file', async () => {
    const root = await newFolder()
    await mount(root, '1m')
    const storage = new FileSystemStorage({ location: root })
    await storage.save('a/x.txt', 'old', { metadata: { by: 'me' } })
    const before = await filesIn(root)
    const full = {
      code: 'Full',
      status: 507,
      retryable: false,
      message: /save "a\/[xy].txt": the disk is full/,
    }
    for (const content of ['x'.repeat(2_000_000), new Blob(['x'.repeat(2_000_000)]).stream()]) {
      await expect(storage.save('a/x.txt', content, { ifExists: 'overwrite' })).rejects.toMatchObject(full)
    }
    await expect(storage.save('a/y.txt', 'y'.repeat(2_000_000))).rejects.toMatchObject(full)
    expect(await filesIn(root)).toEqual(before)
    const file = await storage.open('a/x.txt')
    expect([await file.text(), file.metadata]).toEqual(['old', { by: 'me' }])
    await storage.save('a/z.txt', 'z'.repeat(500_000))
  })

  it('leaves no empty folder behind of a path that it could not make to its end', async () => {
    const root = await newFolder()
    await run('mount', ['-t', 'tmpfs', '-o', 'size=1m,nr_inodes=8,mode=0755', 'tmpfs', root])
    mounts.push(root)
    // The root, the storage's own folders and files take four or five of them; so does a link one.
    const storage = new FileSystemStorage({ location: root })
    await expect(storage.save('a/b/c/d/x.txt', 'x')).rejects.toMatchObject({ code: 'Full' })
    expect(await storage.listdir()).toEqual({ directories: [], files: [] })
    await storage.save('x.txt', 'x')
  })

  it('publishes no file whose metadata did not fit', async () => {
    const root = await newFolder()
    await mount(root, '1m')
    const storage = new FileSystemStorage({ location: root })
    await storage.save('first.txt', 'x', { metadata: { by: 'me' } })
    const before = await filesIn(root)
    // Fits to the last page; the sidecar needs one more.
    const { stdout } = await run('df', ['--output=avail', '-B1', root])
    const content = Buffer.alloc(Number(stdout.split('\n')[1]))
    const save = storage.save('big.bin', content, { metadata: { by: 'me' } })
    await expect(save).rejects.toMatchObject({ code: 'Full' })
    expect(await storage.exists('big.bin')).toBe(false)
    expect(await filesIn(root)).toEqual(before)
  })
})

describe.skipIf(cannotMount !== undefined)('with another filesystem mounted on a folder', () => {
  it('saves, overwrites, copies and moves there and back, metadata included', async () => {
    const root = await newFolder()
    const mounted = join(root, 'mounted')
    await mkdir(mounted)
    await mount(mounted, '8m')
    expect((await stat(mounted)).dev).not.toBe((await stat(root)).dev)
    const storage = new FileSystemStorage({ location: root })
    const metadata = { by: 'me' }
    const expectThere = async (name: string, text: string) => {
      const file = await storage.open(name)
      expect([await file.text(), file.metadata]).toEqual([text, metadata])
      expect((await storage.stat(name)).metadata).toEqual(metadata)
      expect((await stat(storage.path(name))).mode & 0o777).toBe(0o644)
    }
    await storage.save('mounted/a/x.txt', 'one', { metadata })
    await expectThere('mounted/a/x.txt', 'one')
    expect(await storage.save('mounted/a/x.txt', 'two', { metadata })).toMatch(/^mounted\/a\/x_\w{7}\.txt$/)
    await storage.save('mounted/a/x.txt', 'three', { metadata, ifExists: 'overwrite' })
    await expectThere('mounted/a/x.txt', 'three')
    await storage.move('mounted/a/x.txt', 'here.txt')
    await expectThere('here.txt', 'three')
    expect(await storage.exists('mounted/a/x.txt')).toBe(false)
    await storage.move('here.txt', 'mounted/b.txt')
    await expectThere('mounted/b.txt', 'three')
    expect(await storage.exists('here.txt')).toBe(false)
    await storage.move('mounted/b.txt', 'mounted/c/d.txt')
    await expectThere('mounted/c/d.txt', 'three')
    await storage.copy('mounted/c/d.txt', 'mounted/e.txt')
    await expectThere('mounted/e.txt', 'three')
    await storage.delete('mounted/e.txt')
    await expect(storage.save('mounted/big', Buffer.alloc(9_000_000))).rejects.toMatchObject({ code: 'Full' })
    await storage.deletePrefix('mounted/a')
    expect(await temporaryFilesIn(root)).toEqual([])
    expect(await filesIn(mounted)).toEqual(['c/d.txt'])
    expect(await storage.listdir('mounted')).toEqual({ directories: ['c'], files: [] })
    expect(await sidecarsIn(root)).toHaveLength(1)
  })

  it('saves there though another save removes the folder of temporary files', async () => {
    const root = await newFolder()
    const mounted = join(root, 'mounted')
    await mkdir(mounted)
    await mount(mounted, '8m')
    expect(await inChild('saveIntoMount', { location: root, name: 'mounted/x.txt' })).toEqual({
      name: 'mounted/x.txt',
    })
    expect(await readdir(mounted)).toEqual(['x.txt'])
  })
})

it('works without hard links: create-only, overwrite, move and metadata', async () => {
  const root = await newFolder()
  const result = await inChild('withoutHardLinks', { location: root })
  expect(new Set(result.names).size).toBe(20)
  expect(result.contents).toEqual(Array.from({ length: 20 }, (_, index) => `content ${index}`))
  expect(result.apart.filter(({ name }) => name === undefined)).toEqual([])
  expect(result.refused).toMatchObject({ code: 'AlreadyExists' })
  expect(result).toMatchObject({
    moved: 'e/moved.txt',
    text: 'replaced',
    metadata: { by: 'me' },
    sourceExists: false,
  })
  expect(await temporaryFilesIn(root)).toEqual([])
})

it('tells a user who may not write what to do, and still lets him read', async () => {
  const root = await newFolder()
  await new FileSystemStorage({ location: root }).save('there.txt', 'there')
  await chmod(root, 0o555)
  await chmod(join(root, '..'), 0o1777)
  const results = await inChild('writeAsNobody', { location: root })
  await chmod(root, 0o755)
  for (const operation of ['save', 'delete', 'move'] as const) {
    expect(results[operation]).toMatchObject({ code: 'PermissionDenied' })
    expect(results[operation].message).toContain('check owner and mode of the storage folder (EACCES)')
    expect(results[operation].message).not.toContain(root)
    expect(results[operation].cause).toContain(root)
  }
  expect(results.open).toEqual({ name: 'there' })
  expect(await readFile(join(root, 'there.txt'), 'utf8')).toBe('there')
})

it('rejects a list that may not look at a file, and goes on serving', async () => {
  const root = await newFolder()
  const storage = new FileSystemStorage({ location: root })
  for (const name of ['a/x.txt', 'b/x.txt', 'c/x.txt']) await storage.save(name, 'x')
  // The names in it can be read, the files cannot be looked at.
  await chmod(join(root, 'a'), 0o444)
  await chmod(root, 0o755)
  const { outcome } = await inChild('listAsNobody', { location: root })
  await chmod(join(root, 'a'), 0o755)
  expect(outcome).toMatchObject({ code: 'PermissionDenied' })
})

it('lists the root of a disk, whose folder lost+found only the superuser may read', async () => {
  const root = await newFolder()
  await new FileSystemStorage({ location: root }).save('x.txt', 'x')
  await mkdir(join(root, 'lost+found'))
  await chmod(join(root, 'lost+found'), 0)
  await chmod(root, 0o755)
  const { names, outcome } = await inChild('listAsNobody', { location: root })
  expect([names, outcome]).toEqual([['x.txt'], { name: 'end' }])
})

describe.each([
  { what: 'the root is a file', path: 'root', to: null, named: 'the storage folder' },
  { what: 'the root is a link to nothing', path: 'root', to: 'gone', named: 'the storage folder' },
  { what: 'the root is a link to itself', path: 'root', to: 'root', named: 'the storage folder' },
  { what: 'a folder above the root is a link to nothing', path: '', to: 'x', named: 'a folder above' },
  { what: 'a folder above the root is a file', path: '', to: null, named: 'a folder above' },
  { what: '.stowage is a file', path: 'root/.stowage', to: null, named: '".stowage"' },
  { what: '.stowage/tmp is a file', path: 'root/.stowage/tmp', to: null, named: '".stowage/tmp"' },
])('when $what', ({ path, to, named }) => {
  it('says what is in the way of a save, and its path only in the cause', async () => {
    const above = join(await newFolder(), 'above')
    const inTheWay = join(above, path)
    await mkdir(dirname(inTheWay), { recursive: true })
    await (to === null ? writeFile(inTheWay, '') : symlink(to, inTheWay))
    const storage = new FileSystemStorage({ location: join(above, 'root') })
    for (const name of ['x.txt', 'a/b/x.txt']) {
      const saved = storage.save(name, 'x', { metadata: { by: 'me' } })
      await expect(saved).rejects.toMatchObject({
        code: 'Misconfigured',
        message: expect.stringContaining(named),
        cause: { message: expect.stringContaining(inTheWay) },
      })
      await expect(saved).rejects.not.toMatchObject({ message: expect.stringContaining(above) })
    }
  })
})

it.runIf(process.platform === 'linux')('gives up where no folder can be made', async () => {
  const storage = new FileSystemStorage({ location: '/proc/stowage' })
  await expect(storage.save('x.txt', 'x')).rejects.toMatchObject({ code: 'Unavailable' })
})

it('can be tried again when somebody removes the root while a file is being written', async () => {
  const root = join(await newFolder(), 'root')
  const storage = new FileSystemStorage({ location: root })
  async function* removing() {
    yield 'x'
    await rm(root, { recursive: true })
    yield 'y'
  }
  await expect(storage.save('a/b/x.txt', removing())).rejects.toMatchObject({ code: 'Unavailable' })
  expect(await filesIn(root)).toEqual([])
  expect(await storage.save('a/b/x.txt', 'x')).toBe('a/b/x.txt')
})

/** Quotas need a filesystem of their own; network filesystems tell of them only when a file is closed. */
it.each(['write', 'close', 'fsync'] as const)('says Full when a quota ends a %s', async (call) => {
  const location = await newFolder()
  await new FileSystemStorage({ location }).save('kept.txt', 'kept')
  const locations = [location]
  const [outcome] = await inChild('saveFailing', {
    locations,
    name: 'kept.txt',
    call,
    code: 'EDQUOT',
    ifExists: 'overwrite',
  })
  expect(outcome).toMatchObject({ code: 'Full', message: expect.stringContaining('quota') })
  expect(await readFile(join(location, 'kept.txt'), 'utf8')).toBe('kept')
  expect(await temporaryFilesIn(location)).toEqual([])
})

it('lets many more saves succeed at a time than the process may have open files', async () => {
  const root = await newFolder()
  const storage = { kind: 'filesystem', location: root } as const
  const results = await inChild('saveMany', { storage, count: 200 }, { openFiles: 60 })
  expect(results.filter(({ name }) => name === undefined)).toEqual([])
  expect(await temporaryFilesIn(root)).toEqual([])
  const { files } = await new FileSystemStorage({ location: root }).listdir('many')
  expect(files).toHaveLength(200)
})

it('lets many more copies succeed at a time than the process may have open files', async () => {
  const storage = { kind: 'filesystem', location: await newFolder() } as const
  const results = await inChild('copyMany', { storage, count: 200 }, { openFiles: 60 })
  expect(results.filter(({ name }) => name === undefined)).toEqual([])
})

it('ends a copy at once that is aborted while it waits for its turn', async () => {
  const location = await newFolder()
  const storage = new FileSystemStorage({ location })
  await storage.save('from.bin', Buffer.alloc(4_000_000))
  const copies = Array.from({ length: 16 }, (_, index) => storage.copy('from.bin', `${index}.bin`))
  const controller = new AbortController()
  const waiting = storage.copy('from.bin', 'aborted.bin', { signal: controller.signal })
  controller.abort()
  await expect(waiting).rejects.toMatchObject({ code: 'Aborted' })
  await Promise.all(copies)
  expect(await storage.exists('aborted.bin')).toBe(false)
})

it.each([{}, { allowedTypes: ['text/*'] }])(
  'closes the stream that it was given when it cannot even begin, with %o',
  async (rules) => {
    const location = await newFolder()
    await writeFile(join(location, '.stowage'), 'x'.repeat(100_000))
    const stream = createReadStream(join(location, '.stowage'))
    const saved = new FileSystemStorage({ location }).save('x.txt', stream, rules)
    await expect(saved).rejects.toMatchObject({ code: 'Misconfigured' })
    expect(stream.destroyed).toBe(true)
  },
)

/** A save with metadata does each of these calls several times; each of them is made to fail once. */
describe.each([
  { call: 'fsync', ifExists: 'overwrite', name: 'kept/x.txt', count: 4 },
  { call: 'close', ifExists: 'overwrite', name: 'kept/x.txt', count: 4 },
  { call: 'rename', ifExists: 'overwrite', name: 'kept/x.txt', count: 1 },
  { call: 'fsync', ifExists: 'rename', name: 'kept/new.txt', count: 5 },
  { call: 'close', ifExists: 'rename', name: 'kept/new.txt', count: 5 },
  { call: 'link', ifExists: 'rename', name: 'kept/new.txt', count: 1 },
] as const)(
  'when a call of $call fails in a save with ifExists: $ifExists',
  ({ call, ifExists, name, count }) => {
    it('rejects and leaves nothing behind; what was there stays, with its own metadata', async () => {
      const locations: string[] = []
      const before: string[][] = []
      for (let nth = 1; nth <= count + 1; nth++) {
        const location = await newFolder()
        const storage = new FileSystemStorage({ location, fsync: false })
        await storage.save('kept/x.txt', 'old', { metadata: { by: 'another' } })
        // The sweep that the first save sets off has made its mark.
        await vi.waitFor(async () => expect(await filesIn(location)).toContain('.stowage/swept'))
        locations.push(location)
        before.push(await filesIn(location))
      }
      const outcomes = await inChild('saveFailing', { locations, name, call, ifExists })
      // One more than there are calls: nothing fails.
      expect(outcomes.pop()).toEqual({ name })
      locations.pop()
      for (const [index, location] of locations.entries()) {
        expect(outcomes[index]).toMatchObject({ code: 'Unknown', message: expect.stringContaining('EIO') })
        const file = await new FileSystemStorage({ location }).open('kept/x.txt')
        // The last call comes after the replacement, which nothing can bring back: whole, but perhaps not durable.
        const replaced = ifExists === 'overwrite' && call !== 'rename' && index === count - 1
        expect([await file.text(), file.metadata]).toEqual(
          replaced ? ['new', { by: 'me' }] : ['old', { by: 'another' }],
        )
        if (replaced) expect(await temporaryFilesIn(location)).toEqual([])
        else expect(await filesIn(location)).toEqual(before[index])
      }
    })
  },
)

it('says what to do where a file is too large for one buffer, and a stream still reads it', async () => {
  const root = await newFolder()
  await writeFile(join(root, 'sparse.bin'), '')
  await truncate(join(root, 'sparse.bin'), 2 ** 43)
  const storage = new FileSystemStorage({ location: root })
  const whole = (await storage.open('sparse.bin')).bytes()
  await expect(whole).rejects.toMatchObject({ code: 'InvalidArgument', message: /use stream\(\)/ })
  for await (const chunk of await storage.open('sparse.bin')) {
    expect(chunk.length).toBeGreaterThan(0)
    break
  }
})
