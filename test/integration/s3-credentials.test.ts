import { setTimeout as sleep } from 'node:timers/promises'
import { ConfigurationError, R2Storage, type S3Credentials } from 'stowage'
import { describe, expect, it, vi } from 'vitest'
import { setUpR2 } from './r2-setup.js'

const MINUTE = 60_000
const NO_KEYS = { accessKeyId: undefined, secretAccessKey: undefined, sessionToken: undefined }

describe.each([true, false])('fastPath %s', (fastPath) => {
  const r2 = setUpR2(fastPath, { sessionToken: 'the-token' })

  function setUp(provide: (call: number) => Promise<S3Credentials> | S3Credentials, idleTimeout?: number) {
    r2.server.bucket().plant('a.txt', 'x')
    let calls = 0
    const credentials = vi.fn(async () => provide(++calls))
    return { credentials, storage: r2.storage({ ...NO_KEYS, credentials, idleTimeout }) }
  }

  function keysFor(milliseconds: number): S3Credentials {
    const { accessKeyId, secretAccessKey, sessionToken } = r2.server
    return { accessKeyId, secretAccessKey, sessionToken, expiration: new Date(Date.now() + milliseconds) }
  }

  const never = () => new Promise<S3Credentials>(() => {})

  it('a provider that never answers is given up, and asked again by the next request', async () => {
    const { storage, credentials } = setUp((call) => (call === 1 ? never() : keysFor(MINUTE)), 1_000)
    await expect(storage.exists('a.txt')).rejects.toMatchObject({ code: 'Unavailable' })
    expect(await storage.exists('a.txt')).toBe(true)
    expect(credentials).toHaveBeenCalledTimes(2)
  })

  it('an abort is heeded while a provider is asked, and nothing is sent after it', async () => {
    const { storage } = setUp(async (call) => {
      if (call > 1) await sleep(100)
      return keysFor(1)
    })
    await storage.exists('a.txt')
    r2.server.requests.length = 0
    for (const work of [
      (signal: AbortSignal) => storage.delete('a.txt', { signal }),
      (signal: AbortSignal) => storage.signedUrl('a.txt', { signal }),
      (signal: AbortSignal) => storage.signedUpload('a.txt', { size: 1, contentType: 'text/plain', signal }),
    ]) {
      const controller = new AbortController()
      setTimeout(() => controller.abort(), 10)
      await expect(work(controller.signal)).rejects.toMatchObject({ code: 'Aborted' })
    }
    await sleep(200)
    expect(r2.operations('HeadObject')).toEqual([])
    expect(r2.server.bucket().keys()).toEqual(['a.txt'])
  })

  it('all who wait for new credentials share one call', async () => {
    const { storage, credentials } = setUp(async (call) => {
      if (call > 1) await sleep(50)
      return call === 1 ? keysFor(0) : keysFor(60 * MINUTE)
    })
    await storage.exists('a.txt')
    await Promise.all(Array.from({ length: 50 }, () => storage.exists('a.txt')))
    expect(credentials).toHaveBeenCalledTimes(2)
  })

  it('credentials that live for minutes are used for most of them', async () => {
    const { storage, credentials } = setUp(() => keysFor(4 * MINUTE))
    for (let request = 0; request < 10; request++) await storage.exists('a.txt')
    expect(credentials).toHaveBeenCalledTimes(1)
  })

  it('good ones are used while the provider fails to renew them', async () => {
    const now = Date.now()
    const { storage, credentials } = setUp((call) => {
      if (call > 1) throw new Error('the vault is sealed')
      return keysFor(4 * MINUTE)
    })
    await storage.exists('a.txt')
    using clock = vi.spyOn(Date, 'now').mockReturnValue(now + 3 * MINUTE)
    for (let request = 0; request < 3; request++) expect(await storage.exists('a.txt')).toBe(true)
    expect(credentials).toHaveBeenCalledTimes(2)
    clock.mockReturnValue(now + 5 * MINUTE)
    await expect(storage.exists('a.txt')).rejects.toMatchObject({
      code: 'Unavailable',
      message: expect.stringContaining('the vault is sealed'),
    })
  })

  it('a provider is asked once more when what it gave is refused, but not again and again', async () => {
    const old = { accessKeyId: 'old', secretAccessKey: 'old' }
    const cured = setUp((call) => (call === 1 ? old : keysFor(MINUTE)))
    expect(await cured.storage.exists('a.txt')).toBe(true)
    expect(cured.credentials).toHaveBeenCalledTimes(2)
    const hopeless = setUp(() => old)
    await expect(hopeless.storage.exists('a.txt')).rejects.toMatchObject({ code: 'PermissionDenied' })
    expect(hopeless.credentials).toHaveBeenCalledTimes(2)
  })

  it('a provider may renew the very object that it gave', async () => {
    const shared = { accessKeyId: 'old', secretAccessKey: 'old', expiration: new Date() }
    const { storage } = setUp(() => shared)
    await expect(storage.exists('a.txt')).rejects.toMatchObject({ code: 'PermissionDenied' })
    Object.assign(shared, keysFor(MINUTE))
    expect(await storage.exists('a.txt')).toBe(true)
  })

  it('an upload address ends with the credentials that signed it', async () => {
    const { storage } = setUp(() => keysFor(MINUTE))
    const { expiresAt } = await storage.signedUpload('b.txt', { size: 1, contentType: 'text/plain' })
    expect(expiresAt.getTime()).toBeLessThanOrEqual(Date.now() + MINUTE)
  })

  it.each(['key\n', 'a key', 'clé', ''])('a provider that gives the key %j is misconfigured', async (key) => {
    const { storage, credentials } = setUp(() => ({ ...keysFor(MINUTE), secretAccessKey: key }))
    await expect(storage.exists('a.txt')).rejects.toMatchObject({ code: 'Misconfigured' })
    expect(credentials).toHaveBeenCalledTimes(1)
    expect(r2.server.requests).toEqual([])
  })

  it('an empty session token counts as none', async () => {
    await expect(r2.storage({ sessionToken: '' }).exists('a.txt')).rejects.toMatchObject({
      code: 'PermissionDenied',
    })
    expect(r2.server.requests[0]?.headers).not.toHaveProperty('x-amz-security-token')
  })
})

it.each(['accessKeyId', 'secretAccessKey', 'sessionToken'])(
  'a line break in %s is refused at once, and not shown',
  (option) => {
    const keys = { accessKeyId: 'the-id', secretAccessKey: 'the-secret', sessionToken: 'the-token' }
    const options = { ...keys, bucket: 'files', endpoint: 'https://e.example', [option]: 'what-it-is\n' }
    let error: unknown
    try {
      new R2Storage(options)
    } catch (caught) {
      error = caught
    }
    expect(error).toBeInstanceOf(ConfigurationError)
    expect(String(error)).toContain(option)
    expect(String(error)).not.toContain('what-it-is')
  },
)
