import assert from 'node:assert/strict'
import {
  CreateBucketCommand,
  GetBucketCorsCommand,
  GetBucketLifecycleConfigurationCommand,
  PutBucketCorsCommand,
  PutBucketLifecycleConfigurationCommand,
  S3Client,
} from '@aws-sdk/client-s3'
import { type CorsOptions, defaultExpiry, type ExpiryRule, S3Storage } from 'stowage'
import { afterAll, beforeAll, beforeEach, describe, inject, it } from 'vitest'
import { setUpR2 } from '../integration/r2-setup.js'
import { sdkFor } from '../servers/r2-client.js'

interface Server {
  storage(prefix?: string): S3Storage
  client(): S3Client
  readonly bucket: string
}

/** What must hold on every server. */
function cases(server: () => Server): void {
  const lifecycle = async () => {
    const { client, bucket } = server()
    const { Rules = [] } = await client().send(new GetBucketLifecycleConfigurationCommand({ Bucket: bucket }))
    return Rules.map(({ ID, Filter, Expiration, AbortIncompleteMultipartUpload, Status }) => [
      ID,
      Status,
      Filter?.Prefix ?? '',
      Expiration?.Days ?? AbortIncompleteMultipartUpload?.DaysAfterInitiation,
    ]).sort()
  }

  it('writes the rules of expire, and reads them back', async () => {
    const storage = server().storage()
    assert.deepEqual(await storage.getLifecycle(), [])
    await storage.setLifecycle(defaultExpiry)
    const byPrefix = (rules: readonly ExpiryRule[]) =>
      [...rules].sort((one, other) => (one.prefix < other.prefix ? -1 : 1))
    assert.deepEqual(byPrefix(await storage.getLifecycle()), byPrefix(defaultExpiry))
    assert.deepEqual(await lifecycle(), [
      ['stowage-abort-', 'Enabled', '', 7],
      ['stowage-expire-documents/', 'Enabled', 'documents/', 90],
      ['stowage-expire-tmp/', 'Enabled', 'tmp/', 7],
      ['stowage-expire-voice_notes/', 'Enabled', 'voice_notes/', 30],
    ])
  })

  it('replaces its own rules for the same folder only, and leaves those of others as they are', async () => {
    const { client, bucket, storage } = server()
    const foreign = [
      {
        ID: 'their <&> rule',
        Status: 'Enabled',
        Filter: { Prefix: 'their <&> folder/' },
        Expiration: { Days: 5 },
      },
      {
        ID: 'Default Multipart Abort Rule',
        Status: 'Enabled',
        Filter: { Prefix: '' },
        AbortIncompleteMultipartUpload: { DaysAfterInitiation: 3 },
      },
      {
        ID: 'off',
        Status: 'Disabled',
        Filter: { Prefix: 'off/' },
        Expiration: { Date: new Date('2030-01-01T00:00:00Z') },
      },
    ] as const
    await client().send(
      new PutBucketLifecycleConfigurationCommand({
        Bucket: bucket,
        LifecycleConfiguration: { Rules: [...foreign] },
      }),
    )
    const before = await lifecycle()
    await storage().setLifecycle([{ prefix: 'documents', days: 90 }])
    await storage('app/ä b').setLifecycle([{ prefix: 'documents', days: 3 }])
    await storage().setLifecycle([
      { prefix: 'documents', days: 60 },
      { prefix: 'a&<b>', days: 1 },
    ])
    assert.deepEqual(await storage('app/ä b').getLifecycle(), [{ prefix: 'documents', days: 3 }])
    assert.deepEqual((await storage().getLifecycle()).map(({ prefix, days }) => `${prefix} ${days}`).sort(), [
      'a&<b> 1',
      'app/ä b/documents 3',
      'documents 60',
    ])
    const after = await lifecycle()
    assert.deepEqual(
      after.filter(([id]) => !String(id).startsWith('stowage-')),
      before,
    )
    assert.deepEqual(
      after.flatMap(([id, , prefix]) => (String(id).startsWith('stowage-abort') ? [prefix] : [])),
      ['app/ä b/'],
    )
  })

  it('shows the rules of everybody, and takes its own away folder by folder', async () => {
    const { client, bucket, storage } = server()
    const theirs = {
      ID: 'theirs',
      Status: 'Disabled',
      Filter: { Prefix: 'logs/' },
      Expiration: { Date: new Date('2030-01-01T00:00:00Z') },
    } as const
    await client().send(
      new PutBucketLifecycleConfigurationCommand({
        Bucket: bucket,
        LifecycleConfiguration: { Rules: [theirs] },
      }),
    )
    await storage().setLifecycle(defaultExpiry)
    await storage('app').setLifecycle([{ prefix: 'tmp', days: 1 }])
    const rules = await storage().getLifecycleRules()
    assert.deepEqual(
      rules.find(({ id }) => id === 'theirs'),
      {
        id: 'theirs',
        prefix: 'logs/',
        own: false,
        enabled: false,
        days: undefined,
        abortDays: undefined,
        others: ['Expiration'],
      },
    )
    assert.deepEqual(
      rules
        .filter(({ own, abortDays }) => own && abortDays === 7)
        .map(({ prefix }) => prefix)
        .sort(),
      ['', 'app/'],
    )
    await storage().setLifecycle([{ prefix: 'new', days: 9 }], {
      remove: ['documents/', 'tmp', 'never there'],
    })
    assert.deepEqual((await storage().getLifecycle()).map(({ prefix, days }) => `${prefix} ${days}`).sort(), [
      'app/tmp 1',
      'new 9',
      'voice_notes 30',
    ])
    await storage().setLifecycle([], { remove: ['app/tmp', 'new', 'voice_notes'] })
    assert.deepEqual(await lifecycle(), [
      ['stowage-abort-', 'Enabled', '', 7],
      ['stowage-abort-app/', 'Enabled', 'app/', 7],
      ['theirs', 'Disabled', 'logs/', undefined],
    ])
    const both = storage().setLifecycle([{ prefix: 'a', days: 1 }], { remove: ['a/'] })
    await assert.rejects(both, { code: 'InvalidArgument' })
    await assert.rejects(storage().setLifecycle([], { remove: [''] }), { code: 'InvalidName' })
  })

  it('writes the rule for uploads from browsers, and leaves others as they are', async () => {
    const { client, bucket, storage } = server()
    const foreign = {
      ID: 'theirs',
      AllowedOrigins: ['https://other.test'],
      AllowedMethods: ['GET'],
      MaxAgeSeconds: 5,
    }
    await client().send(
      new PutBucketCorsCommand({ Bucket: bucket, CORSConfiguration: { CORSRules: [foreign] } }),
    )
    await storage().setCors({ origins: ['https://old.test'] })
    await storage().setCors({
      origins: ['https://app.test', 'http://localhost:3000'],
      headers: ['X-Amz-Meta-User'],
    })
    const rules = await storage().getCors()
    // Ceph sorts them.
    const sorted = rules.map(({ origins }) => [...origins].sort().join(' ')).sort()
    assert.deepEqual(sorted, ['http://localhost:3000 https://app.test', 'https://other.test'])
    const own = rules.find(({ origins }) => origins.length === 2)
    assert.deepEqual([...(own?.methods ?? [])].sort(), ['GET', 'HEAD', 'PUT'])
    assert.deepEqual(own?.exposedHeaders, ['ETag'])
    assert.ok(own?.headers.includes('content-type') && own.headers.includes('x-amz-meta-user'))
    const { CORSRules = [] } = await client().send(new GetBucketCorsCommand({ Bucket: bucket }))
    const { AllowedOrigins, AllowedMethods, MaxAgeSeconds } =
      CORSRules.find(({ ID }) => ID === 'theirs') ?? {}
    assert.deepEqual({ ID: 'theirs', AllowedOrigins, AllowedMethods, MaxAgeSeconds }, foreign)
  })
}

describe.each([true, false])('bucket settings on R2 (fastPath %s)', (fastPath) => {
  const r2 = setUpR2(fastPath)
  cases(() => ({
    storage: (prefix = '') => r2.storage({ prefix }),
    client: () => sdkFor(r2.server),
    bucket: 'test-bucket',
  }))

  it('leaves a rule of somebody else for the same folder', async () => {
    const theirs = {
      ID: 'theirs',
      Status: 'Enabled',
      Filter: { Prefix: 'tmp/' },
      Expiration: { Days: 30 },
    } as const
    await sdkFor(r2.server).send(
      new PutBucketLifecycleConfigurationCommand({
        Bucket: 'test-bucket',
        LifecycleConfiguration: { Rules: [theirs] },
      }),
    )
    await r2.storage().setLifecycle([{ prefix: 'tmp', days: 7 }])
    assert.deepEqual(await r2.storage().getLifecycle(), [{ prefix: 'tmp', days: 7 }])
    assert.match(r2.server.bucket().settings.get('lifecycle') ?? '', /^(?=.*<ID>theirs<).*<Days>30</s)
  })

  it('lets a page upload by a signed address', async () => {
    const storage = r2.storage()
    const upload = await storage.signedUpload('a.txt', { size: 2, contentType: 'text/plain' })
    const preflight = (origin: string) =>
      fetch(upload.url, {
        method: 'OPTIONS',
        headers: {
          origin,
          'access-control-request-method': 'PUT',
          'access-control-request-headers': Object.keys(upload.headers).sort().join(','),
        },
      })
    assert.equal((await preflight('https://app.test')).status, 403)
    await storage.setCors({ origins: ['https://app.test'] })
    const allowed = await preflight('https://app.test')
    assert.deepEqual(
      [allowed.status, allowed.headers.get('access-control-allow-origin')],
      [204, 'https://app.test'],
    )
    assert.equal((await preflight('https://evil.test')).status, 403)
    const { url, method, headers } = upload
    const sent = await fetch(url, { method, headers: { ...headers, origin: 'https://app.test' }, body: 'hi' })
    assert.deepEqual([sent.status, sent.headers.get('access-control-expose-headers')], [200, 'ETag'])
  })

  it.each<[string, unknown, string]>([
    ['an empty prefix', [{ prefix: '', days: 1 }], 'InvalidName'],
    ['no days', [{ prefix: 'a' }], 'InvalidArgument'],
    [
      'two rules for a folder',
      [
        { prefix: 'a', days: 1 },
        { prefix: 'a/', days: 2 },
      ],
      'InvalidArgument',
    ],
  ])('refuses %s before it asks the server', async (_, rules, code) => {
    await assert.rejects(r2.storage().setLifecycle(rules as ExpiryRule[]), {
      code,
      operation: 'setLifecycle',
    })
    assert.deepEqual(r2.operations(), [])
  })

  it.each([
    { origins: [] },
    { origins: 'https://app.test' },
    { origins: ['https://app.test/path'] },
    { origins: ['app.test'] },
    { origins: ['*'], headers: ['a b'] },
    { origin: ['*'] },
  ])('refuses %j', async (options) => {
    const given = options as unknown
    await assert.rejects(r2.storage().setCors(given as CorsOptions), {
      code: 'InvalidArgument',
      operation: 'setCors',
    })
  })

  it('says that the keys may not do it', async () => {
    r2.server.behaviour.onRequest = () => ({ status: 403, code: 'AccessDenied' })
    await assert.rejects(r2.storage().getLifecycle(), { code: 'PermissionDenied' })
    await assert.rejects(r2.storage().setCors({ origins: ['*'] }), { code: 'PermissionDenied' })
  })
})

const ceph = inject('ceph')
describe.skipIf(ceph === null).each([true, false])('bucket settings on Ceph (fastPath %s)', (fastPath) => {
  if (ceph === null) return
  const { endpoint, ...credentials } = ceph
  const clients: S3Client[] = []
  let bucket = ''
  beforeAll(() => {
    clients.push(new S3Client({ endpoint, credentials, region: 'us-east-1', forcePathStyle: true }))
  })
  afterAll(() => {
    for (const client of clients) client.destroy()
  })
  const server = (): Server => ({
    storage: (prefix = '') => new S3Storage({ ...ceph, bucket, prefix, fastPath }),
    client: () => clients[0] ?? new S3Client({}),
    bucket,
  })
  let made = 0
  beforeEach(async () => {
    bucket = `settings-${fastPath}-${Date.now()}-${made++}`
    await server()
      .client()
      .send(new CreateBucketCommand({ Bucket: bucket }))
  })
  cases(server)
})
