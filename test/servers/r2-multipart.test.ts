import { createHash } from 'node:crypto'
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  type CompleteMultipartUploadCommandInput,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListPartsCommand,
  type S3Client,
  UploadPartCommand,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { type StrictR2, startStrictR2 } from './r2.js'
import { outcome, raw, sdkFor } from './r2-client.js'

let r2: StrictR2
let client: S3Client
const Bucket = 'test-bucket'
const Key = 'big'
const partSize = 5 * 1024 * 1024

beforeAll(async () => {
  r2 = await startStrictR2()
  client = sdkFor(r2)
})
beforeEach(() => r2.reset())
afterAll(async () => {
  client.destroy()
  await r2.stop()
})

const begin = async () =>
  (await client.send(new CreateMultipartUploadCommand({ Bucket, Key }))).UploadId ?? ''
const part = (UploadId: string, PartNumber: number, Body: Buffer, ContentMD5?: string) =>
  client.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber, Body, ContentMD5 }))
const complete = (
  UploadId: string,
  etags: Record<number, string | undefined>,
  changes: Partial<CompleteMultipartUploadCommandInput> = {},
) => {
  const Parts = Object.entries(etags).map(([number, ETag]) => ({ PartNumber: Number(number), ETag }))
  const input = { Bucket, Key, UploadId, MultipartUpload: { Parts }, ...changes }
  return client.send(new CompleteMultipartUploadCommand(input))
}
const upload = async (UploadId: string, sizes: readonly number[]) => {
  const etags: Record<number, string | undefined> = {}
  for (const [index, size] of sizes.entries()) {
    etags[index + 1] = (await part(UploadId, index + 1, Buffer.alloc(size, index + 1))).ETag
  }
  return etags
}
const abort = (UploadId: string) => client.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }))

it('puts the parts together in the order of their numbers, invisible until complete', async () => {
  const created = new CreateMultipartUploadCommand({
    Bucket,
    Key,
    ContentType: 'video/mp4',
    Metadata: { a: '1' },
  })
  const { UploadId = '' } = await client.send(created)
  const bodies = [Buffer.alloc(partSize, 'a'), Buffer.alloc(partSize, 'b'), Buffer.from('end')]
  const sent = await Promise.all(
    [2, 1, 0].map((index) => part(UploadId, index + 1, bodies[index] ?? Buffer.alloc(0))),
  )
  const etags = { 3: sent[0]?.ETag, 2: sent[1]?.ETag, 1: sent[2]?.ETag }
  expect(r2.bucket().size).toBe(0)
  expect(r2.openUploads).toBe(1)
  const digests = Buffer.concat(bodies.map((body) => createHash('md5').update(body).digest()))
  const expected = `"${createHash('md5').update(digests).digest('hex')}-3"`
  expect((await complete(UploadId, etags)).ETag).toBe(expected)
  expect(r2.openUploads).toBe(0)
  const read = await client.send(new GetObjectCommand({ Bucket, Key }))
  expect(read).toMatchObject({ ETag: expected, ContentType: 'video/mp4', Metadata: { a: '1' } })
  expect(Buffer.concat(bodies).equals(Buffer.from((await read.Body?.transformToByteArray()) ?? []))).toBe(
    true,
  )
  const over = await client.send(
    new GetObjectCommand({ Bucket, Key, Range: `bytes=${partSize - 1}-${partSize}` }),
  )
  expect(await over.Body?.transformToString()).toBe('ab')
  expect(await outcome(complete(UploadId, etags))).toBe('404 NoSuchUpload')
})

it.each<[string, number[], string]>([
  ['one small part', [7], '200'],
  ['one empty part', [0], '200'],
  ['equal parts', [partSize, partSize], '200'],
  ['a smaller last part', [partSize + 1, partSize + 1, 1], '200'],
  ['a small first part', [partSize - 1, 1], '400 EntityTooSmall'],
  ['unequal parts', [partSize, partSize + 1, 1], '400 InvalidPart'],
  ['a larger last part', [partSize, partSize + 1], '400 InvalidPart'],
])('rules on part sizes: %s', async (_, sizes, expected) => {
  const id = await begin()
  expect(await outcome(complete(id, await upload(id, sizes)))).toBe(expected)
  expect(r2.openUploads).toBe(expected === '200' ? 0 : 1)
})

it('refuses parts that are missing, wrong, twice there or none at all', async () => {
  const id = await begin()
  const etags = await upload(id, [partSize])
  expect(await outcome(complete(id, { ...etags, 2: '"x"' }))).toBe('400 InvalidPart')
  expect(await outcome(complete(id, { 1: '"wrong"' }))).toBe('400 InvalidPart')
  expect(await outcome(complete(id, {}))).toBe('400 MalformedXML')
  expect(await outcome(complete(id, { 10001: '"x"' }))).toBe('400 InvalidArgument')
  const Parts = [1, 1].map((PartNumber) => ({ PartNumber, ETag: etags[1] }))
  expect(await outcome(complete(id, {}, { MultipartUpload: { Parts } }))).toBe('400 InvalidPart')
  expect(await outcome(part(id, 10_001, Buffer.from('x')))).toBe('400 InvalidArgument')
  expect(await outcome(part(id, 0, Buffer.from('x')))).toBe('400 InvalidArgument')
  expect(await outcome(complete(id, etags))).toBe('200')
})

it('knows no upload that was never begun, is aborted, or belongs to another key', async () => {
  expect(await outcome(complete('unknown', { 1: '"x"' }))).toBe('404 NoSuchUpload')
  expect(await outcome(part('unknown', 1, Buffer.alloc(partSize)))).toBe('404 NoSuchUpload')
  const UploadId = await begin()
  const other = new UploadPartCommand({ Bucket, Key: 'other', UploadId, PartNumber: 1, Body: 'x' })
  expect(await outcome(client.send(other))).toBe('404 NoSuchUpload')
  expect(await outcome(abort(UploadId))).toBe('204')
  expect(await outcome(abort(UploadId))).toBe('404 NoSuchUpload')
  expect(await outcome(part(UploadId, 1, Buffer.from('x')))).toBe('404 NoSuchUpload')
})

it('evaluates conditions at create, and at complete, where a failed one ends the upload', async () => {
  const id = await begin()
  const etags = await upload(id, [3])
  r2.bucket().plant(Key, 'first')
  const create = { method: 'POST', path: `/test-bucket/${Key}`, query: { uploads: '' } }
  expect((await raw(r2, { ...create, headers: { 'if-none-match': '*' } })).code).toBe('PreconditionFailed')
  expect(await outcome(complete(id, etags, { IfNoneMatch: '*' }))).toBe('412 PreconditionFailed')
  expect(r2.openUploads).toBe(0)
  expect(await outcome(abort(id))).toBe('404 NoSuchUpload')
  expect(r2.bucket().get(Key)?.content.bytes().toString()).toBe('first')
})

it('loses a part whose second upload fails', async () => {
  const id = await begin()
  const etags = await upload(id, [3])
  expect(await outcome(part(id, 1, Buffer.from('x'), 'XUFAKrxLKna5cZ2REBfFkg=='))).toBe('400 BadDigest')
  expect(await outcome(complete(id, etags))).toBe('400 InvalidPart')
})

it('copies parts, by range, and refuses conditions on them', async () => {
  const source = r2.bucket().plant('source', 2 * partSize + 10)
  const id = await begin()
  const copyPart = (PartNumber: number, CopySourceRange?: string, changes = {}) =>
    client.send(
      new UploadPartCopyCommand({
        Bucket,
        Key,
        UploadId: id,
        PartNumber,
        CopySource: `/${Bucket}/source`,
        CopySourceRange,
        ...changes,
      }),
    )
  const etags: Record<number, string | undefined> = {}
  for (const [index, first] of [0, partSize, 2 * partSize].entries()) {
    const last = Math.min(first + partSize, source.content.size) - 1
    etags[index + 1] = (await copyPart(index + 1, `bytes=${first}-${last}`)).CopyPartResult?.ETag
  }
  expect(await outcome(copyPart(9, `bytes=0-${source.content.size}`))).toBe('416 InvalidRange')
  for (const range of [
    '0-2',
    'bytes=0',
    'bytes=hello-world',
    'bytes=0-bar',
    'bytes=hello-',
    'bytes=0-2,3-5',
    'bytes=2-1',
  ]) {
    expect(await outcome(copyPart(9, range))).toBe('400 InvalidArgument')
  }
  expect(await outcome(copyPart(9, undefined, { CopySourceIfMatch: '"x"' }))).toBe('501 NotImplemented')
  expect(await outcome(copyPart(9, undefined, { CopySource: `/${Bucket}/none` }))).toBe('404 NoSuchKey')
  await complete(id, etags)
  expect(r2.bucket().get(Key)?.content.bytes().equals(source.content.bytes())).toBe(true)
})

it('reads one part of what was uploaded in parts, and says how many there are', async () => {
  const id = await begin()
  const { ETag } = await complete(id, await upload(id, [partSize, partSize, 3]))
  const get = (PartNumber: number, changes = {}) =>
    client.send(new GetObjectCommand({ Bucket, Key, PartNumber, ...changes }))
  const head = (PartNumber: number, changes = {}) =>
    client.send(new HeadObjectCommand({ Bucket, Key, PartNumber, ...changes }))
  const last = await get(3)
  const said = {
    ETag,
    ContentLength: 3,
    PartsCount: 3,
    ContentRange: `bytes ${2 * partSize}-${2 * partSize + 2}/${2 * partSize + 3}`,
  }
  expect(last).toMatchObject({ ...said, $metadata: { httpStatusCode: 206 } })
  expect(await last.Body?.transformToByteArray()).toEqual(Uint8Array.of(3, 3, 3))
  expect(await head(3)).toMatchObject({ ...said, $metadata: { httpStatusCode: 206 } })
  const second = await (await get(2)).Body?.transformToByteArray()
  expect(Buffer.alloc(partSize, 2).equals(Buffer.from(second ?? []))).toBe(true)
  expect(await outcome(get(4))).toBe('400 InvalidPart')
  expect(await outcome(head(4))).toMatch(/^400 /)
  expect(await outcome(get(0))).toBe('400 InvalidArgument')
  expect(await outcome(get(10_001))).toBe('400 InvalidArgument')
  expect(await outcome(get(1, { Range: 'bytes=0-1' }))).toBe('400 InvalidRequest')
  expect(await outcome(get(1, { IfMatch: '"x"' }))).toBe('412 PreconditionFailed')
})

it('has one part, the whole, for what was uploaded or copied in one piece', async () => {
  const id = await begin()
  await complete(id, await upload(id, [partSize, 3]))
  await client.send(new CopyObjectCommand({ Bucket, Key: 'copy', CopySource: `/${Bucket}/${Key}` }))
  r2.bucket().plant('plain', 'hello')
  r2.bucket().plant('empty', '')
  const get = (Key: string, PartNumber: number) =>
    client.send(new GetObjectCommand({ Bucket, Key, PartNumber }))
  for (const [key, size] of [
    ['copy', partSize + 3],
    ['plain', 5],
    ['empty', 0],
  ] as const) {
    const whole = await get(key, 1)
    expect(whole.ContentLength).toBe(size)
    expect(whole.PartsCount).toBeUndefined()
    expect(await outcome(get(key, 2))).toBe('400 InvalidPart')
    await whole.Body?.transformToByteArray()
  }
})

it('lists parts in pages', async () => {
  const id = await begin()
  await upload(id, [1, 2, 3])
  const first = await client.send(new ListPartsCommand({ Bucket, Key, UploadId: id, MaxParts: 2 }))
  expect(first.Parts?.map(({ PartNumber, Size }) => [PartNumber, Size])).toEqual([
    [1, 1],
    [2, 2],
  ])
  const PartNumberMarker = first.NextPartNumberMarker
  const rest = await client.send(new ListPartsCommand({ Bucket, Key, UploadId: id, PartNumberMarker }))
  expect(rest.Parts?.map(({ PartNumber }) => PartNumber)).toEqual([3])
  expect(rest.IsTruncated).toBe(false)
})

it('refuses conditions on a part', async () => {
  const query = { partNumber: '1', uploadId: await begin() }
  const headers = { 'if-none-match': '*' }
  expect((await raw(r2, { method: 'PUT', path: `/test-bucket/${Key}`, query, headers })).status).toBe(501)
})
