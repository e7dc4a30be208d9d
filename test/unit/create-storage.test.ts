import assert from 'node:assert/strict'
import { resolve } from 'node:path'
import {
  ConfigurationError,
  createDefaultStorage,
  createStorage,
  type Environment,
  FileSystemStorage,
  MemoryStorage,
  R2Storage,
  S3Storage,
} from 'stowage'
import { describe, it, vi } from 'vitest'

const KEYS: Environment = {
  R2_ACCESS_KEY_ID: 'id',
  R2_SECRET_ACCESS_KEY: 'secret',
  R2_ENDPOINT_URL: 'https://account.r2.cloudflarestorage.com',
  AWS_ACCESS_KEY_ID: 'id',
  AWS_SECRET_ACCESS_KEY: 'secret',
}

function refused(address: string, env: Environment, message: RegExp): void {
  assert.throws(
    () => createStorage(address, env),
    (error) =>
      error instanceof ConfigurationError && error.operation !== undefined && message.test(error.message),
  )
}

describe('createStorage', () => {
  it('makes a storage of an address', () => {
    assert.equal(String(createStorage('fs:./media', {})), `FileSystemStorage(${resolve('media')})`)
    assert.ok(createStorage('memory:', {}) instanceof MemoryStorage)
    const r2 = createStorage('r2:chat-files', KEYS)
    assert.ok(r2 instanceof R2Storage)
    assert.equal(String(r2), 'R2Storage(chat-files)')
    assert.equal(r2.url('a'), 'https://account.r2.cloudflarestorage.com/chat-files/a')
    const s3 = createStorage('s3:files?endpoint=https://s3.example.com&region=eu-west-1&prefix=a/b', KEYS)
    assert.ok(s3 instanceof S3Storage && !(s3 instanceof R2Storage))
    assert.equal(s3.url('c'), 'https://s3.example.com/files/a/b/c')
  })

  it('signs for a folder as the application does', async () => {
    const env = { MEDIA_ROOT: './media', MEDIA_URL: '/media/', STORAGE_SIGNING_SECRET: 'x'.repeat(40) }
    const options = { stableFor: 86_400 }
    const ours = await createStorage('fs:./media', env).signedUrl('a.txt', options)
    assert.match(ours, /^\/media\/a\.txt\?/)
    assert.equal(ours, await createDefaultStorage(env).signedUrl('a.txt', options))
    assert.notEqual(
      ours,
      await createStorage('fs:./media', { MEDIA_URL: '/media/' }).signedUrl('a.txt', options),
    )
    const memory = await createStorage('memory:', env).signedUrl('a.txt', options)
    assert.equal(memory.split('?')[0], '/media/a.txt')
  })

  it.each(['', 'uploads', 'ftp:x', './uploads', 'fs', '__proto__:x'])('refuses the address %j', (address) => {
    refused(address, KEYS, /an address is fs:\.\/folder/)
  })

  it('says what is wrong with an address', () => {
    refused('fs:', {}, /needs a folder/)
    refused('fs:~/uploads', {}, /"~"/)
    refused('r2:', KEYS, /bucket/)
    refused('r2:files', {}, /R2_ACCESS_KEY_ID, R2_SECRET_ACCESS_KEY are not set/)
    refused('s3:files', { AWS_ACCESS_KEY_ID: 'id' }, /AWS_SECRET_ACCESS_KEY is not set/)
    refused(
      's3:files?endpint=https://s3.example.com',
      KEYS,
      /there is no parameter "endpint"; there are endpoint/,
    )
  })
})

describe('a misspelt constructor option', () => {
  it('is refused with the known ones', () => {
    const misspelt = (Class: new (options: never) => unknown, option: string, known: RegExp) => {
      const make = () => Reflect.construct(Class, [{ bucket: 'files', [option]: '/x/' }])
      assert.throws(make, (error) => error instanceof ConfigurationError && known.test(error.message))
    }
    const make = () => Reflect.construct(MemoryStorage, [{ baseURL: '/x/' }])
    assert.throws(make, /there is no option "baseURL"; there are baseUrl/)
    const root = () => Reflect.construct(FileSystemStorage, [{ root: './x' }])
    assert.throws(root, /there is no option "root"; there are location, baseUrl/)
    misspelt(S3Storage, 'endPoint', /there is no option "endPoint"; there are bucket, .*endpoint/)
    misspelt(S3Storage, 'accountId', /there is no option "accountId"/)
    misspelt(S3Storage, 'jurisdiction', /there is no option "jurisdiction"/)
    for (const option of ['addressing', 'signingEndpoint', 'writeHeaders', 'kind']) {
      misspelt(R2Storage, option, /^new R2Storage: there is no option ".*"; there are .*accountId/)
    }
  })
})

describe('R2 variables without R2_ENABLED', () => {
  it('are a warning, once', async () => {
    vi.resetModules()
    const { createDefaultStorage } = await import('../../src/index.js')
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    try {
      createDefaultStorage({})
      createDefaultStorage({ R2_ENABLED: '0', R2_BUCKET_NAME: 'files' })
      assert.equal(warn.mock.calls.length, 0)
      createDefaultStorage({ R2_BUCKET_NAME: 'files', R2_ACCESS_KEY_ID: 'the-id' })
      createDefaultStorage({ R2_BUCKET_NAME: 'files' })
      assert.equal(warn.mock.calls.length, 1)
      const text = String(warn.mock.calls[0])
      assert.match(text, /R2_ACCESS_KEY_ID, R2_BUCKET_NAME are set, but R2_ENABLED is not/)
      assert.doesNotMatch(text, /the-id/)
    } finally {
      warn.mockRestore()
    }
  })

  it('and a folder that begins with ~ is refused', async () => {
    const { createDefaultStorage } = await import('../../src/index.js')
    assert.throws(() => createDefaultStorage({ MEDIA_ROOT: '~/uploads' }), /MEDIA_ROOT begins with "~"/)
    const env = { ...KEYS, R2_ENABLED: '1', R2_BUCKET_NAME: 'files', R2_FALLBACK_ROOT: '~/old' }
    assert.throws(() => createDefaultStorage(env), /R2_FALLBACK_ROOT begins with "~"/)
  })
})
