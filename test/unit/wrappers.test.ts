import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import {
  defaultStorage,
  driverOf,
  FileSystemStorage,
  MemoryStorage,
  prefixed,
  R2Storage,
  readOnly,
  readThrough,
  type Storage,
  setDefaultStorage,
} from 'stowage'
import { afterEach, describe, it, vi } from 'vitest'
import { AS_R2, optionsOf, startStrictR2 } from '../servers/r2.js'

const R2 = { bucket: 'files', endpoint: 'https://s3.example.com', accessKeyId: 'id', secretAccessKey: 'key' }

async function namesIn(storage: Storage, prefix?: string): Promise<string[]> {
  const names: string[] = []
  for await (const { name } of storage.list(prefix)) names.push(name)
  return names
}

const text = async (storage: Storage, name: string) => (await storage.open(name)).text()

describe('the driver of a wrapper', () => {
  const disk = () => new FileSystemStorage({ location: tmpdir() })
  const purge = async () => {}
  it.each<[string, Storage, Storage]>([
    ['prefixed', prefixed(disk(), 'a'), disk()],
    ['readOnly', readOnly(disk()), disk()],
    ['readThrough', readThrough(disk(), disk()), disk()],
    [
      'R2Storage with a purge',
      new R2Storage({ ...R2, publicBaseUrl: 'https://a', purge }),
      new R2Storage(R2),
    ],
    ['R2Storage with a prefix', new R2Storage({ ...R2, prefix: 'a' }), new R2Storage(R2)],
  ])('%s has every optional hook of its storage', (_, wrapped, inner) => {
    const hooks = ['has', 'verify', 'uploads', 'sweep', 'scan'] as const
    const missing = hooks.filter((hook) => driverOf(inner)[hook] && !driverOf(wrapped)[hook])
    assert.deepEqual(missing, [])
  })
})

describe('readOnly', () => {
  const upload = { size: 1, contentType: 'text/plain' }
  const writes: [string, (storage: Storage) => Promise<unknown>][] = [
    ['save', (storage) => storage.save('new.txt', 'x')],
    ['save', (storage) => storage.save('d/a.txt', 'x', { ifExists: 'overwrite' })],
    ['save', (storage) => storage.save('d/a.txt', 'x', { ifExists: 'error' })],
    ['save', (storage) => storage.save('new.png', Readable.from(['x']))],
    ['copy', (storage) => storage.copy('d/a.txt', 'new.txt')],
    ['copy', (storage) => storage.copy('none.txt', 'new.txt')],
    ['move', (storage) => storage.move('d/a.txt', 'new.txt')],
    ['move', (storage) => storage.move('d/a.txt', 'd/b.txt', { ifExists: 'overwrite' })],
    ['delete', (storage) => storage.delete('d/a.txt')],
    ['delete', (storage) => storage.delete('none.txt')],
    ['deleteMany', (storage) => storage.deleteMany(['d/a.txt', 'd/b.txt'])],
    ['deletePrefix', (storage) => storage.deletePrefix('d')],
    ['signedUpload', (storage) => storage.signedUpload('new.txt', upload)],
    ['signedUpload', (storage) => storage.signedUpload('d/a.txt', { ...upload, ifExists: 'overwrite' })],
  ]

  async function filled(): Promise<MemoryStorage> {
    const storage = new MemoryStorage()
    await storage.save('d/a.txt', 'a', { metadata: { by: 'me' } })
    await storage.save('d/b.txt', 'b')
    return storage
  }

  it.each(writes)('refuses %s and touches nothing', async (operation, write) => {
    const inner = await filled()
    const before = await Promise.all([inner.stat('d/a.txt'), inner.stat('d/b.txt')])
    const storage = readOnly(inner)
    await assert.rejects(write(storage), {
      code: 'PermissionDenied',
      status: 500,
      operation,
      storage: 'readOnly(MemoryStorage)',
      message: /the storage is read-only$/,
    })
    assert.deepEqual(await Promise.all([inner.stat('d/a.txt'), inner.stat('d/b.txt')]), before)
    assert.deepEqual(await namesIn(inner), ['d/a.txt', 'd/b.txt'])
  })

  it('signs no upload where the storage could', async () => {
    const storage = readOnly(new R2Storage(R2))
    await assert.rejects(storage.signedUpload('a', { ...upload, ifExists: 'overwrite' }), {
      code: 'PermissionDenied',
    })
    assert.match(await storage.signedUrl('a'), /X-Amz-Signature/)
    assert.equal(storage.url('a b'), 'https://s3.example.com/files/a%20b')
  })

  it('reads what is there', async () => {
    const inner = await filled()
    const storage = readOnly(inner)
    assert.equal(await text(storage, 'd/a.txt'), 'a')
    assert.deepEqual(await storage.stat('d/a.txt'), await inner.stat('d/a.txt'))
    assert.deepEqual([await storage.size('d/b.txt'), await storage.exists('none')], [1, false])
    assert.deepEqual(await storage.listdir('d'), { directories: [], files: ['a.txt', 'b.txt'] })
    assert.deepEqual(await namesIn(storage, 'd'), ['d/a.txt', 'd/b.txt'])
    assert.deepEqual(await storage.deletePrefix('d', { dryRun: true }), { deleted: 2 })
    await inner.save('later.txt', 'x')
    assert.equal(await storage.exists('later.txt'), true)
  })

  it('frees the content that it refuses', async () => {
    const stream = new Readable({ read() {} })
    const cancel = vi.fn()
    const web = new ReadableStream({ cancel })
    for (const content of [stream, web]) {
      await assert.rejects(readOnly(new MemoryStorage()).save('a', content), { code: 'PermissionDenied' })
    }
    assert.deepEqual([stream.destroyed, cancel.mock.calls.length], [true, 1])
  })
})

describe('prefixed', () => {
  it('works inside another prefix, and inside the prefix of a bucket', async () => {
    await using server = Object.assign(await startStrictR2(), {
      [Symbol.asyncDispose]: () => server.stop(),
    })
    const whole = new R2Storage({ ...optionsOf(server), ...AS_R2, bucket: 'test-bucket' })
    const part = new R2Storage({ ...optionsOf(server), ...AS_R2, bucket: 'test-bucket', prefix: 'app' })
    for (const base of [new MemoryStorage(), whole, part]) {
      const storage = prefixed(prefixed(base, 'tenants/7'), 'rooms/42/')
      await storage.save('a.txt', 'x')
      assert.deepEqual(await namesIn(storage), ['a.txt'])
      assert.equal(await text(base, 'tenants/7/rooms/42/a.txt'), 'x')
      assert.match(storage.url('a.txt'), /tenants\/7\/rooms\/42\/a\.txt$/)
      assert.equal(String(storage), `${base}/tenants/7/rooms/42`)
    }
    assert.equal(await text(whole, 'app/tenants/7/rooms/42/a.txt'), 'x')
  })

  it('cannot be left', async () => {
    const base = new MemoryStorage()
    await base.save('tenants/70/a.txt', 'other')
    await base.save('tenants/7', 'a file')
    const storage = prefixed(base, 'tenants/7')
    assert.deepEqual(await namesIn(storage), [])
    await storage.save('0/a.txt', 'own')
    await storage.deletePrefix('0')
    await assert.rejects(storage.open('../70/a.txt'), { code: 'InvalidName', file: '../70/a.txt' })
    assert.deepEqual(await namesIn(base), ['tenants/7', 'tenants/70/a.txt'])
  })

  it.each(['', '.', '/', '../a', '/a', 'a/../b', '.stowage'])('refuses the folder %j', (folder) => {
    const refused = { code: 'InvalidName', operation: 'prefixed', name: 'InvalidNameError', file: folder }
    assert.throws(() => prefixed(new MemoryStorage(), folder), refused)
  })
})

describe('a wrapper', () => {
  const KEY = Symbol.for('stowage.defaultStorage')
  const shared: unknown = Reflect.get(globalThis, KEY)
  afterEach(() => {
    vi.unstubAllEnvs()
    Reflect.set(globalThis, KEY, shared)
  })

  /** A copy of the package that nobody has used yet. */
  async function fresh() {
    vi.resetModules()
    Reflect.deleteProperty(globalThis, KEY)
    return import('../../src/index.js')
  }

  it('around the default storage reads the environment when it is used', async () => {
    vi.stubEnv('R2_ENABLED', 'nonsense')
    const stowage = await fresh()
    const folder = await mkdtemp(join(tmpdir(), 'stowage-wrappers-'))
    const { defaultStorage, prefixed, readOnly, readThrough } = stowage
    const storage = prefixed(defaultStorage, 'a')
    const reading = readOnly(storage)
    const moving = readThrough(new stowage.MemoryStorage(), defaultStorage)
    await assert.rejects(storage.save('b.txt', 'x'), { code: 'Misconfigured', message: /R2_ENABLED/ })
    try {
      vi.stubEnv('R2_ENABLED', '')
      vi.stubEnv('MEDIA_ROOT', folder)
      await storage.save('b.txt', 'x')
      assert.deepEqual(await readdir(join(folder, 'a')), ['b.txt'])
      assert.equal(await reading.exists('b.txt'), true)
      assert.equal(await moving.exists('a/b.txt'), true)
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })

  it('around the default storage follows setDefaultStorage', async () => {
    const { defaultStorage, setDefaultStorage, MemoryStorage, prefixed } = await fresh()
    const storage = prefixed(defaultStorage, 'a')
    const [first, second] = [new MemoryStorage(), new MemoryStorage()]
    const restore = setDefaultStorage(first)
    await storage.save('1.txt', 'x')
    setDefaultStorage(second)
    await storage.save('2.txt', 'x')
    restore()
    assert.deepEqual([await first.exists('a/1.txt'), await second.exists('a/2.txt')], [true, true])
  })

  it('can be the default storage', async () => {
    const inner = new MemoryStorage()
    using _ = setDefaultStorage(prefixed(inner, 'tests'))
    await defaultStorage.save('a.txt', 'x')
    assert.equal(await inner.exists('tests/a.txt'), true)
  })

  it.each([undefined, null, {}, 'storage', MemoryStorage])('refuses %s instead of a storage', (value) => {
    const refused = (operation: string) => ({ code: 'InvalidArgument', status: 500, operation })
    assert.throws(() => Reflect.apply(prefixed, undefined, [value, 'a']), refused('prefixed'))
    assert.throws(() => Reflect.apply(readOnly, undefined, [value]), refused('readOnly'))
    assert.throws(
      () => Reflect.apply(readThrough, undefined, [new MemoryStorage(), value]),
      refused('readThrough'),
    )
  })

  it('says what it is, with all that is in it', () => {
    const storage = readThrough(
      readOnly(new R2Storage({ ...R2, prefix: 'p' })),
      prefixed(new FileSystemStorage({ location: '/srv/files' }), 'old'),
    )
    assert.equal(
      String(storage),
      'readThrough(readOnly(R2Storage(files)), FileSystemStorage(/srv/files)/old)',
    )
  })

  it('wraps storages of another copy of the package', async () => {
    const other = await fresh()
    const inner = new other.MemoryStorage()
    await inner.save('a/b.txt', 'x')
    const storage = readThrough(new MemoryStorage(), readOnly(prefixed(inner, 'a')))
    assert.equal(await text(storage, 'b.txt'), 'x')
    await assert.rejects(storage.open('none'), { code: 'NotFound' })
    await assert.rejects(readOnly(inner).delete('a/b.txt'), { code: 'PermissionDenied' })
  })
})
