/** Keys by AWS's default chain: from the environment, a file, a container's role. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createStorage, S3Storage, type S3StorageOptions } from 'stowage'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { setUpR2 } from './r2-setup.js'

let folder: string
beforeEach(async () => {
  for (const variable of Object.keys(process.env)) if (/^AWS_/.test(variable)) vi.stubEnv(variable, undefined)
  folder = await mkdtemp(join(tmpdir(), 'stowage-chain-'))
  vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', join(folder, 'credentials'))
  vi.stubEnv('AWS_CONFIG_FILE', join(folder, 'config'))
  vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true')
})
afterEach(async () => {
  vi.unstubAllEnvs()
  await rm(folder, { recursive: true })
})

describe.each([true, false])('fastPath %s', (fastPath) => {
  const TOKEN = 'the-session-token'
  const r2 = setUpR2(fastPath, { sessionToken: TOKEN })
  const keyless = (changes: Partial<S3StorageOptions> = {}) =>
    new S3Storage({
      endpoint: r2.server.endpoint,
      bucket: 'test-bucket',
      region: 'auto',
      fastPath,
      ...changes,
    })
  const useIt = async (storage: S3Storage) => {
    await storage.save('a.txt', 'x', { ifExists: 'overwrite' })
    expect(await (await storage.open('a.txt')).text()).toBe('x')
    expect(await (await fetch(await storage.signedUrl('a.txt'))).text()).toBe('x')
  }

  it('takes the keys of the environment', async () => {
    const { accessKeyId, secretAccessKey } = r2.server
    vi.stubEnv('AWS_ACCESS_KEY_ID', accessKeyId)
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', secretAccessKey)
    vi.stubEnv('AWS_SESSION_TOKEN', TOKEN)
    await useIt(keyless())
  })

  it('takes the keys of a profile in the shared file', async () => {
    const { accessKeyId, secretAccessKey } = r2.server
    const lines = ['[default]', 'aws_access_key_id=other', 'aws_secret_access_key=other', '[work]']
    lines.push(`aws_access_key_id=${accessKeyId}`, `aws_secret_access_key=${secretAccessKey}`)
    lines.push(`aws_session_token=${TOKEN}`)
    await writeFile(join(folder, 'credentials'), lines.join('\n'))
    vi.stubEnv('AWS_PROFILE', 'work')
    await useIt(keyless())
  })

  it('takes the role of a container, and new keys before the old ones end or when they are refused', async () => {
    const { accessKeyId, secretAccessKey } = r2.server
    let asked = 0
    let end = Date.now() + 3_600_000
    await using container = await startContainer((authorization) => {
      asked += 1
      expect(authorization).toBe('Basic container')
      const Expiration = new Date(end).toISOString()
      return { AccessKeyId: accessKeyId, SecretAccessKey: secretAccessKey, Token: TOKEN, Expiration }
    })
    vi.stubEnv('AWS_CONTAINER_CREDENTIALS_FULL_URI', container.address)
    vi.stubEnv('AWS_CONTAINER_AUTHORIZATION_TOKEN', 'Basic container')
    const storage = keyless()
    await useIt(storage)
    await useIt(storage)
    expect(asked).toBe(1)
    const now = Date.now() + 3_590_000
    end = now + 3_600_000
    const clock = vi.spyOn(Date, 'now').mockReturnValue(now)
    await storage.signedUrl('a.txt')
    await vi.waitFor(() => expect(asked).toBe(2))
    clock.mockRestore()
    let refused = false
    r2.server.behaviour.onRequest = () => {
      if (refused) return undefined
      refused = true
      return { status: 400, code: 'ExpiredToken' }
    }
    await storage.save('b.txt', 'x')
    expect(asked).toBe(3)
  })

  it('says that credentials are missing, and that a role cannot be reached', async () => {
    const error = await keyless()
      .save('a.txt', 'x')
      .catch((error) => error)
    expect(error).toMatchObject({
      code: 'Misconfigured',
      message: /there are no AWS credentials: give accessKeyId/,
    })
    vi.stubEnv('AWS_CONTAINER_CREDENTIALS_FULL_URI', 'http://127.0.0.1:1/secret-path')
    const failed = await keyless()
      .save('a.txt', 'x')
      .catch((error) => error)
    expect(failed).toMatchObject({ code: 'Unavailable' })
    expect(failed.message).not.toMatch(/127|secret-path/)
    expect(r2.server.requests).toEqual([])
  })
})

describe('without keys', () => {
  it.each([
    ['AWS_REGION', 'eu-central-1', 'https://s3.eu-central-1.amazonaws.com/files/a'],
    ['AWS_DEFAULT_REGION', 'cn-north-1', 'https://s3.cn-north-1.amazonaws.com.cn/files/a'],
    ['AWS_REGION', '', 'https://s3.us-east-1.amazonaws.com/files/a'],
  ])('the region is that of %s=%s', (variable, region, url) => {
    vi.stubEnv(variable, region)
    expect(new S3Storage({ bucket: 'files' }).url('a')).toBe(url)
    expect(createStorage('s3:files').url('a')).toBe(url)
    const keys = { accessKeyId: 'a', secretAccessKey: 's' }
    expect(new S3Storage({ bucket: 'files', ...keys }).url('a')).toBe(
      'https://s3.us-east-1.amazonaws.com/files/a',
    )
  })

  it.each([
    { accessKeyId: 'a' },
    { secretAccessKey: 's' },
    { sessionToken: 't' },
    { accessKeyId: '', secretAccessKey: '' },
  ])('half of them is a mistake: %j', (keys) => {
    expect(() => new S3Storage({ bucket: 'files', ...keys })).toThrow(/must be given/)
  })

  it('createStorage uses the chain for an address of S3', async () => {
    const storage = createStorage('s3:files?endpoint=http://127.0.0.1:1', {})
    await expect(storage.exists('a')).rejects.toThrow(/there are no AWS credentials/)
  })
})

/** The endpoint that gives a container its role, as on ECS and EKS. */
async function startContainer(answer: (authorization: string | undefined) => object) {
  const server = createServer(({ headers }, response) =>
    response.end(JSON.stringify(answer(headers.authorization))),
  )
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}/role`,
    [Symbol.asyncDispose]: async () => void server.close(),
  }
}
