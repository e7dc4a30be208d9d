import { createHash } from 'node:crypto'
import { DeleteObjectsCommand, type S3Client } from '@aws-sdk/client-s3'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type StrictR2, startStrictR2 } from './r2.js'
import { outcome, raw, sdkFor } from './r2-client.js'

let r2: StrictR2
let client: S3Client
const Bucket = 'test-bucket'

beforeAll(async () => {
  r2 = await startStrictR2({ buckets: [Bucket, 'other'] })
  client = sdkFor(r2)
})
beforeEach(() => r2.reset())
afterAll(async () => {
  client.destroy()
  await r2.stop()
})

describe('bulk delete', () => {
  const bulk = (keys: string[], Quiet = false) =>
    client.send(
      new DeleteObjectsCommand({ Bucket, Delete: { Objects: keys.map((Key) => ({ Key })), Quiet } }),
    )
  const body = '<Delete><Object><Key>a</Key></Object></Delete>'
  const post = { method: 'POST', path: '/test-bucket', query: { delete: '' }, body }

  it('deletes odd and missing keys, and reports each', async () => {
    const keys = ["I'm a < & weird path", 'a/😀.file', ' lead', 'trail ', 'line\nend', 'missing']
    for (const key of keys.slice(0, -1)) r2.bucket().plant(key)
    expect((await bulk(keys)).Deleted?.map(({ Key }) => Key)).toEqual(keys)
    expect(r2.bucket().size).toBe(0)
    expect((await bulk(keys, true)).Deleted).toBeUndefined()
  })

  it('reports the keys a test makes fail', async () => {
    r2.behaviour.onBulkDelete = (_, key) =>
      key === 'b' ? { code: 'AccessDenied', message: 'locked' } : undefined
    for (const key of ['a', 'b']) r2.bucket().plant(key)
    expect((await bulk(['a', 'b'], true)).Errors).toEqual([
      { Key: 'b', Code: 'AccessDenied', Message: 'locked' },
    ])
    expect(r2.bucket().keys()).toEqual(['b'])
  })

  it('takes 1 to 1,000 keys', async () => {
    expect(await outcome(bulk(Array.from({ length: 1000 }, (_, index) => `k${index}`)))).toBe('200')
    expect(await outcome(bulk(Array.from({ length: 1001 }, (_, index) => `k${index}`)))).toBe(
      '400 MalformedXML',
    )
    expect(await outcome(bulk([]))).toBe('400 MalformedXML')
  })

  it('requires a digest and checks it', async () => {
    expect((await raw(r2, post)).code).toBe('InvalidRequest')
    expect((await raw(r2, { ...post, headers: { 'content-md5': 'XUFAKrxLKna5cZ2REBfFkg==' } })).code).toBe(
      'BadDigest',
    )
    expect((await raw(r2, { ...post, headers: { 'x-amz-checksum-crc32': 'AAAAAA==' } })).code).toBe(
      'BadDigest',
    )
    expect((await raw(r2, { ...post, headers: { 'x-amz-checksum-crc32': 'AAAA' } })).code).toBe(
      'InvalidDigest',
    )
    expect((await raw(r2, { ...post, headers: { 'x-amz-checksum-sha256': 'AAAA' } })).status).toBe(501)
  })

  it('refuses XML that is not well-formed', async () => {
    for (const broken of [
      '',
      '<Delete>',
      '<Delete></Deleted>',
      `${body}x`,
      body.replace('a', '\u0001'),
      body.replace('a', '&x;'),
    ]) {
      const md5 = createHash('md5').update(broken).digest('base64')
      expect((await raw(r2, { ...post, body: broken, headers: { 'content-md5': md5 } })).code).toBe(
        'MalformedXML',
      )
    }
  })
})
