import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { Readable } from 'node:stream'
import { inspect } from 'node:util'
import {
  ConfigurationError,
  createDefaultStorage,
  defaultStorage,
  type Environment,
  FileSystemStorage,
  MemoryStorage,
  R2Storage,
  Storage,
  setDefaultStorage,
} from 'stowage'
import { afterEach, describe, it, vi } from 'vitest'
import { startStrictR2 } from '../servers/r2.js'

const R2: Environment = {
  R2_ENABLED: '1',
  R2_ACCESS_KEY_ID: 'the-access-key-id',
  R2_SECRET_ACCESS_KEY: 'the-secret-access-key',
  R2_BUCKET_NAME: 'bucket',
  R2_ENDPOINT_URL: 'https://account.r2.cloudflarestorage.com',
}

function misconfigured(env: Environment, ...parts: RegExp[]): void {
  assert.throws(
    () => createDefaultStorage(env),
    (error) => {
      assert.ok(error instanceof ConfigurationError, String(error))
      assert.equal(error.code, 'Misconfigured')
      for (const part of parts) assert.match(error.message, part)
      for (const secret of [
        'the-access-key-id',
        'the-secret-access-key',
        'the-token',
        'too-short',
        'pass:word',
      ]) {
        assert.ok(!inspect(error, { depth: 10 }).includes(secret), error.message)
      }
      return true
    },
  )
}

describe('the environment', () => {
  it.each([undefined, '', ' ', '0', 'false', 'no', 'No', 'FALSE'])(
    'with R2_ENABLED=%j selects the filesystem',
    (value) => {
      assert.ok(createDefaultStorage({ ...R2, R2_ENABLED: value }) instanceof FileSystemStorage)
    },
  )

  it.each(['1', 'true', 'yes', 'Yes', 'TRUE', ' true '])('with R2_ENABLED=%j selects R2', (value) => {
    assert.ok(createDefaultStorage({ ...R2, R2_ENABLED: value }) instanceof R2Storage)
  })

  it.each(['2', 'on', 'off', 'ja', 'enabled', '__proto__', 'constructor'])(
    'with R2_ENABLED=%j is refused',
    (value) => {
      misconfigured({ ...R2, R2_ENABLED: value }, /R2_ENABLED/)
    },
  )

  it('that is empty means ./uploads under /uploads/', () => {
    const storage = createDefaultStorage({})
    assert.ok(storage instanceof FileSystemStorage)
    assert.equal(storage.path('a/b.txt'), resolve('uploads/a/b.txt'))
    assert.equal(storage.url('a/b.txt'), '/uploads/a/b.txt')
  })

  it('MEDIA_ROOT and MEDIA_URL move that', () => {
    const storage = createDefaultStorage({
      MEDIA_ROOT: '/srv/media',
      MEDIA_URL: 'https://media.example.com/m',
    })
    assert.ok(storage instanceof FileSystemStorage)
    assert.equal(storage.path('a'), '/srv/media/a')
    assert.equal(storage.url('a'), 'https://media.example.com/m/a')
  })

  it('STORAGE_SIGNING_SECRET must have 32 bytes', () => {
    misconfigured({ STORAGE_SIGNING_SECRET: 'too-short' }, /STORAGE_SIGNING_SECRET/, /32/)
    createDefaultStorage({ STORAGE_SIGNING_SECRET: 'x'.repeat(32) })
    createDefaultStorage({ STORAGE_SIGNING_SECRET: '' })
  })

  it('is told of all R2 variables that it lacks at once', () => {
    const names = ['R2_ACCESS_KEY_ID', 'R2_SECRET_ACCESS_KEY', 'R2_BUCKET_NAME', 'R2_ENDPOINT_URL']
    misconfigured({ R2_ENABLED: '1' }, ...names.map((name) => new RegExp(name)))
    for (const name of names) {
      for (const value of [undefined, '', ' ']) misconfigured({ ...R2, [name]: value }, new RegExp(name))
    }
  })

  it.each([
    ['R2_ENDPOINT_URL', 'not a url'],
    ['R2_ENDPOINT_URL', 'ftp://example.com'],
    ['R2_ENDPOINT_URL', 'https://abc.r2.cloudflarestorage.com/other-bucket'],
    ['R2_ENDPOINT_URL', 'https://example.com/?a=b'],
    ['R2_ENDPOINT_URL', 'https://pass:word@example.com'],
    ['R2_PUBLIC_BASE_URL', 'http://'],
    ['R2_PUBLIC_BASE_URL', 'https://cdn.example.com/?x'],
    ['R2_PUBLIC_BASE_URL', 'https://pass:word@cdn.example.com'],
    ['R2_BUCKET_NAME', 'a/b'],
    ['R2_BUCKET_NAME', '..'],
    ['R2_PREFIX', '../up'],
  ])('%s=%s is refused in the words of the variable', (name, value) => {
    misconfigured(
      { ...R2, R2_SESSION_TOKEN: 'the-token', [name]: value },
      new RegExp(`${name}|${name.slice(3, 9)}`, 'i'),
    )
  })

  it.each([
    [{}, 'https://account.r2.cloudflarestorage.com/bucket/a%20b'],
    [
      { R2_ENDPOINT_URL: 'https://account.r2.cloudflarestorage.com/' },
      'https://account.r2.cloudflarestorage.com/bucket/a%20b',
    ],
    [
      { R2_ENDPOINT_URL: 'https://account.r2.cloudflarestorage.com/bucket' },
      'https://account.r2.cloudflarestorage.com/bucket/a%20b',
    ],
    [
      { R2_ENDPOINT_URL: 'https://account.r2.cloudflarestorage.com/bucket/' },
      'https://account.r2.cloudflarestorage.com/bucket/a%20b',
    ],
    [{ R2_PUBLIC_BASE_URL: 'https://cdn.example.com' }, 'https://cdn.example.com/a%20b'],
    [{ R2_PUBLIC_BASE_URL: 'cdn.example.com/' }, 'https://cdn.example.com/a%20b'],
    [{ R2_PUBLIC_BASE_URL: 'http://cdn.example.com/media/' }, 'http://cdn.example.com/media/a%20b'],
  ])('%j gives the address %s', (env, url) => {
    assert.equal(createDefaultStorage({ ...R2, ...env }).url('a b'), url)
  })

  it('hands keys, token, region, prefix and cache control on', async () => {
    const r2 = await startStrictR2({ sessionToken: 'the-token' })
    try {
      const env = {
        R2_ENABLED: 'yes',
        R2_ACCESS_KEY_ID: ` ${r2.accessKeyId} `,
        R2_SECRET_ACCESS_KEY: r2.secretAccessKey,
        R2_BUCKET_NAME: 'test-bucket',
        R2_ENDPOINT_URL: `${r2.endpoint}/test-bucket`,
        R2_SESSION_TOKEN: 'the-token',
        R2_PREFIX: 'app/uploads/',
        R2_CACHE_CONTROL: 'no-store',
      }
      const storage = createDefaultStorage(env)
      await storage.save('a.txt', 'abc')
      assert.equal((await storage.stat('a.txt')).cacheControl, 'no-store')
      const whole = createDefaultStorage({ ...env, R2_PREFIX: undefined })
      assert.equal(await whole.exists('app/uploads/a.txt'), true)
      const region = new URL(await createDefaultStorage({ ...env, R2_REGION: 'weur' }).signedUrl('a.txt'))
      assert.match(region.searchParams.get('X-Amz-Credential') ?? '', /\/weur\/s3\//)
      assert.match(
        new URL(await storage.signedUrl('a.txt')).searchParams.get('X-Amz-Credential') ?? '',
        /\/auto\/s3\//,
      )
    } finally {
      await r2.stop()
    }
  })
})

describe('defaultStorage', () => {
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
    return import('../../src/default.js')
  }

  it('reads the environment with its first use, not when it is imported', async () => {
    vi.stubEnv('R2_ENABLED', 'nonsense')
    const { defaultStorage } = await fresh()
    const folder = await mkdtemp(join(tmpdir(), 'stowage-default-'))
    try {
      vi.stubEnv('R2_ENABLED', '')
      vi.stubEnv('MEDIA_ROOT', folder)
      await defaultStorage.save('a.txt', 'abc')
      assert.equal(await readFile(join(folder, 'a.txt'), 'utf8'), 'abc')
      vi.stubEnv('MEDIA_ROOT', '/somewhere/else')
      assert.equal(await defaultStorage.exists('a.txt'), true)
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })

  it('rejects where the environment is wrong, and works once it is right', async () => {
    vi.stubEnv('R2_ENABLED', 'nonsense')
    const { defaultStorage } = await fresh()
    const misconfigured = { code: 'Misconfigured', message: /R2_ENABLED/ }
    await assert.rejects(defaultStorage.save('a', 'b'), misconfigured)
    await assert.rejects(defaultStorage.exists('a'), misconfigured)
    await assert.rejects(async () => {
      for await (const _ of defaultStorage.list()) assert.fail()
    }, misconfigured)
    assert.throws(() => defaultStorage.url('a'), misconfigured)
    vi.stubEnv('R2_ENABLED', '0')
    assert.equal(defaultStorage.url('a'), '/uploads/a')
  })

  it('is a Storage, with everything that one does', async () => {
    assert.ok(defaultStorage instanceof Storage)
    using _ = setDefaultStorage(new MemoryStorage())
    assert.equal(await defaultStorage.save('a/b.txt', 'abc'), 'a/b.txt')
    assert.equal(await (await defaultStorage.open('a/b.txt')).text(), 'abc')
    assert.equal(await defaultStorage.size('a/b.txt'), 3)
    assert.equal((await defaultStorage.stat('a/b.txt')).contentType, 'text/plain')
    assert.equal(defaultStorage.url('a/b.txt'), '/uploads/a/b.txt')
    await defaultStorage.copy('a/b.txt', 'c.txt')
    await defaultStorage.move('c.txt', 'd.txt')
    const names: string[] = []
    for await (const { name } of defaultStorage.list('', {})) names.push(name)
    assert.deepEqual(names, ['a/b.txt', 'd.txt'])
    assert.deepEqual(await defaultStorage.listdir(), { directories: ['a'], files: ['d.txt'] })
    assert.match(await defaultStorage.signedUrl('a'), /^\/uploads\/a\?signed=/)
    await defaultStorage.deleteMany(['d.txt'])
    assert.deepEqual(await defaultStorage.deletePrefix('a'), { deleted: 1 })
    await defaultStorage.delete('a/b.txt')
    assert.equal(await defaultStorage.exists('a/b.txt'), false)
    const { save } = defaultStorage
    await save('detached', 'works')
    assert.equal(await defaultStorage.exists('detached'), true)
  })

  it('can be awaited, returned from an async function and inspected without harm', async () => {
    using _ = setDefaultStorage(new MemoryStorage())
    const returned = await (async () => defaultStorage)()
    assert.equal(returned, defaultStorage)
    assert.match(inspect(defaultStorage), /Storage/)
  })

  it('reads no environment for a property that storages do not have', async () => {
    vi.stubEnv('R2_ENABLED', 'nonsense')
    const { defaultStorage } = await fresh()
    assert.equal(await defaultStorage, defaultStorage)
    assert.equal(`${defaultStorage}`, 'defaultStorage, not used yet')
    assert.equal(JSON.stringify({ defaultStorage }), '{"defaultStorage":{}}')
    assert.equal(Object.hasOwn(defaultStorage, 'x'), false)
  })

  it('has what only its backend has', async () => {
    using _ = setDefaultStorage(new FileSystemStorage({ location: '/srv/files' }))
    const path: unknown = Reflect.get(defaultStorage, 'path')
    assert.ok(typeof path === 'function')
    assert.equal(path('a.txt'), '/srv/files/a.txt')
  })

  it('can be spied on', async () => {
    using _ = setDefaultStorage(new MemoryStorage())
    const spy = vi.spyOn(defaultStorage, 'save').mockResolvedValue('elsewhere')
    assert.equal(await defaultStorage.save('a.txt', 'x'), 'elsewhere')
    spy.mockRestore()
    assert.equal(await defaultStorage.save('a.txt', 'x'), 'a.txt')
    const calls = {
      open: vi.spyOn(defaultStorage, 'open'),
      url: vi.spyOn(defaultStorage, 'url'),
      list: vi.spyOn(defaultStorage, 'list'),
    }
    assert.equal(await (await defaultStorage.open('a.txt')).text(), 'x')
    assert.equal(defaultStorage.url('a.txt'), '/uploads/a.txt')
    for await (const { name } of defaultStorage.list()) assert.equal(name, 'a.txt')
    for (const call of Object.values(calls)) {
      assert.equal(call.mock.calls.length, 1)
      call.mockRestore()
    }
  })

  it('rejects and no more when a broken stream meets a wrong environment', async () => {
    vi.stubEnv('R2_ENABLED', 'nonsense')
    const { defaultStorage } = await fresh()
    const stream = new Readable({ read() {} })
    await assert.rejects(defaultStorage.save('a.txt', stream), { code: 'Misconfigured' })
    stream.destroy(new Error('too late'))
    await new Promise((resolve) => stream.once('close', resolve))
  })

  it('fails by a bad name as any storage does', async () => {
    using _ = setDefaultStorage(new MemoryStorage())
    await assert.rejects(defaultStorage.save('../x', ''), { code: 'InvalidName' })
    assert.throws(() => defaultStorage.url('../x'), { code: 'InvalidName' })
  })
})

describe('setDefaultStorage', () => {
  it('puts the previous one back, when it is told to and at the end of `using`', async () => {
    const [first, second] = [new MemoryStorage({ baseUrl: '/1/' }), new MemoryStorage({ baseUrl: '/2/' })]
    const restore = setDefaultStorage(first)
    assert.equal(defaultStorage.url('a'), '/1/a')
    {
      using _ = setDefaultStorage(second)
      assert.equal(defaultStorage.url('a'), '/2/a')
    }
    assert.equal(defaultStorage.url('a'), '/1/a')
    restore()
    assert.equal(defaultStorage.url('a'), '/uploads/a')
  })

  it('may be put back in any order, and more than once', () => {
    const restoreFirst = setDefaultStorage(new MemoryStorage({ baseUrl: '/1/' }))
    const restoreSecond = setDefaultStorage(new MemoryStorage({ baseUrl: '/2/' }))
    restoreFirst()
    assert.equal(defaultStorage.url('a'), '/2/a')
    restoreSecond()
    restoreSecond()
    assert.equal(defaultStorage.url('a'), '/uploads/a')
  })

  it.each([undefined, {}, defaultStorage])('refuses a value that is not a storage', (storage) => {
    assert.throws(() => Reflect.apply(setDefaultStorage, undefined, [storage]), { code: 'Misconfigured' })
  })

  it('is heard by a second copy of the package, as ESM and CommonJS have one each', async () => {
    using _ = setDefaultStorage(new MemoryStorage({ baseUrl: '/shared/' }))
    vi.resetModules()
    const other = await import('../../src/default.js')
    assert.notEqual(other.defaultStorage, defaultStorage)
    assert.equal(other.defaultStorage.url('a'), '/shared/a')
  })
})
