import { symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { FileSystemStorage } from 'stowage'
import { beforeEach, expect, it } from 'vitest'
import { inChild, startChild } from './child/child.js'
import { filesIn, newFolder, sidecarsIn, temporaryFilesIn } from './child/folders.js'
import { contentOf, type StorageChoice } from './child/programs.js'

let root: string
let storage: FileSystemStorage
let choice: StorageChoice

beforeEach(async () => {
  root = join(await newFolder(), 'root')
  storage = new FileSystemStorage({ location: root })
  choice = { kind: 'filesystem', location: root, fsync: false }
})

const textOf = async (name: string) => (await storage.open(name)).text()

it('never shows readers the content of one version with the metadata of another', async () => {
  await storage.save('d/hot.txt', contentOf('plain', 0))
  const ms = 2_000
  const writers = await Promise.all(
    ['one', 'two'].map((who) => startChild('overwriteForAWhile', { storage: choice, who, ms })),
  )
  const readers = await Promise.all([1, 2].map(() => startChild('readForAWhile', { storage: choice, ms })))
  for (const child of [...writers, ...readers]) child.go()
  const saves = await Promise.all(writers.map((child) => child.result))
  const reads = await Promise.all(readers.map((child) => child.result))
  for (const each of saves) expect(each.saves).toBeGreaterThan(10)
  for (const each of reads) {
    expect(each.mismatches).toEqual([])
    expect(each.reads).toBeGreaterThan(10)
  }
  expect(await temporaryFilesIn(root)).toEqual([])
})

it('keeps the metadata of a file whose former version, of the same inode, time and size, is being cleared away', async () => {
  // The filesystem gives the third version the inode of the first more often than not.
  for (let round = 0; round < 3; round++) {
    const { text, metadata } = await inChild('overwriteInOneMoment', { location: join(root, `${round}`) })
    expect([text, metadata]).toEqual(['v3', { version: 'v3' }])
  }
})

it('loses no save in a folder that deletes prune at the same time', async () => {
  const ms = 1_500
  const children = await Promise.all(
    ['a', 'b', 'c'].map((who) => startChild('saveAmongPrunes', { storage: choice, who, ms })),
  )
  for (const child of children) child.go()
  for (const child of children) {
    const { saves, lost } = await child.result
    expect(lost).toEqual([])
    expect(saves).toBeGreaterThan(10)
  }
  expect((await filesIn(root)).filter((path) => !path.startsWith('.stowage/'))).toEqual([])
  expect(await storage.listdir()).toEqual({ directories: [], files: [] })
  expect(await sidecarsIn(root)).toEqual([])
})

it('lets a save succeed in a folder that is deleted as a whole again and again', async () => {
  const ms = 1_000
  const argument = { storage: choice, prefix: 'p', ms }
  const deleting = await startChild('deletePrefixForAWhile', argument)
  const saving = await startChild('saveAmongDeletes', argument)
  deleting.go()
  saving.go()
  expect((await saving.result).errors).toEqual([])
  expect((await deleting.result).deleted).toBeGreaterThan(0)
  expect(await temporaryFilesIn(root)).toEqual([])
})

it('moves onto an existing file in one step, or beside it', async () => {
  await storage.save('a.txt', 'a', { metadata: { by: 'a' } })
  await storage.save('b.txt', 'b', { metadata: { by: 'b' } })
  const beside = await storage.move('a.txt', 'b.txt')
  expect(beside).toMatch(/^b_\w{7}\.txt$/)
  await expect(storage.move(beside, 'b.txt', { ifExists: 'error' })).rejects.toMatchObject({
    code: 'AlreadyExists',
  })
  expect(await textOf(beside)).toBe('a')
  expect(await storage.move(beside, 'b.txt', { ifExists: 'overwrite' })).toBe('b.txt')
  expect(await textOf('b.txt')).toBe('a')
  expect((await storage.stat('b.txt')).metadata).toEqual({ by: 'a' })
  expect(await storage.listdir()).toEqual({ directories: [], files: ['b.txt'] })
  expect(await sidecarsIn(root)).toHaveLength(1)
})

it('keeps a file that is moved onto itself through a linked folder', async () => {
  await storage.save('real/x.txt', 'x', { metadata: { by: 'me' } })
  await symlink('real', join(root, 'alias'))
  await storage.move('real/x.txt', 'alias/x.txt', { ifExists: 'overwrite' })
  expect(await textOf('real/x.txt')).toBe('x')
  expect((await storage.stat('real/x.txt')).metadata).toEqual({ by: 'me' })
  const renamed = await storage.move('real/x.txt', 'alias/x.txt')
  expect(await textOf(renamed)).toBe('x')
  expect((await storage.listdir('real')).files).toHaveLength(1)
})

it('loses neither version when the source of a move is overwritten at the same time', async () => {
  for (let round = 0; round < 40; round++) {
    const [from, to] = [`from-${round}.txt`, `to-${round}.txt`]
    await storage.save(from, 'old', { metadata: { version: 'old' } })
    const [moved] = await Promise.all([
      storage.move(from, to),
      storage.save(from, 'new', { ifExists: 'overwrite', metadata: { version: 'new' } }),
    ])
    const versions: (string | undefined)[] = []
    for (const name of [from, moved]) {
      if (!(await storage.exists(name))) continue
      const file = await storage.open(name)
      const text = await file.text()
      expect(file.metadata).toEqual({ version: text })
      versions.push(text)
    }
    expect(versions).toContain('new')
  }
  expect(await temporaryFilesIn(root)).toEqual([])
})

it.each(['x.txt', 'folder/x.txt'])(
  'opens the newer version where one with metadata is replaced at the same moment: %s',
  async (name) => {
    const opened = await inChild('openWhileReplaced', { location: root, name })
    expect(opened).toEqual({ text: 'newer', metadata: {} })
  },
)

it('keeps the metadata of a moved file whose sidecar another move, which failed, has taken for its own', async () => {
  expect(await inChild('moveBesideFailedMove', { location: root })).toEqual({
    failed: 'AlreadyExists',
    text: 'moved',
    metadata: { by: 'me' },
  })
})

it.each([true, false])(
  'loses no version that comes in the last moment of a move, with hard links: %s',
  async (hardLinks) => {
    expect(await inChild('moveOfReplaced', { location: root, hardLinks })).toBe('y.txt')
    expect([await textOf('docs/x.txt'), await textOf('y.txt')]).toEqual(['newer', 'moved'])
    expect(await temporaryFilesIn(root)).toEqual([])
  },
)

it('lets just one of many moves of a file win, and copies of a file that goes be whole or not be', async () => {
  for (let round = 0; round < 10; round++) {
    const from = `from-${round}.txt`
    await storage.save(from, 'x'.repeat(100_000), { metadata: { by: 'me' } })
    const moves = Array.from({ length: 8 }, (_, index) => storage.move(from, `to-${round}-${index}.txt`))
    const copy = storage.copy(from, `copy-${round}.txt`)
    const moved = await Promise.allSettled(moves)
    const [copied] = await Promise.allSettled([copy])
    const stored = moved.filter((result) => result.status === 'fulfilled')
    expect(stored.length).toBeGreaterThan(0)
    if (copied?.status === 'fulfilled') expect((await textOf(copied.value)).length).toBe(100_000)
    for (const result of [...moved, copied]) {
      if (result?.status === 'rejected') expect(result.reason).toMatchObject({ code: 'NotFound' })
    }
    expect(await storage.exists(from)).toBe(false)
  }
  expect(await temporaryFilesIn(root)).toEqual([])
})

it('never reads another file through the descriptor of one that was closed in the midst of a read', async () => {
  await storage.save('a.bin', Buffer.alloc(1024 * 1024, 'a'))
  await storage.save('b.bin', Buffer.alloc(1024 * 1024, 'b'))
  let others = 0
  for (let round = 0; round < 100; round++) {
    const file = await storage.open('a.bin')
    const stream = file.stream().on('error', () => {})
    stream.on('data', (chunk: Buffer) => {
      if (chunk[0] !== 97 || chunk.at(-1) !== 97) others += 1
    })
    const closed = file.close()
    const [, next] = await Promise.all([closed, storage.open('b.bin')])
    expect((await next.bytes()).equals(Buffer.alloc(1024 * 1024, 'b'))).toBe(true)
    stream.destroy()
  }
  expect(others).toBe(0)
})

it('leaves nothing behind where several moves of one file to one name meet', async () => {
  for (let round = 0; round < 100; round++) {
    await storage.save('from.txt', 'content', { ifExists: 'overwrite' })
    const moves = Array.from({ length: 8 }, () =>
      storage.move('from.txt', 'to.txt', { ifExists: 'overwrite' }),
    )
    const outcomes = await Promise.allSettled(moves)
    expect(outcomes.some(({ status }) => status === 'fulfilled')).toBe(true)
    expect(await textOf('to.txt')).toBe('content')
  }
  expect(await temporaryFilesIn(root)).toEqual([])
})
