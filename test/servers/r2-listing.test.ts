import {
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  ListObjectsCommand,
  ListObjectsV2Command,
  type ListObjectsV2CommandInput,
  type S3Client,
} from '@aws-sdk/client-s3'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { type StrictR2, startStrictR2 } from './r2.js'
import { outcome, raw, sdkFor } from './r2-client.js'

let r2: StrictR2
let client: S3Client
const Bucket = 'test-bucket'

beforeAll(async () => {
  r2 = await startStrictR2()
  client = sdkFor(r2)
})
beforeEach(() => r2.reset())
afterAll(async () => {
  client.destroy()
  await r2.stop()
})

const list = (changes: Partial<ListObjectsV2CommandInput> = {}) =>
  client.send(new ListObjectsV2Command({ Bucket, ...changes }))

async function pages(changes: Partial<ListObjectsV2CommandInput>): Promise<string[][]> {
  const found: string[][] = []
  for (let token: string | undefined; ; ) {
    const page = await list({ ...changes, ...(token === undefined ? {} : { ContinuationToken: token }) })
    const keys = page.Contents?.map(({ Key = '' }) => Key) ?? []
    const prefixes = page.CommonPrefixes?.map(({ Prefix = '' }) => Prefix) ?? []
    expect(page.KeyCount).toBe(keys.length + prefixes.length)
    found.push([...keys, ...prefixes])
    if (page.IsTruncated !== true) return found
    token = page.NextContinuationToken
  }
}

it('lists in UTF-8 byte order', async () => {
  const keys = ['a', 'a b', 'a%', 'a/', 'aa', 'é', '\uff5e', '😀']
  for (const key of [...keys].reverse()) r2.bucket().plant(key)
  expect((await pages({})).flat()).toEqual(keys)
})

it.each([1, 2, 3, 4, 5, 6, 7, 10])('interleaves common prefixes in pages of %i', async (MaxKeys) => {
  for (const key of ['testFile1', 't/t/t', 't/u', 't-/t.', 'dir1/a', 'dir1/b', 'dir2/c', 'd'])
    r2.bucket().plant(key)
  const found = await pages({ Delimiter: '/', MaxKeys })
  const sizes = found.map((page) => page.length)
  expect(sizes.slice(0, -1).every((size) => size === MaxKeys)).toBe(true)
  if (MaxKeys === 1) expect(found.flat()).toEqual(['d', 'dir1/', 'dir2/', 't-/', 't/', 'testFile1'])
  expect(found.flat().sort()).toEqual(['d', 'dir1/', 'dir2/', 't-/', 't/', 'testFile1'])
})

it('skips nothing after a common prefix over a page of 1,000', async () => {
  for (let index = 1000; index <= 1998; index += 1) r2.bucket().plant(`0/${index}`)
  for (const key of ['0/', '1999', '1999#', '1999+', '2000']) r2.bucket().plant(key)
  expect(await pages({ Delimiter: '/' })).toEqual([['1999', '1999#', '1999+', '2000', '0/']])
  expect((await pages({})).map((page) => page.length)).toEqual([1000, 4])
})

it('keeps to prefix, delimiter and start-after', async () => {
  for (const key of ['foo', 'foo/', 'foo/a', 'foo/b/c', 'fop', 'quxx']) r2.bucket().plant(key)
  expect(await pages({ Prefix: 'fo' })).toEqual([['foo', 'foo/', 'foo/a', 'foo/b/c', 'fop']])
  expect(await pages({ Prefix: 'foo/', Delimiter: '/' })).toEqual([['foo/', 'foo/a', 'foo/b/']])
  expect(await pages({ StartAfter: 'foo/a' })).toEqual([['foo/b/c', 'fop', 'quxx']])
  expect(await pages({ StartAfter: 'g' })).toEqual([['quxx']])
  expect(await pages({ StartAfter: 'z' })).toEqual([[]])
  expect(await pages({ Prefix: 'none' })).toEqual([[]])
  expect(await pages({ StartAfter: 'foo', MaxKeys: 2 })).toEqual([
    ['foo/', 'foo/a'],
    ['foo/b/c', 'fop'],
    ['quxx'],
  ])
})

it('is not disturbed by changes in pages already returned', async () => {
  for (const key of ['a', 'b', 'c', 'd']) r2.bucket().plant(key)
  const { NextContinuationToken = '' } = await list({ MaxKeys: 2 })
  r2.bucket().delete('b')
  r2.bucket().plant('aa')
  const rest = await list({ ContinuationToken: NextContinuationToken })
  expect(rest.Contents?.map(({ Key }) => Key)).toEqual(['c', 'd'])
})

it('encodes keys on request', async () => {
  for (const key of ['asdf+b', 'foo+1/bar', 'quux ab/thud', 'line\nend', '\u0001']) r2.bucket().plant(key)
  const page = await list({ EncodingType: 'url', Delimiter: '/' })
  expect(page.Contents?.map(({ Key }) => Key)).toEqual(['%01', 'asdf%2Bb', 'line%0Aend'])
  expect(page.CommonPrefixes?.map(({ Prefix }) => Prefix)).toEqual(['foo%2B1/', 'quux+ab/'])
  expect(page.EncodingType).toBe('url')
})

it('says size, ETag, time and, when asked, owner', async () => {
  const { etag, lastModifiedMs } = r2.bucket().plant('k', 'hello')
  const [entry] = (await list({ FetchOwner: true })).Contents ?? []
  expect(entry).toMatchObject({
    Key: 'k',
    Size: 5,
    ETag: `"${etag}"`,
    LastModified: new Date(lastModifiedMs),
  })
  expect(entry?.Owner).toBeDefined()
  expect((await list()).Contents?.[0]?.Owner).toBeUndefined()
})

it('refuses parameters it does not have, and bad values of those it has', async () => {
  const get = async (query: Record<string, string>) => {
    const { status, code } = await raw(r2, { path: '/test-bucket', query })
    return `${status} ${code}`
  }
  const v2 = { 'list-type': '2' }
  expect(await get({ ...v2, 'x-id': 'ListObjectsV2' })).toBe('200 undefined')
  expect(await get({ ...v2, metadata: 'true' })).toBe('501 NotImplemented')
  expect(await get({ 'list-type': '1' })).toBe('501 NotImplemented')
  expect(await get({})).toBe('200 undefined')
  expect(await get({ 'start-after': 'a' })).toBe('501 NotImplemented')
  expect(await get({ 'continuation-token': 'a' })).toBe('400 InvalidArgument')
  expect(await get({ ...v2, marker: 'a' })).toBe('501 NotImplemented')
  for (const list of [v2, {}]) {
    for (const keys of ['x', '-1', '1.5', '']) {
      expect(await get({ ...list, 'max-keys': keys })).toBe('400 InvalidMaxKeys')
    }
  }
  expect(await get({ ...v2, 'continuation-token': '?' })).toBe('400 InvalidArgument')
  expect(await get({ ...v2, 'encoding-type': 'xml' })).toBe('400 InvalidArgument')
  for (const resource of ['acl', 'tagging', 'versioning', 'versions', 'policy', 'location']) {
    expect(await get({ [resource]: '' })).toBe('501 NotImplemented')
  }
  expect(await pages({ MaxKeys: 0 })).toEqual([[]])
  expect(await outcome(client.send(new ListObjectsV2Command({ Bucket: 'nope' })))).toBe('404 NoSuchBucket')
})

it('gives 1,000 entries at most, whatever is asked for', async () => {
  for (let index = 0; index < 1001; index += 1) r2.bucket().plant(`k${index}`)
  const page = await list({ MaxKeys: 5000 })
  expect(page.Contents).toHaveLength(1000)
  expect(page.IsTruncated).toBe(true)
  expect(page.MaxKeys).toBe(5000)
})

it.each([1, 2, 3, 1000])('lists by version 1 in pages of %i', async (MaxKeys) => {
  for (const key of ['t/t', 't/u', 'ü a', 'dir1/a', 'dir1/b', 'd']) r2.bucket().plant(key, 'hello')
  for (const Delimiter of [undefined, '/']) {
    const found: string[] = []
    for (let Marker: string | undefined; ; ) {
      const input = { Bucket, MaxKeys, Delimiter, Marker, EncodingType: 'url' } as const
      const page = await client.send(new ListObjectsCommand(input))
      expect(page.Marker).toBe(Marker ?? '')
      expect(page.Contents?.every(({ Size, ETag }) => Size === 5 && ETag)).not.toBe(false)
      const entries = [
        ...(page.Contents ?? []).map(({ Key = '' }) => Key),
        ...(page.CommonPrefixes ?? []).map(({ Prefix = '' }) => Prefix),
      ]
      expect(entries.length).toBeLessThanOrEqual(MaxKeys)
      found.push(...entries)
      if (page.IsTruncated !== true) break
      Marker = decodeURIComponent(page.NextMarker?.replaceAll('+', ' ') ?? '')
    }
    const all = ['d', 'dir1/a', 'dir1/b', 't/t', 't/u', '%C3%BC+a']
    expect(found.sort()).toEqual((Delimiter ? ['d', 'dir1/', 't/', '%C3%BC+a'] : all).sort())
  }
})

it('lists open uploads in pages', async () => {
  const begun: string[] = []
  for (const Key of ['b', 'a/1', 'a/2', 'b', 'c']) {
    const { UploadId = '' } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key }))
    begun.push(`${Key} ${UploadId}`)
  }
  const found: string[] = []
  for (let marker = {}; ; ) {
    const page = await client.send(new ListMultipartUploadsCommand({ Bucket, MaxUploads: 2, ...marker }))
    found.push(...(page.Uploads ?? []).map(({ Key, UploadId }) => `${Key} ${UploadId}`))
    if (page.IsTruncated !== true) break
    marker = { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker }
  }
  expect(found).toEqual([begun[1], begun[2], begun[0], begun[3], begun[4]])
  const folders = await client.send(new ListMultipartUploadsCommand({ Bucket, Delimiter: '/' }))
  expect(folders.CommonPrefixes).toEqual([{ Prefix: 'a/' }])
  expect(folders.Uploads).toHaveLength(3)
  const below = await client.send(new ListMultipartUploadsCommand({ Bucket, Prefix: 'a/' }))
  expect(below.Uploads).toHaveLength(2)
})
