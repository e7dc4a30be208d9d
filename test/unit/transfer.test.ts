/** `mirror`, `compare`, and the parts of `migrate` that need no server. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import {
  type Compared,
  type CompareOptions,
  compare,
  FileSystemStorage,
  MemoryStorage,
  type MirrorOptions,
  type MirrorProgress,
  migrate,
  mirror,
  Problem,
  prefixed,
  R2Storage,
  readThrough,
  type Storage,
  StorageError,
} from 'stowage'
import { afterAll, afterEach, beforeAll, describe, it } from 'vitest'
import { EtagHash, partSizesFor } from '../../src/transfer/etag-hash.js'
import { failingDeletes } from '../operations/storages.js'
import { AS_R2, optionsOf, type StrictR2, startStrictR2 } from '../servers/r2.js'
import { altered } from './altered.js'

const MIB = 1024 * 1024
const folders: string[] = []
let r2: StrictR2

beforeAll(async () => {
  r2 = await startStrictR2()
})
afterEach(() => r2.reset())
afterAll(async () => {
  await r2.stop()
  for (const path of folders) await rm(path, { recursive: true, force: true })
})

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'stowage-transfer-'))
  folders.push(path)
  return path
}

const memory = async (): Promise<Storage> => new MemoryStorage()
const disk = async (): Promise<Storage> => new FileSystemStorage({ location: await folder(), fsync: false })
const bucket = async (): Promise<Storage> =>
  new R2Storage({ ...optionsOf(r2), ...AS_R2, bucket: 'test-bucket', partSize: 5 * MIB })
const below = (make: () => Promise<Storage>, path: string) => async () => prefixed(await make(), path)

async function fill(storage: Storage, files: Readonly<Record<string, string | Buffer>>): Promise<Storage> {
  for (const [name, content] of Object.entries(files)) await storage.save(name, content)
  return storage
}

async function contents(storage: Storage, prefix = ''): Promise<Record<string, string>> {
  const all: Record<string, string> = {}
  for await (const { name } of storage.list(prefix)) {
    all[name] = createHash('md5')
      .update(await (await storage.open(name)).bytes())
      .digest('hex')
  }
  return all
}

async function compared(source: Storage, target: Storage, options?: CompareOptions): Promise<string[]> {
  const found: string[] = []
  for await (const { name, status } of compare(source, target, options)) found.push(`${status} ${name}`)
  return found
}

const failedCodes = (failed: readonly { name: string; error: StorageError }[]) =>
  failed.map(({ name, error }) => [name, error.code])

const OURS = {
  'a/b.txt': 'same',
  'a.txt': 'changed here',
  'a-b': 'new',
  'ü 😀.txt': 'odd',
  empty: '',
  big: '',
}
const THEIRS = { 'a/b.txt': 'same', 'a.txt': 'not like there', extra: 'x', 'a/z': 'x', empty: '' }
const STATES = [
  'missing a-b',
  'differs a.txt',
  'same a/b.txt',
  'extra a/z',
  'missing big',
  'same empty',
  'extra extra',
  'missing ü 😀.txt',
]

const places: Record<string, () => Promise<Storage>> = {
  memory,
  disk,
  'the R2 stand-in': bucket,
  'a prefix of the stand-in': below(bucket, 'deep/er'),
  'a prefix on disk': below(disk, 'tenants/7'),
  'a read-through': async () => readThrough(await memory(), await memory()),
}
const pairs = Object.keys(places).flatMap((from) => Object.keys(places).map((to) => [from, to] as const))
// Two storages of one place, or of one label, must not be copied into each other.
const separate = pairs.filter(
  ([from, to]) =>
    !(from.includes('stand-in') && to.includes('stand-in')) && !(from === to && from === 'a read-through'),
)

describe.each(separate)('from %s to %s', (from, to) => {
  const make = (place: string) => places[place]?.() ?? memory()

  it('compare says what is where, in order', async () => {
    const [source, target] = [await fill(await make(from), OURS), await fill(await make(to), THEIRS)]
    assert.deepEqual(await compared(source, target), STATES)
  })

  it('mirror makes the target equal, and the second time does nothing', async () => {
    const [source, target] = [await fill(await make(from), OURS), await fill(await make(to), THEIRS)]
    const dry = await mirror(source, target, { dryRun: true })
    assert.deepEqual(await contents(target), await contents(await fill(await memory(), THEIRS)))
    const { failed, ...counts } = await mirror(source, target)
    assert.deepEqual(counts, { copied: 4, skipped: 2, deleted: 2, bytes: 18 })
    assert.deepEqual([failed, dry], [[], { ...counts, failed }])
    assert.deepEqual(await contents(target), await contents(source))
    const again = await mirror(source, target)
    assert.deepEqual(again, { copied: 0, skipped: 6, deleted: 0, failed: [], bytes: 0 })
  })

  it('four shards of a migration end with the same exact copy as one run', async () => {
    const files = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`d${i % 7}/f${i}`, `text ${i}`]))
    const [source, target] = [await fill(await make(from), files), await make(to)]
    const parts = [0, 1, 2, 3].map((index) => migrate(source, target, { shard: { index, of: 4 } }))
    const results = await Promise.all(parts)
    assert.equal(
      results.reduce((sum, { copied }) => sum + copied, 0),
      40,
    )
    assert.ok(results.every(({ copied, failed }) => copied > 0 && failed.length === 0))
    assert.deepEqual(await contents(target), await contents(source))
  })
})

describe('a mirror', () => {
  const source = () => memory().then((storage) => fill(storage, { a: '1', 'b/c': '2' }))
  const code = (expected: string) => ({ code: expected })

  it.each([{}, { dryRun: true }])(
    'of an empty source is refused, and deletes nothing (%o)',
    async (options) => {
      const target = await source()
      await assert.rejects(mirror(await memory(), target, options), code('InvalidArgument'))
      assert.deepEqual(Object.keys(await contents(target)), ['a', 'b/c'])
    },
  )

  it('of an empty source empties the target with force', async () => {
    const target = await source()
    const { deleted } = await mirror(await memory(), target, { force: true })
    assert.deepEqual([deleted, await contents(target)], [2, {}])
    assert.equal((await mirror(await memory(), await memory())).deleted, 0)
  })

  it.each([{}, { dryRun: true }])(
    'that would delete more than maxDeletes is refused (%o)',
    async (options) => {
      const target = await fill(await source(), { x: '', y: '', z: '' })
      const before = await contents(target)
      await assert.rejects(
        mirror(await source(), target, { maxDeletes: 2, ...options }),
        code('InvalidArgument'),
      )
      assert.deepEqual(await contents(target), before)
      assert.equal((await mirror(await source(), target, { maxDeletes: 3, ...options })).deleted, 3)
    },
  )

  it('deletes 1,000 files at most unless told otherwise', async () => {
    const many = Object.fromEntries(Array.from({ length: 1001 }, (_, i) => [`x${i}`, '']))
    const target = await fill(await source(), many)
    await assert.rejects(mirror(await source(), target), code('InvalidArgument'))
    assert.equal(
      (await mirror(await source(), target, { maxDeletes: Number.POSITIVE_INFINITY })).deleted,
      1001,
    )
  })

  it.each(['source', 'target'])('whose %s fails to list deletes nothing', async (side) => {
    const broken = (storage: Storage) =>
      altered(storage, (inner) => ({
        async *list(...args) {
          for await (const batch of inner.list(...args)) yield batch.slice(0, 1)
          throw new Problem('Unavailable', 'no network')
        },
      }))
    let from = await source()
    let target = await fill(await source(), { extra: 'x', 'b/z': 'x' })
    const before = await contents(target)
    if (side === 'source') from = broken(from)
    else target = broken(target)
    await assert.rejects(mirror(from, target), code('Unavailable'))
    assert.deepEqual(Object.keys(before).sort(), ['a', 'b/c', 'b/z', 'extra'])
    assert.equal(await target.exists('extra'), true)
    assert.equal(await target.exists('b/z'), true)
  })

  it('deletes nothing that the listing of the source left out without an error', async () => {
    const partial = altered(await source(), (inner) => ({
      async *list(...args) {
        for await (const batch of inner.list(...args)) yield batch.filter(({ name }) => name === 'a')
      },
    }))
    const target = await fill(await source(), { extra: 'x' })
    assert.equal((await mirror(partial, target)).deleted, 1)
    assert.deepEqual(Object.keys(await contents(target)), ['a', 'b/c'])
  })

  it('whose listing is out of order is refused', async () => {
    class Disordered extends MemoryStorage {
      override async *list() {
        for (const name of ['b', 'a']) yield { name, size: 1, lastModified: new Date(), etag: '"x"' }
      }
    }
    const target = await fill(await memory(), { a: '1', b: '2', c: '3' })
    await assert.rejects(mirror(new Disordered(), target), code('Corrupt'))
    assert.deepEqual(Object.keys(await contents(target)), ['a', 'b', 'c'])
  })

  it('deletes nothing while a file could not be copied: it may be the new name of what would go', async () => {
    const from = await fill(await memory(), { renamed: 'text' })
    const target = await fill(await memory(), { old: 'text' })
    const failing = altered(from, () => ({
      read: async () => {
        throw new Problem('Unavailable', 'no network')
      },
    }))
    const { deleted, failed } = await mirror(failing, target)
    assert.deepEqual([deleted, failedCodes(failed)], [0, [['renamed', 'Unavailable']]])
    assert.deepEqual(Object.keys(await contents(target)), ['old'])
    assert.equal((await mirror(from, target)).deleted, 1)
  })

  it.each([
    ['a file where the source has a folder', { 'a/b': '1', 'a/c': '2' }, { a: 'file' }],
    ['a folder where the source has a file', { a: 'file' }, { 'a/b': '1', 'a/c': '2' }],
  ])('replaces %s, on disk as well', async (_, ours, theirs) => {
    const from = await fill(await memory(), ours)
    const target = await fill(await disk(), theirs)
    const { failed } = await mirror(from, target)
    assert.deepEqual(failed, [])
    assert.deepEqual(await contents(target), await contents(from))
  })

  it('takes what is below prefix only, and deletes below targetPrefix only', async () => {
    const from = await fill(await memory(), { 'in/a': '1', 'in/b': '2', out: '3' })
    const target = await fill(await memory(), { 'backup/a': 'other', 'backup/x': '', backup2: '', y: '' })
    const { copied, deleted } = await mirror(from, target, { prefix: 'in', targetPrefix: 'backup' })
    assert.deepEqual([copied, deleted], [2, 1])
    assert.deepEqual(Object.keys(await contents(target)), ['backup/a', 'backup/b', 'backup2', 'y'])
  })

  it('keeps the twin of a name that the naming rule refuses', async () => {
    const location = await folder()
    for (const name of ['re\u0301sume\u0301.txt', 'ok.txt']) await writeFile(join(location, name), 'x')
    const target = await fill(await memory(), { 'résumé.txt': 'x', extra: 'x' })
    const { deleted, failed } = await mirror(new FileSystemStorage({ location }), target)
    assert.deepEqual([deleted, failed.map(({ error }) => error.code)], [1, ['InvalidName']])
    assert.deepEqual(Object.keys(await contents(target)), ['ok.txt', 'résumé.txt'])
  })

  it('names a folder that the naming rule refuses, and keeps what may be its twin', async () => {
    const location = await folder()
    await mkdir(join(location, 're\u0301sume\u0301s', 'old'), { recursive: true })
    await writeFile(join(location, 're\u0301sume\u0301s', 'old', 'a.txt'), 'x')
    await writeFile(join(location, 'ok.txt'), 'x')
    const source = new FileSystemStorage({ location })
    const target = await fill(await memory(), { 'résumés/old/a.txt': 'x', extra: 'x' })
    const { failed } = await migrate(source, await memory())
    assert.deepEqual(failedCodes(failed), [['re\u0301sume\u0301s/', 'InvalidName']])
    assert.equal((await mirror(source, target)).deleted, 1)
    assert.deepEqual(Object.keys(await contents(target)), ['ok.txt', 'résumés/old/a.txt'])
  })

  it('reports what could not be deleted', async () => {
    const target = altered(await fill(await source(), { x: '', y: '' }), (inner) => ({
      remove: async (names, signal) => {
        const failures = names
          .filter((name) => name === 'x')
          .map((name) => ({ name, error: new Error('locked') }))
        await inner.remove(
          names.filter((name) => name !== 'x'),
          signal,
        )
        return failures
      },
    }))
    const { deleted, failed } = await mirror(await source(), target)
    assert.deepEqual([deleted, failed.map(({ name }) => name)], [1, ['x']])
  })

  it('reports progress, at last everything', async () => {
    const seen: object[] = []
    const onProgress = (progress: object) => seen.push(progress)
    const target = await fill(await memory(), { a: '1', extra: '' })
    await mirror(await source(), target, { onProgress, concurrency: 1 })
    assert.deepEqual(seen.at(-1), { name: 'extra', copied: 1, skipped: 1, deleted: 1, failed: 0, bytes: 1 })
    assert.equal(seen.length, 3)
  })

  it('reports why a file failed, also of names that the naming rule refuses and of deletes', async () => {
    const seen: { name: string; code: string | undefined; failed: number }[] = []
    const onProgress = ({ name, error, failed }: MirrorProgress) => {
      seen.push({ name, code: error?.code, failed })
    }
    const old = await fill(await memory(), { a: '1' })
    const withOddName = altered(old, (inner) => ({
      async *list(...given) {
        yield [{ name: 'a//b', size: 1, lastModified: new Date(0), etag: '"x"' }]
        yield* inner.list(...given)
      },
    }))
    const target = failingDeletes(await fill(await memory(), { a: '1', extra: '' }), () => true)
    await mirror(withOddName, target, { onProgress, concurrency: 1 })
    assert.deepEqual(seen, [
      { name: 'a//b', code: 'InvalidName', failed: 1 },
      { name: 'a', code: undefined, failed: 1 },
      { name: 'extra', code: 'Unknown', failed: 2 },
    ])
  })

  const bad: [string, object][] = [
    ['maxDeletes below 0', { maxDeletes: -1 }],
    ['a force that is no boolean', { force: 'yes' }],
    ['a misspelt option', { maxDelete: 1 }],
    ['an onProgress that is no function', { onProgress: 1 }],
  ]
  it.each(bad)('refuses %s', async (_, options) => {
    await assert.rejects(
      mirror(await source(), await memory(), options as MirrorOptions),
      code('InvalidArgument'),
    )
  })

  it('can be aborted', async () => {
    const options = { signal: AbortSignal.abort() }
    await assert.rejects(mirror(await source(), await memory(), options), code('Aborted'))
  })
})

describe('a comparison', () => {
  it('names what cannot be compared as an error, and goes on', async () => {
    const location = await folder()
    await mkdir(join(location, 'd'))
    for (const name of ['a', 'd/e\u0301', 'z']) await writeFile(join(location, name), 'x')
    const broken = altered(await fill(await memory(), { a: 'x', z: 'x' }), (inner) => ({
      async *list(...args) {
        for await (const batch of inner.list(...args))
          yield batch.map((file) => ({ ...file, etag: '"opaque"' }))
      },
      read: async (request) => {
        if (request.name === 'a') throw new Problem('Corrupt', 'bad disk')
        return inner.read(request)
      },
    }))
    const found: Compared[] = []
    for await (const each of compare(new FileSystemStorage({ location }), broken)) found.push(each)
    assert.deepEqual(found.map(({ status, error }) => [status, error?.code]).sort(), [
      ['error', 'Corrupt'],
      ['error', 'InvalidName'],
      ['same', undefined],
    ])
  })

  it('ends by the error of a listing', async () => {
    class Broken extends MemoryStorage {
      override async *list() {
        yield* super.list()
        throw new StorageError('Unavailable', { operation: 'list', reason: 'no network' })
      }
    }
    await assert.rejects(compared(await memory(), new Broken()), { code: 'Unavailable' })
  })

  it('can be left early, and aborted', async () => {
    const source = await fill(
      await memory(),
      Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`${i}`, 'x'])),
    )
    for await (const _ of compare(source, await memory())) break
    const controller = new AbortController()
    const reading = async () => {
      for await (const _ of compare(source, await memory(), { signal: controller.signal })) controller.abort()
    }
    await assert.rejects(reading(), { code: 'Aborted' })
  })

  it('reads both sides with verify, and believes no ETag', async () => {
    const lying = altered(await fill(await memory(), { a: 'abd' }), (inner) => ({
      async *list(...args) {
        const etag = `"${createHash('md5').update('abc').digest('hex')}"`
        for await (const batch of inner.list(...args)) yield batch.map((file) => ({ ...file, etag }))
      },
    }))
    const source = await fill(await memory(), { a: 'abc' })
    assert.deepEqual(await compared(source, lying), ['same a'])
    assert.deepEqual(await compared(source, lying, { verify: true }), ['differs a'])
  })
})

describe('the ETag of a multipart upload', () => {
  it.each([5, 8, 16])('is computed from the bytes of the disk, of parts of %i MiB', async (part) => {
    const bytes = randomBytes(17 * MIB)
    const source = await fill(await disk(), { big: bytes, other: bytes })
    const target = new R2Storage({ ...optionsOf(r2), ...AS_R2, bucket: 'test-bucket', partSize: part * MIB })
    await target.save('big', Readable.from([bytes]))
    const changed = Buffer.from(bytes)
    changed[16 * MIB] = (changed[16 * MIB] ?? 0) ^ 1
    await target.save('other', Readable.from([changed]))
    r2.requests.length = 0
    const found = await compared(source, target)
    assert.equal(found[0], 'same big')
    assert.deepEqual(
      r2.requests.filter(({ operation, key }) => operation === 'GetObject' && key === 'big'),
      [],
    )
    assert.equal(found[1], 'differs other')
  })

  it('of an odd part size is found by its number of parts', () => {
    const size = 40 * MIB + 123
    for (const partSize of [5 * MIB, 8 * MIB, 16 * MIB, 64 * MIB, 7 * MIB, 13 * MIB]) {
      const parts = Math.ceil(size / partSize)
      assert.ok(partSizesFor(size, parts).length > 0)
      const hash = new EtagHash(partSize)
      for (let left = size; left > 0; left -= MIB) hash.update(Buffer.alloc(Math.min(left, MIB)))
      assert.match(hash.digest(), new RegExp(`^[0-9a-f]{32}-${parts}$`))
    }
    assert.deepEqual(partSizesFor(40 * MIB, 5)[0], 8 * MIB)
    assert.deepEqual(partSizesFor(0, 3), [])
  })
})

describe('a shard', () => {
  it('is the same on every machine and in every version', async () => {
    const names = ['a', 'b/c', 'ü 😀.txt', 'documents/42/report.pdf']
    const source = await fill(await memory(), Object.fromEntries(names.map((name) => [name, 'x'])))
    const indexes = await Promise.all(
      [0, 1, 2, 3, 4].map(async (index) => {
        const target = await memory()
        await migrate(source, target, { shard: { index, of: 5 } })
        return Object.keys(await contents(target))
      }),
    )
    assert.deepEqual(indexes, [['documents/42/report.pdf'], [], ['a'], ['ü 😀.txt'], ['b/c']])
  })

  it.each([{ index: 4, of: 4 }, { index: -1, of: 2 }, { index: 0, of: 0 }, { index: 0.5, of: 2 }, null, {}])(
    'of %o is InvalidArgument',
    async (shard) => {
      const options = { shard } as unknown as Parameters<typeof migrate>[2]
      await assert.rejects(migrate(await memory(), await memory(), options), { code: 'InvalidArgument' })
    },
  )
})
