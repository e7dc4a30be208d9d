/** Each thing that may be wrong with a server, its keys, its bucket or the way there: provoked, and found. */
import assert from 'node:assert/strict'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { PutBucketCorsCommand } from '@aws-sdk/client-s3'
import {
  type CheckResult,
  defaultExpiry,
  MemoryStorage,
  type R2StorageOptions,
  readThrough,
  type S3Storage,
  type S3StorageOptions,
} from 'stowage'
import { afterEach, beforeEach, describe, it, vi } from 'vitest'
import { always, setUpR2 } from '../integration/r2-setup.js'
import { startForwardProxy } from '../servers/forward-proxy.js'
import type { RequestInfo, Verdict } from '../servers/r2.js'
import { sdkFor } from '../servers/r2-client.js'
import { rawAnswer, startRawServer } from '../servers/raw-server.js'
import { startTlsFront } from '../servers/tls-front.js'
import { checksOf, diagnosed, problemIn } from './diagnosed.js'

const MINUTE = 60_000
const DENIED = { status: 403, code: 'AccessDenied' } as const

beforeEach(() => {
  for (const variable of ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY']) {
    vi.stubEnv(variable, undefined)
    vi.stubEnv(variable.toLowerCase(), undefined)
  }
})
afterEach(() => {
  vi.unstubAllEnvs()
})

describe.each([true, false])('fastPath %s', (fastPath) => {
  const r2 = setUpR2(fastPath)

  /** Settings that are as they should be. */
  beforeEach(async () => {
    await r2.storage().setCors({ origins: ['https://app.test'] })
    await r2.storage().setLifecycle(defaultExpiry)
  })

  /** Diagnoses a storage. Nothing may be left in the bucket. */
  async function diagnosedHere(storage: S3Storage, origin?: string): Promise<CheckResult[]> {
    const secrets = [r2.server.secretAccessKey, r2.server.accessKeyId, 'hush-hush']
    const results = await diagnosed(storage, { secrets, ...(origin !== undefined && { origin }) })
    assert.deepEqual(r2.server.bucket().keys(), [])
    assert.equal(r2.server.openUploads, 0)
    return results
  }

  interface Expected {
    readonly check: string
    readonly status?: 'failed' | 'warning'
    readonly message: RegExp
    readonly remedy: RegExp
    /** Whether all that comes after is skipped for it. */
    readonly ends?: boolean
  }

  function expectProblem(results: CheckResult[], expected: Expected): void {
    const problem = problemIn(results)
    const { check, status = 'failed', message, remedy, ends = false } = expected
    assert.deepEqual([problem.check, problem.status], [check, status], problem.message)
    assert.match(problem.message, message)
    assert.match(problem.remedy ?? '', remedy)
    const after = results.slice(results.indexOf(problem) + 1)
    if (ends) assert.ok(after.every(({ status }) => status === 'skipped'))
    else assert.ok(checksOf(after, 'ok').includes('write') || checksOf(results, 'ok').includes('write'))
  }

  describe('the keys', () => {
    it.each<[string, Partial<R2StorageOptions>, RegExp, RegExp]>([
      ['wrong key', { accessKeyId: 'other' }, /does not know the access key id/, /Check the access key id/],
      ['wrong secret', { secretAccessKey: 'other' }, /secret access key does not belong/, /Copy the secret/],
    ])('%s', async (_, options, message, remedy) => {
      const results = await diagnosedHere(r2.storage(options))
      expectProblem(results, { check: 'credentials', message, remedy, ends: true })
      assert.deepEqual(checksOf(results, 'ok'), ['address', 'endpoint', 'clock'])
    })

    it.each([
      ['ExpiredToken', 400, /have expired/, /credentials provider/],
      ['InvalidToken', 400, /refuses the session token/, /session token that belongs/],
      ['AuthorizationHeaderMalformed', 400, /for another region/, /Set the region/],
    ] as const)('%s', async (code, status, message, remedy) => {
      r2.server.behaviour.onRequest = always({ status, code })
      expectProblem(await diagnosedHere(r2.storage()), { check: 'credentials', message, remedy, ends: true })
    })

    it('that a provider does not give', async () => {
      const storage = r2.storage({
        accessKeyId: undefined,
        secretAccessKey: undefined,
        credentials: () => Promise.reject(new Error('no role here')),
      })
      const message = /No keys come from the provider: .*no role here/
      expectProblem(await diagnosedHere(storage), {
        check: 'keys',
        message,
        remedy: /accessKeyId/,
        ends: true,
      })
    })
  })

  describe('the bucket', () => {
    it('wrong bucket', async () => {
      const results = await diagnosedHere(r2.storage({ bucket: 'no-such-bucket' }))
      const message = /There is no bucket "no-such-bucket"/
      expectProblem(results, { check: 'bucket', message, remedy: /jurisdiction/, ends: true })
    })

    it('without any right on it', async () => {
      r2.server.behaviour.onRequest = always(DENIED)
      const message = /have no right on the bucket "test-bucket"/
      expectProblem(await diagnosedHere(r2.storage()), {
        check: 'bucket',
        message,
        remedy: /right to read/,
        ends: true,
      })
    })

    it('of another region', async () => {
      r2.server.behaviour.onRequest = always({ status: 301, code: 'PermanentRedirect' })
      const message = /is in another region/
      expectProblem(await diagnosedHere(r2.storage()), {
        check: 'bucket',
        message,
        remedy: /region/,
        ends: true,
      })
    })

    it.each([
      ['https://chat-files.0123.r2.cloudflarestorage.com', 'https://0123.r2.cloudflarestorage.com'],
      ['https://chat-files.0123.eu.r2.cloudflarestorage.com', 'https://0123.eu.r2.cloudflarestorage.com'],
      ['https://chat-files.s3.eu-west-1.amazonaws.com', 'https://s3.eu-west-1.amazonaws.com'],
    ])('in the host of %s', async (endpoint, right) => {
      const results = await diagnosedHere(r2.storage({ endpoint, bucket: 'chat-files' }))
      const message = /The host of the endpoint begins with the name of the bucket: chat-files\./
      const remedy = new RegExp(`Set the endpoint to ${right}\\.`)
      expectProblem(results, { check: 'address', message, remedy, ends: true })
    })

    it('perhaps in the host of a server that nobody knows', async () => {
      await using proxy = await startForwardProxy()
      vi.stubEnv('HTTP_PROXY', `http://127.0.0.1:${proxy.port}`)
      const endpoint = r2.server.endpoint.replace('127.0.0.1', 'test-bucket.s3.internal.test')
      const results = await diagnosedHere(r2.storage({ endpoint }))
      const message = /begins with the name of the bucket/
      expectProblem(results, {
        check: 'address',
        status: 'warning',
        message,
        remedy: /http:\/\/s3\.internal\.test:/,
      })
    })
  })

  describe('rights', () => {
    const cases: [string, (info: RequestInfo) => Verdict, Expected][] = [
      [
        'no list right',
        ({ operation, key }) => {
          const reads = operation === 'HeadObject' || operation === 'GetObject'
          const hidden = reads && !r2.server.bucket().keys().includes(key)
          return hidden || operation.startsWith('List') ? DENIED : undefined
        },
        { check: 'list', message: /Files cannot be listed: .*permi/, remedy: /s3:ListBucket/ },
      ],
      [
        'no write right',
        ({ method }) => (method === 'PUT' || method === 'POST' ? DENIED : undefined),
        { check: 'write', message: /A file cannot be written: .*permi/, remedy: /s3:PutObject/, ends: false },
      ],
      [
        'no read right',
        ({ operation, key }) =>
          operation === 'GetObject' && r2.server.bucket().keys().includes(key) ? DENIED : undefined,
        { check: 'read', message: /The file cannot be read: .*permi/, remedy: /s3:GetObject/ },
      ],
    ]
    it.each(cases)('%s', async (what, onRequest, expected) => {
      r2.server.behaviour.onRequest = onRequest
      const results = await diagnosedHere(r2.storage())
      if (what === 'no write right') {
        const problem = problemIn(results)
        assert.deepEqual([problem.check, problem.status], ['write', 'failed'])
        assert.match(problem.message, expected.message)
        assert.match(problem.remedy ?? '', expected.remedy)
        assert.ok(checksOf(results, 'ok').includes('list'))
      } else expectProblem(results, expected)
    })

    it('no right to read the settings of the bucket is none of its faults', async () => {
      r2.server.behaviour.onRequest = ({ operation }) =>
        /Cors|Lifecycle/.test(operation) ? DENIED : undefined
      const results = await diagnosedHere(r2.storage())
      assert.deepEqual([...checksOf(results, 'failed'), ...checksOf(results, 'warning')], [])
      assert.deepEqual(checksOf(results, 'skipped').slice(0, 2), ['cors', 'lifecycle'])
    })

    it('a setting that cannot be read for another reason is named', async () => {
      r2.server.behaviour.onRequest = ({ operation }) =>
        operation.includes('Cors') ? { status: 400, code: 'InvalidRequest' } : undefined
      const expected = {
        check: 'cors',
        message: /It failed: the server refuses the request/,
        remedy: /names/,
      }
      expectProblem(await diagnosedHere(r2.storage()), expected)
    })

    it('no right to delete leaves files, and says which', async () => {
      r2.server.behaviour.onRequest = ({ operation }) => (operation.startsWith('Delete') ? DENIED : undefined)
      const problem = problemIn(await diagnosed(r2.storage()))
      assert.equal(problem.check, 'delete')
      const [left = ''] = r2.server.bucket().keys()
      assert.match(left, /^stowage-check-/)
      assert.ok(problem.remedy?.includes(left.split('/')[0] ?? ''), problem.remedy)
    })
  })

  describe('the clock', () => {
    it.each([
      [60, 'failed', /60 minutes behind the server's\. .*refused/],
      [-60, 'failed', /60 minutes ahead of the server's\. .*refused/],
      [10, 'warning', /10 minutes behind the server's\. .*wrong time/],
    ] as const)('%i minutes off', async (minutes, status, message) => {
      r2.server.behaviour.now = () => Date.now() + minutes * MINUTE
      const results = await diagnosedHere(r2.storage())
      expectProblem(results, { check: 'clock', status, message, remedy: /NTP/ })
    })
  })

  describe('pages of other origins', () => {
    const cors = (rule: { AllowedHeaders?: string[]; ExposeHeaders?: string[]; AllowedMethods?: string[] }) =>
      sdkFor(r2.server).send(
        new PutBucketCorsCommand({
          Bucket: 'test-bucket',
          CORSConfiguration: {
            CORSRules: [{ AllowedOrigins: ['https://app.test'], AllowedMethods: ['GET', 'PUT'], ...rule }],
          },
        }),
      )
    const AllowedHeaders = ['content-type', 'if-none-match', 'cache-control']

    it('no CORS', async () => {
      r2.server.bucket().settings.delete('cors')
      const status = 'warning'
      const message = /has no CORS rules/
      expectProblem(await diagnosedHere(r2.storage()), {
        check: 'cors',
        status,
        message,
        remedy: /stowage cors/,
      })
    })

    it.each([
      ['no PUT', { AllowedMethods: ['GET'] }, /allows PUT/],
      ['not the headers', { ExposeHeaders: ['ETag'] }, /the headers of an upload/],
      ['no ETag', { AllowedHeaders }, /do not expose ETag/],
    ])('CORS with %s', async (_, rule, message) => {
      await cors(rule)
      const status = 'warning'
      expectProblem(await diagnosedHere(r2.storage()), { check: 'cors', status, message, remedy: /setCors/ })
    })

    it.each([
      ['of another origin', {}, 'https://other.test', /other\.test may not upload/],
      ['without ETag', { AllowedHeaders }, 'https://app.test', /do not see the ETag/],
    ])('a page %s, by real requests', async (_, rule, origin, message) => {
      await cors(rule)
      const remedy = new RegExp(`setCors\\({ origins: \\['${origin}'\\] }\\)`)
      expectProblem(await diagnosedHere(r2.storage(), origin), { check: 'cors', message, remedy })
    })

    it('no rule for unfinished uploads', async () => {
      r2.server.bucket().settings.delete('lifecycle')
      const message = /never completed/
      const expected = { check: 'lifecycle', status: 'warning', message, remedy: /setLifecycle/ } as const
      expectProblem(await diagnosedHere(r2.storage()), expected)
    })
  })

  describe('conditions', () => {
    it.each<[string, Partial<R2StorageOptions>]>([
      ['that nobody knows', { conditionalCompletion: undefined, conditionalCopy: undefined }],
      ['that is said to honour them', {}],
    ])('a server %s ignores If-None-Match', async (_, options) => {
      r2.server.behaviour.conditionalWrites = false
      const results = await diagnosedHere(r2.storage(options))
      const problem = problemIn(results)
      assert.equal(problem.check, 'create-only')
      assert.match(problem.message, /If-None-Match/)
      assert.match(problem.remedy ?? '', /createOnly: 'check'/)
      assert.deepEqual(r2.server.bucket().keys(), [])
    })

    it('a server ignores If-None-Match on completion', async () => {
      r2.server.behaviour.onRequest = ({ operation }) => {
        r2.server.behaviour.conditionalWrites = operation !== 'CompleteMultipartUpload'
        return undefined
      }
      const message = /ignores If-None-Match when parts are completed/
      const expected = { check: 'conditions', message, remedy: /Leave out the option conditionalCompletion/ }
      expectProblem(await diagnosedHere(r2.storage()), expected)
      const careful = await diagnosedHere(r2.storage({ conditionalCompletion: undefined }))
      assert.deepEqual(checksOf(careful, 'failed'), [])
      assert.match(careful.find(({ check }) => check === 'conditions')?.message ?? '', /a placeholder guards/)
    })

    it("createOnly: 'check' where it is needed, and where it is not", async () => {
      const storage = () => r2.storage({ createOnly: 'check', conditionalCompletion: undefined })
      const expected = {
        check: 'conditions',
        status: 'warning',
        message: /lets a race/,
        remedy: /Leave out/,
      } as const
      expectProblem(await diagnosedHere(storage()), expected)
      r2.server.behaviour.conditionalWrites = false
      const needed = await diagnosedHere(storage())
      assert.deepEqual([...checksOf(needed, 'failed'), ...checksOf(needed, 'warning')], [])
    })
  })

  describe('the way to the server', () => {
    const quick = { connectTimeout: 300, idleTimeout: 300 }
    const at = (endpoint: string, changes: Partial<S3StorageOptions> = {}) =>
      r2.storage({ endpoint, ...quick, ...changes })
    const byName = (scheme = 'http') =>
      r2.server.endpoint.replace('http://127.0.0.1', `${scheme}://s3.internal.test`)
    const ends = true
    const check = 'endpoint'

    it('dead host', async () => {
      const message = /No DNS server knows the host s3\.internal\.test/
      expectProblem(await diagnosedHere(at(byName())), { check, message, remedy: /typing error/, ends })
    })

    it('closed port', async () => {
      const server = createServer()
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      const { port } = server.address() as AddressInfo
      await new Promise((resolve) => server.close(resolve))
      const message = new RegExp(
        `Nothing listens at 127\\.0\\.0\\.1:${port}: the endpoint refuses connections`,
      )
      const results = await diagnosedHere(at(`http://127.0.0.1:${port}`))
      expectProblem(results, { check, message, remedy: /Check host and port/, ends })
    })

    it('a server that never answers', async () => {
      await using server = await startRawServer(() => {})
      const results = await diagnosedHere(at(server.endpoint))
      expectProblem(results, { check, message: /does not answer/, remedy: /firewall/, ends })
    })

    it('a server that does not speak HTTP', async () => {
      await using server = await startRawServer((_, socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n'))
      const results = await diagnosedHere(at(server.endpoint))
      expectProblem(results, { check, message: /does not speak HTTP/, remedy: /scheme and port/, ends })
    })

    it.each([200, 403, 404, 502])('a page of a portal, of status %i', async (status) => {
      const page = rawAnswer(status, { 'content-type': 'text/html' }, '<html>Please log in')
      await using server = await startRawServer((_, socket) => socket.write(page))
      const results = await diagnosedHere(at(server.endpoint))
      const message = new RegExp(`An answer of status ${status} came, which is not from an S3 server`)
      expectProblem(results, { check, message, remedy: /a portal of the network/, ends })
    })

    it('a server that has a problem', async () => {
      r2.server.behaviour.onRequest = always({ status: 503, code: 'ServiceUnavailable' })
      const results = await diagnosedHere(r2.storage(quick))
      expectProblem(results, { check, message: /answers, but has a problem/, remedy: /status page/, ends })
    })

    it('a self-signed certificate', async () => {
      await using front = await startTlsFront('localhost', r2.server.endpoint)
      const message = /certificate of localhost:\d+ is not from an authority that this machine trusts/
      expectProblem(await diagnosedHere(at(front.endpoint)), {
        check,
        message,
        remedy: /NODE_EXTRA_CA_CERTS/,
        ends,
      })
    })

    it('https where there is no TLS', async () => {
      const results = await diagnosedHere(at(r2.server.endpoint.replace('http:', 'https:')))
      expectProblem(results, {
        check,
        message: /No secure connection/,
        remedy: /http for a server without TLS/,
        ends,
      })
    })

    it('a proxy that asks for a password', async () => {
      await using proxy = await startForwardProxy()
      proxy.credentials = 'me:hush-hush'
      vi.stubEnv('HTTP_PROXY', `http://127.0.0.1:${proxy.port}`)
      vi.stubEnv('HTTPS_PROXY', `http://me:hush-hush-wrong@127.0.0.1:${proxy.port}`)
      for (const endpoint of [byName(), byName('https')]) {
        const message = new RegExp(`The proxy 127\\.0\\.0\\.1:${proxy.port} asks for a user`)
        expectProblem(await diagnosedHere(at(endpoint)), { check, message, remedy: /NO_PROXY/, ends })
      }
    })

    it('a proxy that refuses', async () => {
      await using proxy = await startForwardProxy()
      proxy.refuseConnect = 403
      vi.stubEnv('HTTPS_PROXY', `http://me:hush-hush@127.0.0.1:${proxy.port}`)
      const message = /The proxy 127\.0\.0\.1:\d+ does not connect to s3\.internal\.test/
      expectProblem(await diagnosedHere(at(byName('https'))), {
        check,
        message,
        remedy: /Allow s3\.internal/,
        ends,
      })
    })

    it('a proxy that is away, or answers in the place of the server', async () => {
      vi.stubEnv('HTTP_PROXY', 'http://127.0.0.1:1')
      const message = /Nothing listens at 127\.0\.0\.1:1: the proxy refuses connections/
      expectProblem(await diagnosedHere(at(byName())), { check, message, remedy: /port of the proxy/, ends })
      await using page = await startRawServer((_, socket) =>
        socket.write(rawAnswer(403, {}, '<html>Blocked')),
      )
      vi.stubEnv('HTTP_PROXY', page.endpoint)
      const blocked = {
        check,
        message: /not from an S3 server/,
        remedy: /The proxy .* may answer in its place/,
        ends,
      }
      expectProblem(await diagnosedHere(at(byName())), blocked)
    })

    it('a proxy whose address is malformed', async () => {
      vi.stubEnv('HTTP_PROXY', 'socks5://me:hush-hush@127.0.0.1:1')
      const message = /HTTP_PROXY must be the address of a proxy/
      expectProblem(await diagnosedHere(at(byName())), { check, message, remedy: /./, ends })
    })

    it('a proxy that works is no failure', async () => {
      await using proxy = await startForwardProxy()
      vi.stubEnv('HTTP_PROXY', `http://me:hush-hush@127.0.0.1:${proxy.port}`)
      const results = await diagnosedHere(at(byName(), { idleTimeout: 5_000 }))
      assert.deepEqual([...checksOf(results, 'failed'), ...checksOf(results, 'warning')], [])
      assert.match(results[1]?.message ?? '', /answers through the proxy 127\.0\.0\.1:\d+/)
    })

    it('the older one of two storages', async () => {
      const storage = readThrough(new MemoryStorage(), at('http://127.0.0.1:1'))
      const problem = problemIn(await diagnosed(storage))
      assert.deepEqual([problem.group, problem.check], ['Older storage: Server', 'older-endpoint'])
    })
  })
})
