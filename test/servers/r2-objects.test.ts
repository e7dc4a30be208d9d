import {
  DeleteObjectCommand,
  GetObjectCommand,
  type GetObjectCommandInput,
  HeadBucketCommand,
  HeadObjectCommand,
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
const get = (Key: string, changes: Partial<GetObjectCommandInput> = {}) =>
  client.send(new GetObjectCommand({ Bucket, Key, ...changes }))

describe('put, get, head, delete', () => {
  it('returns bytes, headers and metadata', async () => {
    const described = {
      ContentType: 'text/plain',
      CacheControl: 'max-age=1',
      ContentDisposition: 'inline',
      ContentLanguage: 'de',
      ContentEncoding: 'x-none',
      Metadata: { plain: 'a b', encoded: '=?UTF-8?Q?=C3=A9t=C3=A9?= =?utf-8?b?4pi6?=' },
    }
    expect((await put('k', described)).ETag).toBe(`"${md5OfHello}"`)
    expect(r2.bucket().get('k')?.metadata).toEqual({ plain: 'a b', encoded: 'été☺' })
    const read = await get('k')
    expect(await read.Body?.transformToString()).toBe('hello')
    const encoded = `=?UTF-8?B?${Buffer.from('été☺').toString('base64')}?=`
    expect(read).toMatchObject({
      ...described,
      Metadata: { plain: 'a b', encoded },
      ContentLength: 5,
      AcceptRanges: 'bytes',
    })
    const head = await client.send(new HeadObjectCommand({ Bucket, Key: 'k' }))
    expect(head).toMatchObject({ ETag: `"${md5OfHello}"`, ContentLength: 5, ContentType: 'text/plain' })
    expect(head.LastModified?.getMilliseconds()).toBe(0)
    expect(head.$metadata.requestId).toMatch(/^[0-9A-F]+$/)
  })

  it.each([
    [
      ' ',
      '"',
      '$',
      '%',
      '&',
      "'",
      '<',
      '>',
      '_',
      '_ ',
      '__',
      '?versionId',
      'anyfilename%25.txt',
      'a+b',
      'a//b',
      'a/../b',
    ],
    ['🙀/😀', 'foo#123', '\n', '\u0001', '12345', 'ünï', '.', '..', `${'☺'.repeat(341)}a`],
  ])('keeps odd keys apart', async (...keys) => {
    for (const key of keys) await put(key, { Body: key })
    for (const key of keys) expect(await (await get(key)).Body?.transformToString()).toBe(key)
    expect(r2.bucket().keys()).toHaveLength(keys.length)
  })

  it('takes NFC and NFD for one object and lists the form last uploaded', async () => {
    await put('e\u0301')
    await put('\u00e9', { Body: 'second' })
    expect(r2.bucket().keys()).toEqual(['\u00e9'])
    expect((await get('e\u0301')).ContentLength).toBe(6)
  })

  it('refuses keys that are too long or not UTF-8', async () => {
    expect(await outcome(put('☺'.repeat(342)))).toBe('400 InvalidObjectName')
    expect((await raw(r2, { method: 'PUT', path: '/test-bucket/%AE%8A-' })).code).toBe('InvalidObjectName')
    expect((await raw(r2, { method: 'PUT', path: '/test-bucket/%A' })).status).toBe(400)
  })

  it('serves one range, also of a suffix, and refuses others', async () => {
    await put('k')
    const range = async (Range: string) => {
      const { Body, ContentRange, $metadata } = await get('k', { Range })
      return [$metadata.httpStatusCode, ContentRange, await Body?.transformToString()]
    }
    expect(await range('bytes=1-2')).toEqual([206, 'bytes 1-2/5', 'el'])
    expect(await range('bytes=3-')).toEqual([206, 'bytes 3-4/5', 'lo'])
    expect(await range('bytes=-2')).toEqual([206, 'bytes 3-4/5', 'lo'])
    expect(await range('bytes=-9')).toEqual([206, 'bytes 0-4/5', 'hello'])
    expect(await range('bytes=0-99')).toEqual([206, 'bytes 0-4/5', 'hello'])
    for (const Range of ['bytes=5-', 'bytes=-0', 'bytes=2-1', 'bytes=0-1,3-4', 'bytes=', 'items=0-1']) {
      expect(await outcome(get('k', { Range }))).toBe('416 InvalidRange')
    }
    await put('empty', { Body: '' })
    expect(await outcome(get('empty', { Range: 'bytes=0-' }))).toBe('416 InvalidRange')
    expect((await get('empty')).ContentLength).toBe(0)
  })

  it('evaluates conditions on reads', async () => {
    const { ETag = '' } = await put('k')
    const past = new Date(Date.now() - 60_000)
    const future = new Date(Date.now() + 60_000)
    expect(await outcome(get('k', { IfMatch: ETag }))).toBe('200')
    expect(await outcome(get('k', { IfMatch: '"x"' }))).toBe('412 PreconditionFailed')
    expect(await outcome(get('k', { IfNoneMatch: `"x", W/${ETag}` }))).toMatch(/^304/)
    expect(await outcome(get('k', { IfNoneMatch: '"x"' }))).toBe('200')
    expect(await outcome(get('k', { IfModifiedSince: future }))).toMatch(/^304/)
    expect(await outcome(get('k', { IfModifiedSince: past }))).toBe('200')
    expect(await outcome(get('k', { IfUnmodifiedSince: past }))).toBe('412 PreconditionFailed')
    expect(await outcome(get('k', { IfUnmodifiedSince: past, IfMatch: ETag }))).toBe('200')
    expect(await outcome(get('k', { IfMatch: 'unquoted' }))).toBe('400 InvalidArgument')
  })

  it('evaluates conditions on writes and leaves the object alone when they fail', async () => {
    expect(await outcome(put('k', { IfMatch: '"x"' }))).toBe('412 PreconditionFailed')
    const { ETag = '' } = await put('k', { IfNoneMatch: '*' })
    expect(await outcome(put('k', { IfNoneMatch: '*', Body: 'no' }))).toBe('412 PreconditionFailed')
    expect(await outcome(put('k', { IfNoneMatch: ETag, Body: 'no' }))).toBe('412 PreconditionFailed')
    expect(await outcome(put('k', { IfMatch: '"x"', Body: 'no' }))).toBe('412 PreconditionFailed')
    expect((await get('k')).ETag).toBe(ETag)
    expect(await outcome(put('k', { IfMatch: ETag, Body: 'yes' }))).toBe('200')
    expect(await outcome(put('k', { IfNoneMatch: ETag }))).toBe('200')
  })

  it('lets exactly one of many concurrent create-only writes win', async () => {
    const results = await Promise.all(
      Array.from({ length: 30 }, () => outcome(put('k', { IfNoneMatch: '*' }))),
    )
    expect(results.filter((result) => result === '200')).toHaveLength(1)
    expect(results.filter((result) => result === '412 PreconditionFailed')).toHaveLength(29)
  })

  it('checks Content-MD5', async () => {
    const good = Buffer.from(md5OfHello, 'hex').toString('base64')
    expect(await outcome(put('k', { ContentMD5: good }))).toBe('200')
    expect(await outcome(put('bad', { ContentMD5: good, Body: 'other' }))).toBe('400 BadDigest')
    expect(await outcome(put('bad', { ContentMD5: 'nonsense' }))).toBe('400 InvalidDigest')
    expect(r2.bucket().keys()).toEqual(['k'])
  })

  it('measures metadata decoded and refuses what is not ASCII on the wire', async () => {
    const encoded = (text: string) =>
      Array.from({ length: text.length / 40 }, (_, index) => text.slice(index * 40, index * 40 + 40))
        .map((piece) => `=?UTF-8?B?${Buffer.from(piece).toString('base64')}?=`)
        .join(' ')
    expect(await outcome(put('k', { Metadata: { a: encoded('x'.repeat(8000)) } }))).toBe('200')
    expect(await outcome(put('k', { Metadata: { a: 'x'.repeat(8191) } }))).toBe('200')
    expect(await outcome(put('k', { Metadata: { a: 'x'.repeat(8192) } }))).toBe('400 MetadataTooLarge')
    expect(await outcome(put('k', { Metadata: { a: 'é' } }))).toMatch(/^40[03]/)
  })

  it('encodes long metadata in several words, none over 75 characters', async () => {
    r2.bucket().plant('k', '', { metadata: { a: '☺'.repeat(100) } })
    const { a = '' } = (await client.send(new HeadObjectCommand({ Bucket, Key: 'k' }))).Metadata ?? {}
    const words = a.split(' ')
    expect(Math.max(...words.map((word) => word.length))).toBeLessThanOrEqual(75)
    expect(words.map((word) => Buffer.from(word.slice(10, -2), 'base64').toString()).join('')).toBe(
      '☺'.repeat(100),
    )
  })

  it('answers 404 with the right code, and 204 to any delete', async () => {
    expect(await outcome(get('none'))).toBe('404 NoSuchKey')
    expect(await outcome(client.send(new HeadObjectCommand({ Bucket, Key: 'none' })))).toBe('404 NotFound')
    expect(await outcome(client.send(new GetObjectCommand({ Bucket: 'nope', Key: 'k' })))).toBe(
      '404 NoSuchBucket',
    )
    expect(await outcome(client.send(new HeadBucketCommand({ Bucket: 'nope' })))).toBe('404 NotFound')
    expect(await outcome(client.send(new HeadBucketCommand({ Bucket })))).toBe('200')
    await put('k')
    expect(await outcome(client.send(new DeleteObjectCommand({ Bucket, Key: 'k' })))).toBe('204')
    expect(await outcome(client.send(new DeleteObjectCommand({ Bucket, Key: 'k' })))).toBe('204')
    expect(r2.bucket().size).toBe(0)
  })

  it('deletes conditionally by last-modified time only', async () => {
    const { lastModifiedMs } = r2.bucket().plant('k', 'hello')
    const del = (changes: object) =>
      outcome(client.send(new DeleteObjectCommand({ Bucket, Key: 'k', ...changes })))
    expect(await del({ IfMatch: '*' })).toBe('501 NotImplemented')
    expect(await del({ IfMatchLastModifiedTime: new Date(lastModifiedMs - 5000) })).toBe(
      '412 PreconditionFailed',
    )
    expect(await del({ IfMatchLastModifiedTime: new Date(lastModifiedMs) })).toBe('204')
  })

  it('limits the writes of one key when told to', async () => {
    r2.behaviour.sameKeyWriteIntervalMs = 60_000
    expect(await outcome(put('k'))).toBe('200')
    expect(await outcome(put('k'))).toBe('429 TooManyRequests')
    expect(await outcome(put('other'))).toBe('200')
  })
})
