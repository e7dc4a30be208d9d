import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import {
  defaultStorage,
  FileSystemStorage,
  isStorageError,
  MemoryStorage,
  type MigrateOptions,
  type MigrateProgress,
  migrate,
  mirror,
  type OpenedFile,
  orphans,
  Problem,
  prefixed,
  R2Storage,
  readOnly,
  readThrough,
  type Storage,
  StorageError,
  setDefaultStorage,
  sweep,
  usage,
  warm,
} from 'stowage'
import { afterAll, afterEach, beforeAll, describe, it, vi } from 'vitest'
import { ofBytes } from '../../src/content.js'
import { AS_R2, optionsOf, type StrictR2, startStrictR2 } from '../servers/r2.js'
import { altered } from './altered.js'

const SAVED = { contentType: 'application/x-note', cacheControl: 'no-cache', metadata: { author: 'Zoë' } }

/** Everything a caller can see of a storage's files. */
async function contents(storage: Storage, prefix = ''): Promise<Record<string, unknown>> {
  const all: Record<string, unknown> = {}
  const names: string[] = []
  for await (const { name } of storage.list(prefix)) {
    names.push(name)
    all[name] = undefined
  }
  const read = async (name: string) => {
    const file = await storage.open(name)
    const { contentType, cacheControl, contentDisposition, contentLanguage, contentEncoding, metadata } = file
    const headers = { cacheControl, contentDisposition, contentLanguage, contentEncoding }
    const md5 = createHash('md5')
      .update(await file.bytes())
      .digest('hex')
    all[name] = { contentType, ...headers, metadata: { ...metadata }, md5 }
  }
  await Promise.all(names.map(read))
  return all
}

async function filled(files: Record<string, string>): Promise<MemoryStorage> {
  const storage = new MemoryStorage()
  for (const [name, text] of Object.entries(files)) await storage.save(name, text)
  return storage
}

async function text(storage: Storage, name: string): Promise<string> {
  return (await storage.open(name)).text()
}

function code(expected: string) {
  return (error: unknown) => {
    assert.ok(isStorageError(error), String(error))
    assert.equal(error.code, expected, error.message)
    return true
  }
}

const folders: string[] = []
async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'stowage-migrate-'))
  folders.push(path)
  return path
}
afterAll(async () => {
  for (const path of folders) await rm(path, { recursive: true, force: true })
})

describe('a migration', () => {
  it('copies content, type, headers and metadata under the same names', async () => {
    const source = new MemoryStorage()
    await source.save('a/Ünï 😀 #1?.txt', 'one', {
      ...SAVED,
      contentDisposition: 'inline',
      contentLanguage: 'de',
    })
    await source.save('b.bin', new Uint8Array(300_000).fill(7), { contentEncoding: 'gzip' })
    await source.save('empty', '')
    const target = new MemoryStorage()
    const result = await migrate(source, target)
    assert.deepEqual(result, { copied: 3, skipped: 0, failed: [], bytes: 300_003 })
    assert.deepEqual(await contents(target), await contents(source))
  })

  it('run twice copies nothing the second time', async () => {
    const source = await filled({ a: '1', 'b/c': '2' })
    const target = new MemoryStorage()
    await migrate(source, target)
    assert.deepEqual(await migrate(source, target), { copied: 0, skipped: 2, failed: [], bytes: 0 })
  })

  it('of nothing is nothing', async () => {
    const result = await migrate(new MemoryStorage(), new MemoryStorage(), { prefix: 'not/there' })
    assert.deepEqual(result, { copied: 0, skipped: 0, failed: [], bytes: 0 })
  })

  it('takes the files below prefix, and no sibling, and puts them below targetPrefix', async () => {
    const source = await filled({ 'users/1/a': 'a', 'users/1/b/c': 'c', 'users/10/d': 'd', 'users/1': 'e' })
    const target = new MemoryStorage()
    await migrate(source, target, { prefix: 'users/1/', targetPrefix: 'old/people' })
    assert.deepEqual(Object.keys(await contents(target)), ['old/people/a', 'old/people/b/c'])
  })

  it('leaves what else the target has alone', async () => {
    const target = await filled({ mine: 'mine' })
    await migrate(await filled({ a: '1' }), target)
    assert.equal(await text(target, 'mine'), 'mine')
  })

  it('reports progress after each file, and at last everything', async () => {
    const source = await filled({ a: '1', b: '22', c: '333', d: 'other' })
    const target = await filled({ a: '1', d: 'owner' })
    const seen: MigrateProgress[] = []
    await migrate(source, target, { concurrency: 1, onProgress: (progress) => seen.push(progress) })
    assert.deepEqual(
      seen.map(({ error, ...progress }) => ({ ...progress, ...(error && { code: error.code }) })),
      [
        { name: 'a', copied: 0, skipped: 1, failed: 0, bytes: 0 },
        { name: 'b', copied: 1, skipped: 1, failed: 0, bytes: 2 },
        { name: 'c', copied: 2, skipped: 1, failed: 0, bytes: 5 },
        { name: 'd', copied: 2, skipped: 1, failed: 1, bytes: 5, code: 'AlreadyExists' },
      ],
    )
  })

  it('ends with the error that onProgress throws, also about a name that is refused', async () => {
    const location = await folder()
    await writeFile(join(location, 'cafe\u0301'), 'NFD')
    const failure = Object.assign(new Error('enough'), { code: 'ENOENT' })
    const throwing = () => {
      throw failure
    }
    const source = new FileSystemStorage({ location })
    for (const transfer of [migrate, mirror]) {
      const running = transfer(source, new MemoryStorage(), { onProgress: throwing })
      await assert.rejects(running, (error) => error === failure)
    }
    for (const look of [
      async () => {
        for await (const _ of source.list('', { onInvalidName: throwing }));
      },
      () => source.listdir('', { onInvalidName: throwing }),
    ]) {
      await assert.rejects(look(), (error) => error === failure)
    }
  })

  it('ends with the error that onProgress throws', async () => {
    const source = await filled(Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`f${i}`, 'x'])))
    const target = new MemoryStorage()
    const error = new Error('enough')
    const onProgress = () => {
      throw error
    }
    await assert.rejects(migrate(source, target, { onProgress, concurrency: 2 }), (e) => e === error)
    assert.ok(Object.keys(await contents(target)).length <= 2)
  })

  it('works with the default storage on either side', async () => {
    const memory = new MemoryStorage()
    using _ = setDefaultStorage(memory)
    await migrate(await filled({ a: '1' }), defaultStorage)
    const back = new MemoryStorage()
    await migrate(defaultStorage, back)
    assert.equal(await text(back, 'a'), '1')
  })

  it('keeps no more than `concurrency` files on their way, and uses them', async () => {
    let running = 0
    let most = 0
    const counting = altered(new MemoryStorage(), (inner) => ({
      stage: async (request) => {
        most = Math.max(most, ++running)
        await new Promise((resolve) => setTimeout(resolve, 5))
        try {
          return await inner.stage(request)
        } finally {
          running--
        }
      },
    }))
    const source = await filled(Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`f${i}`, 'x'])))
    await migrate(source, counting, { concurrency: 5 })
    assert.equal(most, 5)
  })

  it('asks the source for no more names than it needs', async () => {
    let listed = 0
    class Endless extends MemoryStorage {
      override async *list() {
        for (;;) yield { name: `f${listed++}`, size: 1, lastModified: new Date(), etag: '"x"' }
      }
    }
    const controller = new AbortController()
    let done = 0
    const onProgress = () => {
      if (++done === 50) controller.abort()
    }
    const running = migrate(new Endless(), new MemoryStorage(), {
      signal: controller.signal,
      onProgress,
      concurrency: 4,
    })
    await assert.rejects(running, code('Aborted'))
    assert.ok(listed <= 60, `${listed} names for 50 files`)
  })
})

describe('what the target has already', () => {
  const source = () => filled({ same: 'abc', other: 'abc', longer: 'abc', free: 'abc' })
  const target = () => filled({ same: 'abc', other: 'abd', longer: 'abcd' })

  it('is left alone when it is the same and reported when it differs, also at the same size', async () => {
    const to = await target()
    const { copied, skipped, failed } = await migrate(await source(), to)
    assert.deepEqual([copied, skipped], [1, 1])
    assert.deepEqual(
      failed.map(({ name, error }) => [name, error.code, error.name, error.status]),
      [
        ['longer', 'AlreadyExists', 'FileExistsError', 409],
        ['other', 'AlreadyExists', 'FileExistsError', 409],
      ],
    )
    assert.equal(await text(to, 'other'), 'abd')
  })

  it("fails with 'error', the same or not", async () => {
    const { copied, skipped, failed } = await migrate(await source(), await target(), { ifExists: 'error' })
    assert.deepEqual(
      [copied, skipped, failed.map(({ error }) => error.code)],
      [1, 0, Array(3).fill('AlreadyExists')],
    )
  })

  it("is replaced with 'overwrite', headers and all", async () => {
    const from = await source()
    await from.save('other', 'new', { ...SAVED, ifExists: 'overwrite' })
    const to = await target()
    const { copied, failed } = await migrate(from, to, { ifExists: 'overwrite' })
    assert.deepEqual([copied, failed], [4, []])
    assert.deepEqual(await contents(to), await contents(from))
  })

  it('is compared by content where ETags tell nothing', async () => {
    const disk = () => folder().then((location) => new FileSystemStorage({ location, fsync: false }))
    const [from, to] = [await disk(), await disk()]
    for (const storage of [from, to]) await storage.save('same', 'abc')
    await from.save('other', 'abc')
    await to.save('other', 'abd')
    const { copied, skipped, failed } = await migrate(from, to)
    assert.deepEqual([copied, skipped, failed.map(({ name }) => name)], [0, 1, ['other']])
  })

  it.each([false, true])(
    'is not taken for the same by an ETag that only looks like an MD5 (verify: %s)',
    async (verify) => {
      const from = await filled({ a: 'abc', b: 'abc' })
      const to = altered(new MemoryStorage(), (inner) => ({
        head: async (...args) => {
          const state = await inner.head(...args)
          return state && { ...state, etag: `"${'0123456789abcdef'.repeat(2)}"` }
        },
      }))
      await to.save('a', 'abc')
      await to.save('b', 'abd')
      const { skipped, failed } = await migrate(from, to, { verify })
      assert.deepEqual([skipped, failed.map(({ name }) => name)], [1, ['b']])
    },
  )

  it('may appear while its turn comes: the same content is skipped, other content is never overwritten', async () => {
    // Somebody else stores each file just before it is published.
    const to = altered(new MemoryStorage(), (inner) => ({
      stage: async (request) => {
        const staged = await inner.stage(request)
        const bytes = Buffer.from(request.name === 'a' ? 'abc' : 'abd')
        const first = await inner.stage({ ...request, body: ofBytes(bytes) })
        await first.publish(request.name, true)
        return staged
      },
    }))
    const { copied, skipped, failed } = await migrate(await filled({ a: 'abc', b: 'abc' }), to)
    assert.deepEqual(
      [copied, skipped, failed.map(({ name, error }) => [name, error.code])],
      [0, 1, [['b', 'AlreadyExists']]],
    )
    assert.equal(await text(to, 'b'), 'abd')
  })
})

describe('a file that fails', () => {
  it('is reported by its name in the source and stops no other', async () => {
    const source = await filled({ 'in/a': '1', 'in/a/b': '2', 'in/c': '3' })
    const location = await folder()
    const target = new FileSystemStorage({ location, fsync: false })
    // A disk cannot hold `a` and `a/b`.
    const { copied, failed } = await migrate(source, target, { prefix: 'in', concurrency: 1 })
    assert.equal(copied, 2)
    assert.deepEqual(
      failed.map(({ name, error }) => [name, error.code]),
      [['in/a/b', 'AlreadyExists']],
    )
  })

  it('because it vanished after it was listed is NotFound', async () => {
    const source = await filled({ a: '1', b: '2' })
    class Vanishing extends MemoryStorage {
      override async *list() {
        yield* source.list()
        yield { name: 'gone', size: 1, lastModified: new Date(), etag: '"x"' }
      }
      override open(...args: Parameters<MemoryStorage['open']>) {
        return source.open(...args)
      }
    }
    const { copied, failed } = await migrate(new Vanishing(), new MemoryStorage())
    assert.deepEqual(
      [copied, failed.map(({ name, error }) => [name, error.code])],
      [2, [['gone', 'NotFound']]],
    )
  })

  it('frees what was opened of it', async () => {
    const location = await folder()
    const source = new FileSystemStorage({ location, fsync: false })
    for (let index = 0; index < 50; index++) await source.save(`${index}.txt`, 'x')
    class Refusing extends MemoryStorage {
      override async save(): Promise<never> {
        throw new Error('no')
      }
    }
    const descriptors = async () => (await readdir('/proc/self/fd')).length
    const before = await descriptors()
    assert.equal((await migrate(source, new Refusing())).failed.length, 50)
    await vi.waitUntil(async () => (await descriptors()) < before + 10)
  })

  it('because the naming rule refuses its name is InvalidName, and never passed over', async () => {
    const location = await folder()
    for (const name of ['good.txt', 're\u0301sume\u0301.txt', 'a\nb.txt'])
      await writeFile(join(location, name), 'x')
    const target = new MemoryStorage()
    const result = await migrate(new FileSystemStorage({ location }), target)
    assert.deepEqual(result.failed.map(({ name, error }) => [name, error.code]).sort(), [
      ['a\nb.txt', 'InvalidName'],
      ['re\u0301sume\u0301.txt', 'InvalidName'],
    ])
    assert.equal(result.copied, 1)
  })

  it('because its name gets too long below targetPrefix is InvalidName', async () => {
    const long = Array(5).fill('x'.repeat(200)).join('/')
    const { copied, failed } = await migrate(await filled({ [long]: '1', b: '2' }), new MemoryStorage(), {
      targetPrefix: 'deep/below/here/or/there',
    })
    assert.deepEqual([copied, failed.map(({ error }) => error.code)], [1, ['InvalidName']])
  })

  it('with an error that is not of this package is Unknown, with that error as its cause', async () => {
    const cause = new Error('boom')
    class Broken extends MemoryStorage {
      override async open(): Promise<never> {
        throw cause
      }
      override async *list() {
        yield { name: 'a', size: 1, lastModified: new Date(), etag: '"x"' }
      }
    }
    const { failed } = await migrate(new Broken(), new MemoryStorage())
    assert.deepEqual(
      failed.map(({ error }) => [error.code, error.cause]),
      [['Unknown', cause]],
    )
  })

  it('in the listing itself ends the migration, after what is under way', async () => {
    class Broken extends MemoryStorage {
      override async *list() {
        yield* super.list()
        throw new StorageError('Unavailable', { operation: 'list', reason: 'no network' })
      }
    }
    const source = new Broken()
    await source.save('a', '1')
    await assert.rejects(migrate(source, new MemoryStorage()), code('Unavailable'))
  })
})

describe('verify', () => {
  /** Damages the file `bad` when it is stored. */
  function corrupting(damage: (bytes: Buffer) => Uint8Array, sound = new MemoryStorage()): Storage {
    return altered(sound, (inner) => ({
      stage: async (request) => {
        if (request.name !== 'bad') return inner.stage(request)
        const chunks: Uint8Array[] = []
        for await (const chunk of request.body.chunks()) chunks.push(chunk)
        const bytes = damage(Buffer.concat(chunks))
        const body = {
          ...request.body,
          async *chunks() {
            yield bytes
          },
        }
        return inner.stage({ ...request, body })
      },
    }))
  }
  const damages: [string, (bytes: Buffer) => Uint8Array][] = [
    ['one bit is wrong', (bytes) => bytes.map((byte, i) => (i === 1 ? byte ^ 1 : byte))],
    ['the end is missing', (bytes) => bytes.subarray(0, -1)],
    ['something was added', (bytes) => Buffer.concat([bytes, Buffer.from('!')])],
  ]

  it.each(damages)('finds a copy where %s, deletes it and the next run mends it', async (_, damage) => {
    const source = await filled({ bad: 'abc', good: 'abc' })
    const target = new MemoryStorage()
    const first = await migrate(source, corrupting(damage, target), { verify: true })
    assert.deepEqual(
      [first.copied, first.bytes, first.failed.map(({ name, error }) => [name, error.code])],
      [1, 3, [['bad', 'Corrupt']]],
    )
    assert.equal(await target.exists('bad'), false)
    assert.deepEqual(await migrate(source, target, { verify: true }), {
      copied: 1,
      skipped: 1,
      failed: [],
      bytes: 3,
    })
    assert.deepEqual(await contents(target), await contents(source))
  })

  it('says so when the broken copy could not be deleted', async () => {
    const target = altered(
      corrupting((bytes) => bytes.subarray(1)),
      () => ({
        remove: async () => {
          throw new Problem('PermissionDenied', 'not allowed')
        },
      }),
    )
    const { failed } = await migrate(await filled({ bad: 'abc' }), target, { verify: true })
    assert.match(failed[0]?.error.message ?? '', /could not be deleted/)
    assert.ok(isStorageError(failed[0]?.error.cause))
    // The next run finds it, whether it verifies or not.
    const again = await migrate(await filled({ bad: 'abc' }), target)
    assert.equal(again.failed[0]?.error.code, 'AlreadyExists')
  })

  it('leaves alone what somebody else saved there meanwhile', async () => {
    class Busy extends MemoryStorage {
      override async stat(...given: Parameters<MemoryStorage['stat']>) {
        const info = await super.stat(...given)
        if (given[0] === 'bad') await super.save('bad', 'newer', { ifExists: 'overwrite' })
        return info
      }
    }
    const target = new Busy()
    const { failed } = await migrate(await filled({ bad: 'abc' }), target, {
      verify: true,
      ifExists: 'overwrite',
    })
    assert.deepEqual(
      failed.map(({ error }) => error.code),
      ['Corrupt'],
    )
    assert.equal(await text(target, 'bad'), 'newer')
  })

  it('passes good copies of every size', async () => {
    const source = new MemoryStorage()
    for (const size of [0, 1, 65_536, 1_000_001]) await source.save(`f${size}`, randomBytes(size))
    const target = new MemoryStorage()
    const result = await migrate(source, target, { verify: true })
    assert.deepEqual([result.copied, result.failed], [4, []])
    assert.deepEqual(await contents(target), await contents(source))
  })
})

describe('dryRun', () => {
  it.each(['skip', 'overwrite', 'error'] as const)(
    'says what ifExists: %s would do and writes nothing',
    async (ifExists) => {
      const source = await filled({ same: 'abc', other: 'abc', free: 'abcd' })
      const target = await filled({ same: 'abc', other: 'abd' })
      const before = await contents(target)
      const names = (failed: readonly { name: string }[]) => failed.map(({ name }) => name)
      const dry = await migrate(source, target, { ifExists, dryRun: true })
      assert.deepEqual(await contents(target), before)
      const wet = await migrate(source, target, { ifExists })
      assert.deepEqual({ ...dry, failed: names(dry.failed) }, { ...wet, failed: names(wet.failed) })
    },
  )
})

describe('an abort', () => {
  /** A body that never gives anything. */
  function silent(opened: OpenedFile): OpenedFile {
    const body = { bytes: () => new Promise<Buffer>(() => {}), stream: () => new Readable({ read() {} }) }
    return { ...opened, body: { ...opened.body, ...body } }
  }

  it('before the start does nothing', async () => {
    const target = new MemoryStorage()
    const reason = new Error('no')
    const run = migrate(await filled({ a: '1' }), target, { signal: AbortSignal.abort(reason) })
    await assert.rejects(
      run,
      (error) => code('Aborted')(error) && isStorageError(error) && error.cause === reason,
    )
    assert.deepEqual(await contents(target), {})
  })

  it('in the midst ends promptly, the source stalling or not, and running again makes an exact copy', async () => {
    const files = await filled(
      Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`f${i}`, `text ${i}`])),
    )
    let stall = true
    let stalled = 0
    const source = altered(new MemoryStorage(), (inner) => ({
      read: async (request) => {
        const opened = await inner.read(request)
        return stall && ++stalled >= 10 ? silent(opened) : opened
      },
    }))
    await migrate(files, source)
    const location = await folder()
    const target = new FileSystemStorage({ location, fsync: false })
    const controller = new AbortController()
    const run = migrate(source, target, { signal: controller.signal, concurrency: 4 })
    await new Promise((resolve) => setTimeout(resolve, 300))
    const start = performance.now()
    controller.abort()
    await assert.rejects(run, code('Aborted'))
    assert.ok(performance.now() - start < 1000)
    assert.deepEqual(await readdir(join(location, '.stowage', 'tmp')), [])
    const part = Object.keys(await contents(target)).length
    assert.ok(part > 0 && part < 30, `${part} files`)
    stall = false
    const result = await migrate(source, target)
    assert.deepEqual([result.copied, result.skipped, result.failed], [30 - part, part, []])
    assert.deepEqual(await contents(target), await contents(files))
  })

  it('while files are compared ends promptly, too', async () => {
    const target = altered(new MemoryStorage(), (inner) => ({
      read: async (request) => silent(await inner.read(request)),
    }))
    await target.save('a', 'abd')
    const controller = new AbortController()
    const run = migrate(await filled({ a: 'abc' }), target, { signal: controller.signal })
    setTimeout(() => controller.abort(), 100)
    await assert.rejects(run, code('Aborted'))
  })
})

describe('what is refused', () => {
  const bad: [string, object][] = [
    ['concurrency 0', { concurrency: 0 }],
    ['concurrency 1.5', { concurrency: 1.5 }],
    ['concurrency beyond all measure', { concurrency: 1e9 }],
    ['an unknown ifExists', { ifExists: 'rename' }],
    ['a misspelt option', { dryrun: true }],
    ['a dryRun that is no boolean', { dryRun: 'false' }],
    ['a verify that is no boolean', { verify: 1 }],
    ['an onProgress that is no function', { onProgress: true }],
    ['a signal that is not an AbortSignal', { signal: new AbortController() }],
  ]
  it.each(bad)('%s is InvalidArgument, and nothing is copied', async (_, options) => {
    const target = new MemoryStorage()
    await assert.rejects(
      migrate(await filled({ a: '1' }), target, options as MigrateOptions),
      code('InvalidArgument'),
    )
    assert.deepEqual(await contents(target), {})
  })

  it.each(['/a', '../a', 'a/../b', '.stowage'])('the prefix %s is InvalidName', async (prefix) => {
    await assert.rejects(migrate(new MemoryStorage(), new MemoryStorage(), { prefix }), code('InvalidName'))
    await assert.rejects(
      migrate(new MemoryStorage(), new MemoryStorage(), { targetPrefix: prefix }),
      code('InvalidName'),
    )
  })

  it('a prefix of null, of a variable that is not set, is InvalidName and not everything', async () => {
    const none: string = JSON.parse('null')
    const storage = await filled({ a: '1' })
    for (const options of [{ prefix: none }, { targetPrefix: none }]) {
      await assert.rejects(migrate(new MemoryStorage(), storage, options), code('InvalidName'))
      await assert.rejects(
        mirror(new MemoryStorage(), storage, { ...options, force: true }),
        code('InvalidName'),
      )
    }
    await assert.rejects(usage(storage, { prefix: none }), code('InvalidName'))
    await assert.rejects(warm(storage, { prefix: none }), code('InvalidName'))
    const asked = orphans(storage, () => [], { prefix: none, olderThan: 0 })
    await assert.rejects(asked[Symbol.asyncIterator]().next(), code('InvalidName'))
    assert.throws(() => new R2Storage({ ...R2_KEYS, prefix: none }), code('Misconfigured'))
    await assert.rejects(sweep(storage, { olderThan: JSON.parse('null') }), code('InvalidArgument'))
    assert.deepEqual(Object.keys(await contents(storage)), ['a'])
  })

  const overlaps: [string | undefined, string | undefined][] = [
    [undefined, undefined],
    [undefined, 'backup'],
    ['a', undefined],
    ['a', 'a'],
    ['a', './a/'],
    ['a', 'a/b'],
    ['a/b', 'a'],
  ]
  it.each(overlaps)('within one storage, %s to %s', async (prefix, targetPrefix) => {
    const location = await folder()
    const pairs: [Storage, Storage][] = [
      [new FileSystemStorage({ location }), new FileSystemStorage({ location: `${location}/.` })],
      [new R2Storage({ ...R2_KEYS, prefix: 'p' }), new R2Storage({ ...R2_KEYS, prefix: 'p/' })],
    ]
    const memory = new MemoryStorage()
    pairs.push([memory, memory])
    for (const [source, target] of pairs) {
      await assert.rejects(migrate(source, target, { prefix, targetPrefix }), code('InvalidArgument'))
    }
  })

  const R2_KEYS = {
    endpoint: 'http://127.0.0.1:1',
    bucket: 'bucket',
    accessKeyId: 'key',
    secretAccessKey: 'secret',
  }

  it('by a storage that keeps its files within those of the other', async () => {
    const location = await folder()
    const pairs: [Storage, Storage][] = [
      [new FileSystemStorage({ location }), new FileSystemStorage({ location: `${location}/backup` })],
      [new R2Storage(R2_KEYS), new R2Storage({ ...R2_KEYS, prefix: 'backup' })],
    ]
    for (const [source, target] of pairs) {
      await assert.rejects(migrate(source, target), code('InvalidArgument'))
      await assert.rejects(migrate(target, source), code('InvalidArgument'))
    }
  })

  it('by wrappers of one storage', async () => {
    const makes = [
      async () => new MemoryStorage(),
      async () => new FileSystemStorage({ location: await folder(), fsync: false }),
    ]
    for (const make of makes) {
      const storage = await make()
      for (const name of ['a/x', 'b']) await storage.save(name, name)
      const before = await contents(storage)
      const pairs: [Storage, Storage, MigrateOptions?][] = [
        [storage, prefixed(storage, 'a')],
        [prefixed(storage, 'a'), storage],
        [readOnly(storage), storage, { prefix: 'a' }],
        [prefixed(readOnly(storage), 'a'), storage],
        [readThrough(new MemoryStorage(), prefixed(storage, 'a')), storage],
        [storage, prefixed(readThrough(new MemoryStorage(), storage), 'a'), { prefix: 'a/b' }],
      ]
      for (const [source, target, options] of pairs) {
        await assert.rejects(migrate(source, target, options), code('InvalidArgument'))
        await assert.rejects(mirror(source, target, options), code('InvalidArgument'))
      }
      assert.deepEqual(await contents(storage), before)
    }
  })

  it('but the end of a move goes: from a readThrough storage to one of its own', async () => {
    const newer = await filled({ new: '1' })
    const older = await filled({ old: '1' })
    const { copied, skipped } = await migrate(readThrough(newer, older), newer)
    assert.deepEqual([copied, skipped], [1, 1])
    assert.deepEqual(Object.keys(await contents(newer)), ['new', 'old'])
  })

  it('but within one storage, side by side, and between two storages, everything goes', async () => {
    const storage = await filled({ 'a/x': '1' })
    await migrate(storage, storage, { prefix: 'a', targetPrefix: 'ab' })
    assert.equal(await text(storage, 'ab/x'), '1')
    const { copied } = await migrate(storage, new MemoryStorage(), { targetPrefix: 'backup' })
    assert.equal(copied, 2)
  })
})

describe('from the disk to R2', () => {
  let r2: StrictR2
  beforeAll(async () => {
    r2 = await startStrictR2()
  })
  afterEach(() => r2.reset())
  afterAll(() => r2.stop())

  async function disk(): Promise<FileSystemStorage> {
    return new FileSystemStorage({ location: await folder(), fsync: false })
  }
  const bucket = () => new R2Storage({ ...optionsOf(r2), ...AS_R2, bucket: 'test-bucket' })

  it('1,000 small files arrive; a second run sends nothing and fetches nothing', async () => {
    const source = await disk()
    await Promise.all(
      Array.from({ length: 1000 }, (_, i) =>
        source.save(`d${i % 10}/f${i}.txt`, `text ${i}`, i % 3 ? {} : SAVED),
      ),
    )
    const target = bucket()
    const first = await migrate(source, target)
    assert.deepEqual([first.copied, first.skipped, first.failed], [1000, 0, []])
    r2.requests.length = 0
    const second = await migrate(source, target)
    assert.deepEqual([second.copied, second.skipped, second.failed], [0, 1000, []])
    assert.deepEqual(
      r2.requests.map(({ operation }) => operation),
      ['ListObjectsV2'],
    )
    const got = await contents(target)
    const wanted = await contents(source)
    assert.equal(Object.keys(got).length, 1000)
    for (const [name, file] of Object.entries(wanted)) {
      // R2Storage gives files without a Cache-Control its own.
      const stored = got[name]
      assert.deepEqual(stored, {
        ...Object(file),
        cacheControl: Object(file).cacheControl ?? 'max-age=86400',
      })
    }
  })

  it('a file of several parts arrives, is verified, and is recognised although its ETag is no MD5', async () => {
    const source = await disk()
    await source.save('big.bin', randomBytes(20 * 1024 * 1024))
    const target = bucket()
    const first = await migrate(source, target, { verify: true })
    assert.deepEqual([first.copied, first.failed], [1, []])
    assert.match((await target.stat('big.bin')).etag, /-\d+"$/)
    assert.deepEqual(await migrate(source, target), { copied: 0, skipped: 1, failed: [], bytes: 0 })
    assert.equal(r2.openUploads, 0)
  })

  it('a request that R2 refuses fails that file alone, and a second run sends it', async () => {
    const source = await disk()
    for (const name of ['a', 'b', 'c']) await source.save(name, name)
    r2.behaviour.onRequest = ({ key, operation }) =>
      key === 'b' && operation === 'PutObject'
        ? { status: 403, code: 'AccessDenied', message: 'no' }
        : undefined
    const first = await migrate(source, bucket())
    assert.deepEqual(
      [first.copied, first.failed.map(({ name, error }) => [name, error.code])],
      [2, [['b', 'PermissionDenied']]],
    )
    r2.behaviour.onRequest = undefined
    assert.deepEqual(await migrate(source, bucket()), { copied: 1, skipped: 2, failed: [], bytes: 1 })
  })

  it('aborted in the midst leaves no upload behind, and running again ends with an exact copy', async () => {
    const source = await disk()
    for (let i = 0; i < 12; i++) await source.save(`f${i}`, randomBytes(i < 2 ? 20 * 1024 * 1024 : 1000))
    r2.behaviour.delayMs = 20
    const controller = new AbortController()
    // An upload whose beginning got no answer stays open; these two have parts.
    const isUploading = (key: string) =>
      r2.requests.some((request) => request.operation === 'UploadPart' && request.key === key)
    const run = migrate(source, bucket(), {
      signal: controller.signal,
      concurrency: 3,
      onProgress: ({ copied }) => copied >= 3 && isUploading('f0') && isUploading('f1') && controller.abort(),
    })
    await assert.rejects(run, code('Aborted'))
    r2.behaviour.delayMs = 0
    const result = await migrate(source, bucket(), { verify: true })
    assert.deepEqual([result.copied + result.skipped, result.failed], [12, []])
    assert.equal(r2.openUploads, 0)
    const md5s = async (storage: Storage) =>
      Object.values(await contents(storage)).map((file) => Object(file).md5)
    assert.deepEqual(await md5s(bucket()), await md5s(source))
  })

  it('a bucket that is not there ends the migration and says so', async () => {
    const source = await disk()
    await source.save('a', 'a')
    const missing = new R2Storage({ ...optionsOf(r2), bucket: 'no-such-bucket' })
    await assert.rejects(migrate(source, missing), { code: 'NotFound', message: /bucket/ })
  })

  it('and back to the disk', async () => {
    const source = bucket()
    await source.save('a/b.txt', 'text', SAVED)
    const target = await disk()
    await migrate(source, target, { verify: true })
    assert.deepEqual(await contents(target), await contents(source))
    assert.deepEqual(await migrate(source, target), { copied: 0, skipped: 1, failed: [], bytes: 0 })
  })
})

describe('examples/migrate.ts', () => {
  const root = fileURLToPath(new URL('../..', import.meta.url))

  function start(args: string[], env: Record<string, string>): ChildProcess {
    return spawn(process.execPath, ['--import', 'tsx', 'examples/migrate.ts', ...args], {
      cwd: root,
      env: { PATH: process.env.PATH ?? '', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
  }

  async function run(args: string[], env: Record<string, string>) {
    const child = start(args, env)
    let [out, err] = ['', '']
    child.stdout?.setEncoding('utf8').on('data', (chunk) => (out += chunk))
    child.stderr?.setEncoding('utf8').on('data', (chunk) => (err += chunk))
    const exit = await new Promise((resolve) => child.once('close', resolve))
    return { out, err, exit }
  }

  it('copies a folder to R2, shows its progress, and the second time finds everything there', async () => {
    const location = await folder()
    await mkdir(join(location, 'docs'))
    await writeFile(join(location, 'docs', 'a.txt'), 'abc')
    await writeFile(join(location, 'b.png'), 'defg')
    const r2 = await startStrictR2()
    try {
      const env = {
        R2_ENABLED: '1',
        R2_ACCESS_KEY_ID: r2.accessKeyId,
        R2_SECRET_ACCESS_KEY: r2.secretAccessKey,
        R2_BUCKET_NAME: 'test-bucket',
        R2_ENDPOINT_URL: r2.endpoint,
      }
      const first = await run([location], env)
      assert.equal(first.out, '2 files copied (7 bytes), 0 there already, 0 failed\n', first.err)
      assert.match(first.err, /^2 copied, 0 there already, 0 failed/m)
      assert.equal(first.exit, 0)
      assert.deepEqual(
        Object.keys(await contents(new R2Storage({ ...optionsOf(r2), ...AS_R2, bucket: 'test-bucket' }))),
        ['b.png', 'docs/a.txt'],
      )
      const second = await run([location], env)
      assert.equal(second.out, '0 files copied (0 bytes), 2 there already, 0 failed\n', second.err)
    } finally {
      await r2.stop()
    }
  })

  it('ends with exit code 1 when a file failed, and names it', async () => {
    const [from, to] = [await folder(), await folder()]
    await writeFile(join(from, 'a'), 'abc')
    await writeFile(join(from, 'b'), 'abc')
    await writeFile(join(to, 'b'), 'abd')
    const { out, err, exit } = await run([from], { MEDIA_ROOT: to })
    assert.equal(out, '1 files copied (3 bytes), 0 there already, 1 failed\n')
    assert.match(err, /"b" is already there with other content/)
    assert.equal(exit, 1)
  })

  it('refuses to copy a folder onto itself, into itself or out of itself', async () => {
    const from = await folder()
    await mkdir(join(from, 'in'))
    await writeFile(join(from, 'a'), 'abc')
    await symlink(from, `${from}-link`)
    folders.push(`${from}-link`)
    for (const other of [from, `${from}-link`, join(from, 'in'), join(from, 'new'), join(from, '..')]) {
      const { err, exit } = await run([from], { MEDIA_ROOT: other })
      assert.match(err, /folder that the environment selects/, other)
      assert.equal(exit, 1)
    }
    assert.deepEqual((await readdir(from)).sort(), ['a', 'in'])
  })

  it('says what is missing: the folder, the R2 variables', async () => {
    const missing = await run([join(await folder(), 'none')], {})
    assert.match(missing.err, /There is no folder/)
    const variables = await run([await folder()], { R2_ENABLED: '1' })
    assert.match(variables.err, /R2_ACCESS_KEY_ID/)
    assert.deepEqual([missing.exit, variables.exit], [1, 1])
  })

  it('killed in the midst and run again ends with an exact copy and no rubbish', async () => {
    const [from, to] = [await folder(), await folder()]
    for (let i = 0; i < 400; i++) await writeFile(join(from, `f${i}`), randomBytes(20_000))
    const child = start([from], { MEDIA_ROOT: to })
    await new Promise<void>((resolve) => {
      child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
        if (/^(?:[2-9]\d|\d{3}) copied/m.test(chunk)) child.kill('SIGKILL')
      })
      child.once('close', () => resolve())
    })
    const [source, target] = [from, to].map((location) => new FileSystemStorage({ location }))
    assert.ok(source && target)
    const part = Object.keys(await contents(target)).length
    assert.ok(part >= 20 && part < 400, `${part} files at the time of the kill`)
    const { out, exit } = await run([from], { MEDIA_ROOT: to })
    assert.equal(
      out,
      `${400 - part} files copied (${(400 - part) * 20_000} bytes), ${part} there already, 0 failed\n`,
    )
    assert.equal(exit, 0)
    assert.deepEqual(await contents(target), await contents(source))
  })
})
