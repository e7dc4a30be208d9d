import {
  CopyObjectCommand,
  type CopyObjectCommandInput,
  PutObjectCommand,
  type PutObjectCommandInput,
  type S3Client,
} from '@aws-sdk/client-s3'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type StrictR2, startStrictR2 } from './r2.js'
import { outcome, raw, sdkFor } from './r2-client.js'

let r2: StrictR2
let client: S3Client
const Bucket = 'test-bucket'
const md5OfHello = '5d41402abc4b2a76b9719d911017c592'

beforeAll(async () => {
  r2 = await startStrictR2({ buckets: [Bucket, 'other'] })
  client = sdkFor(r2)
})
beforeEach(() => r2.reset())
afterAll(async () => {
  client.destroy()
  await r2.stop()
})

const put = (Key: string, changes: Partial<PutObjectCommandInput> = {}) =>
  client.send(new PutObjectCommand({ Bucket, Key, Body: 'hello', ...changes }))
const copy = (Key: string, CopySource: string, changes: Partial<CopyObjectCommandInput> = {}) =>
  client.send(new CopyObjectCommand({ Bucket, Key, CopySource, ...changes }))

describe('copy', () => {
  const conditional = (sdk: S3Client, name: string, value: string) => {
    sdk.middlewareStack.add(
      (next) => (args) => {
        Object.assign((args.request as { headers: object }).headers, { [name]: value })
        return next(args)
      },
      { step: 'build', name },
    )
    return sdk
  }

  it('carries content and attributes along, across buckets', async () => {
    await put('a b+☺', { ContentType: 'text/plain', Metadata: { m: '1' } })
    const source = `/${Bucket}/${encodeURIComponent('a b+☺')}`
    await client.send(new CopyObjectCommand({ Bucket: 'other', Key: 'k', CopySource: source }))
    expect(r2.bucket('other').get('k')).toMatchObject({
      etag: md5OfHello,
      metadata: { m: '1' },
      headers: { 'content-type': 'text/plain' },
    })
  })

  it('takes the source with and without a leading slash, and with encoded slashes', async () => {
    const planted = r2.bucket().plant('folder/a.txt', 'hello')
    for (const source of [`${Bucket}/folder/a.txt`, `/${Bucket}/folder/a.txt`]) {
      for (const form of [source, encodeURIComponent(source)]) {
        r2.bucket().delete('k')
        expect(await outcome(copy('k', form))).toBe('200')
        expect(r2.bucket().get('k')?.etag).toBe(planted.etag)
      }
    }
  })

  it('wants an encoded source and a key that exists', async () => {
    r2.bucket().plant('anyfilename%25.txt')
    r2.bucket().plant('a+b')
    for (const nothing of [Bucket, `/${Bucket}`, `/${Bucket}/`, '/', '//a', `${Bucket}/%C3`])
      expect(await outcome(copy('k', nothing))).toMatch(/^400 Invalid(?:Argument|ObjectName)$/)
    expect(await outcome(copy('k', `/${Bucket}/anyfilename%25.txt`))).toBe('404 NoSuchKey')
    expect(await outcome(copy('k', `/${Bucket}/anyfilename%2525.txt`))).toBe('200')
    expect(await outcome(copy('k', `/${Bucket}/a+b`))).toBe('404 NoSuchKey')
    expect(await outcome(copy('k', `/${Bucket}/a%2Bb`))).toBe('200')
    expect(await outcome(copy('k', '/nope/a'))).toBe('404 NoSuchBucket')
    expect(await outcome(copy('k', `/${Bucket}/a%2Bb?versionId=1`))).toBe('400 InvalidArgument')
  })

  it('replaces, keeps or merges metadata; onto itself it must change something', async () => {
    await put('k', { ContentType: 'text/plain', Metadata: { a: '1', b: '2' } })
    const self = `/${Bucket}/k`
    expect(await outcome(copy('k', self))).toBe('400 InvalidRequest')
    const merge = { method: 'PUT', path: self }
    const headers = { 'x-amz-copy-source': self, 'x-amz-metadata-directive': 'MERGE', 'x-amz-meta-b': '3' }
    expect((await raw(r2, { ...merge, headers })).status).toBe(200)
    expect(r2.bucket().get('k')).toMatchObject({
      metadata: { a: '1', b: '3' },
      headers: { 'content-type': 'text/plain' },
    })
    await copy('k', self, { MetadataDirective: 'REPLACE', Metadata: { c: '4' } })
    expect(r2.bucket().get('k')).toMatchObject({
      metadata: { c: '4' },
      headers: { 'content-type': 'application/octet-stream' },
    })
  })

  it('evaluates conditions on the source', async () => {
    const { ETag = '' } = await put('k')
    const source = `/${Bucket}/k`
    expect(await outcome(copy('c', source, { CopySourceIfMatch: ETag }))).toBe('200')
    expect(await outcome(copy('c', source, { CopySourceIfMatch: '"x"' }))).toBe('412 PreconditionFailed')
    expect(await outcome(copy('c', source, { CopySourceIfNoneMatch: ETag }))).toBe('412 PreconditionFailed')
    expect(await outcome(copy('c', source, { CopySourceIfNoneMatch: '"x"' }))).toBe('200')
  })

  it("evaluates R2's conditions on the destination, unless it is to be another server", async () => {
    await put('k')
    const createOnly = conditional(sdkFor(r2), 'cf-copy-destination-if-none-match', '*')
    const send = () =>
      outcome(createOnly.send(new CopyObjectCommand({ Bucket, Key: 'c', CopySource: `/${Bucket}/k` })))
    expect(await send()).toBe('200')
    expect(await send()).toBe('412 PreconditionFailed')
    r2.behaviour.conditionalCopyHeader = false
    expect(await send()).toBe('200')
    const plain = conditional(sdkFor(r2), 'if-none-match', '*')
    const command = new CopyObjectCommand({ Bucket, Key: 'c', CopySource: `/${Bucket}/k` })
    expect(await outcome(plain.send(command))).toBe('501 NotImplemented')
  })

  it('refuses a source over 5 GiB', async () => {
    r2.bucket().plant('huge', 5 * 1024 ** 3 + 1)
    expect(await outcome(copy('c', `/${Bucket}/huge`))).toBe('400 EntityTooLarge')
  })
})
