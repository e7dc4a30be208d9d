/** Requests through a forward proxy that the environment names. */
import { inspect } from 'node:util'
import { S3Storage, type S3StorageOptions } from 'stowage'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type ForwardProxy, startForwardProxy } from '../servers/forward-proxy.js'
import { optionsOf } from '../servers/r2.js'
import { startTlsFront } from '../servers/tls-front.js'
import { MIB, setUpR2, streamOf } from './r2-setup.js'

const VARIABLES = ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY']
const PASSWORD = 'hush-hush-pässword'

let proxy: ForwardProxy
beforeEach(async () => {
  for (const variable of [...VARIABLES, ...VARIABLES.map((each) => each.toLowerCase())]) {
    vi.stubEnv(variable, undefined)
  }
  proxy = await startForwardProxy()
})
afterEach(async () => {
  vi.unstubAllEnvs()
  await proxy[Symbol.asyncDispose]()
})

describe.each([true, false])('fastPath %s', (fastPath) => {
  const r2 = setUpR2(fastPath)
  /** No resolver knows the host: only the proxy finds the server. */
  const storageAt = (endpoint: string, changes: Partial<S3StorageOptions> = {}) =>
    new S3Storage({
      ...optionsOf(r2.server),
      endpoint,
      bucket: 'test-bucket',
      region: 'auto',
      conditionalCompletion: true,
      maxAttempts: 1,
      fastPath,
      ...changes,
    })
  const byName = () => r2.server.endpoint.replace('127.0.0.1', 's3.internal.test')
  const useIt = async (storage: S3Storage) => {
    expect(await storage.save("a b/it's (1).txt", 'hello')).toBe("a b/it's (1).txt")
    expect(await (await storage.open("a b/it's (1).txt")).text()).toBe('hello')
    await storage.save('big.bin', streamOf(9 * MIB))
    expect((await storage.stat('big.bin')).size).toBe(9 * MIB)
    await storage.copy('big.bin', 'c/copy.bin')
    expect(await storage.listdir()).toEqual({ directories: ['a b', 'c'], files: ['big.bin'] })
    await storage.deleteMany(['big.bin', 'c/copy.bin', "a b/it's (1).txt"])
  }

  it.each(['HTTP_PROXY', 'http_proxy'])(
    'by http go to the proxy of %s in absolute form',
    async (variable) => {
      vi.stubEnv(variable, `http://127.0.0.1:${proxy.port}`)
      await useIt(storageAt(byName()))
      expect(proxy.requests.length).toBe(r2.server.requests.length)
      expect(proxy.requests.every(({ target }) => target.startsWith(`${byName()}/test-bucket`))).toBe(true)
    },
  )

  it('by https go through a tunnel, in which the proxy sees the host alone', async () => {
    await using front = await startTlsFront('s3.internal.test', r2.server.endpoint)
    vi.stubEnv('HTTPS_PROXY', `127.0.0.1:${proxy.port}`)
    vi.stubEnv('HTTP_PROXY', 'http://127.0.0.1:1')
    const untrusted = storageAt(front.endpoint).exists('a.txt')
    await expect(untrusted).rejects.toMatchObject({ code: 'Misconfigured', message: /certificate/ })
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0')
    await useIt(storageAt(front.endpoint))
    const { host } = new URL(front.endpoint)
    expect(new Set(proxy.requests.map(({ method, target }) => `${method} ${target}`))).toEqual(
      new Set([`CONNECT ${host}`]),
    )
    // Connections are used again.
    expect(proxy.requests.length).toBeLessThan(r2.server.requests.length)
  })

  it('have user and password for the proxy, which no error shows', async () => {
    await using front = await startTlsFront('s3.internal.test', r2.server.endpoint)
    vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0')
    proxy.credentials = `me:${PASSWORD}`
    const address = (password: string) => `http://me:${encodeURIComponent(password)}@127.0.0.1:${proxy.port}`
    for (const [variable, endpoint] of [
      ['HTTP_PROXY', byName()],
      ['HTTPS_PROXY', front.endpoint],
    ] as const) {
      vi.stubEnv(variable, address(PASSWORD))
      const storage = storageAt(endpoint)
      await storage.save('a.txt', variable)
      expect(r2.server.requests.at(-1)?.headers).not.toHaveProperty('proxy-authorization')
      vi.stubEnv(variable, address(`${PASSWORD}2`))
      const error: unknown = await storageAt(endpoint)
        .exists('a.txt')
        .catch((error) => error)
      expect(error).toMatchObject({
        code: 'Misconfigured',
        message: expect.stringContaining('the proxy asks for'),
      })
      proxy.refuseConnect = 503
      vi.stubEnv(variable, address(PASSWORD))
      const refused: unknown = await storageAt(front.endpoint)
        .exists('a.txt')
        .catch((error) => error)
      proxy.refuseConnect = undefined
      if (variable === 'HTTPS_PROXY') expect(refused).toMatchObject({ code: 'Unavailable' })
      const shown = inspect([error, refused, storage], { depth: Number.POSITIVE_INFINITY, showHidden: true })
      for (const secret of ['hush-hush', Buffer.from(`me:${PASSWORD}`).toString('base64').slice(0, 12)]) {
        expect(shown).not.toContain(secret)
      }
    }
  })

  it.each(['127.0.0.1', '*', 'example.com, 127.0.0.1', '127.0.0.0/8', '127.0.0.1:PORT', 'x 127.0.0.1'])(
    'go past it to what NO_PROXY=%s names',
    async (exceptions) => {
      vi.stubEnv('http_proxy', `http://127.0.0.1:${proxy.port}`)
      vi.stubEnv('no_proxy', exceptions.replace('PORT', new URL(r2.server.endpoint).port))
      await storageAt(r2.server.endpoint).save('a.txt', 'x')
      expect(proxy.requests).toEqual([])
    },
  )

  it.each(['', 'example.com', '27.0.0.1', '127.0.0.1:1', '10.0.0.0/8', '127.0.0.0/99999', '::1'])(
    'go to it for what NO_PROXY=%s does not name',
    async (exceptions) => {
      vi.stubEnv('HTTP_PROXY', `http://127.0.0.1:${proxy.port}`)
      vi.stubEnv('NO_PROXY', exceptions)
      await storageAt(r2.server.endpoint).save('a.txt', 'x')
      expect(proxy.requests).toHaveLength(1)
    },
  )

  it('go past it for a domain of NO_PROXY and all below it', async () => {
    vi.stubEnv('HTTP_PROXY', `http://127.0.0.1:${proxy.port}`)
    for (const exception of ['internal.test', '.internal.test', '*.internal.test', 'S3.INTERNAL.TEST']) {
      vi.stubEnv('NO_PROXY', exception)
      await expect(storageAt(byName()).exists('a.txt')).rejects.toMatchObject({ code: 'Unavailable' })
    }
    expect(proxy.requests).toEqual([])
  })

  it.each(['socks5://127.0.0.1:1', 'http://', 'ftp://127.0.0.1', 'http://a:%zz@b'])(
    'are refused where HTTP_PROXY is %s',
    async (address) => {
      vi.stubEnv('HTTP_PROXY', address)
      await expect(storageAt(byName()).exists('a.txt')).rejects.toMatchObject({
        code: 'Misconfigured',
        message: expect.stringContaining('HTTP_PROXY must be the address of a proxy'),
      })
    },
  )

  it('say that it cannot be reached where no proxy answers', async () => {
    vi.stubEnv('HTTP_PROXY', 'http://127.0.0.1:1')
    await expect(storageAt(byName()).exists('a.txt')).rejects.toMatchObject({ code: 'Unavailable' })
  })
})
