import { DeleteObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { type StrictR2, startStrictR2 } from './r2.js'
import { outcome, type RawRequest, raw, sdkFor } from './r2-client.js'

let r2: StrictR2

beforeAll(async () => {
  r2 = await startStrictR2()
})
beforeEach(() => r2.reset())
afterAll(() => r2.stop())

it.each([
  ['x-amz-acl', 'public-read-write'],
  ['x-amz-grant-read', 'id=1'],
  ['x-amz-tagging', 'a=b'],
  ['x-amz-object-lock-mode', 'GOVERNANCE'],
  ['x-amz-server-side-encryption', 'AES256'],
  ['x-amz-server-side-encryption-customer-algorithm', 'AES256'],
  ['x-amz-request-payer', 'requester'],
  ['x-amz-expected-bucket-owner', '1'],
  ['x-amz-website-redirect-location', '/'],
  ['x-amz-checksum-crc32', 'AAAAAA=='],
  ['x-amz-checksum-algorithm', 'CRC32'],
  ['x-amz-sdk-checksum-algorithm', 'CRC32'],
  ['x-amz-trailer', 'x-amz-checksum-crc32'],
  ['x-amz-if-match-last-modified-time', 'Thu, 01 Jan 1970 00:00:00 GMT'],
  ['cf-create-bucket-if-missing', 'true'],
  ['x-amz-something-new', '1'],
])('names the header it does not implement: %s', async (name, value) => {
  const answer = await raw(r2, {
    method: 'PUT',
    path: '/test-bucket/a',
    body: 'x',
    headers: { [name]: value },
  })
  expect(answer.status).toBe(501)
  expect(answer.body.replaceAll('&#x27;', "'")).toContain(
    `Header '${name}' with value '${value}' not implemented`,
  )
  expect(r2.bucket().size).toBe(0)
})

// R2 has no ACLs. It ignores these two, which most clients send without being asked.
it.each(['private', 'public-read'])('ignores the ACL %s on every kind of write', async (acl) => {
  const headers = { 'x-amz-acl': acl }
  const write = (method: string, changes: Partial<RawRequest> = {}) =>
    raw(r2, { method, path: '/test-bucket/a', ...changes, headers: { ...headers, ...changes.headers } })
  expect((await write('PUT', { body: 'x' })).status).toBe(200)
  const copy = { path: '/test-bucket/b', headers: { 'x-amz-copy-source': '/test-bucket/a' } }
  expect((await write('PUT', copy)).status).toBe(200)
  expect((await write('POST', { query: { uploads: '' } })).status).toBe(200)
  expect((await write('GET')).status).toBe(501)
})

it('refuses what the SDK sends when its checksums are left on', async () => {
  const client = sdkFor(r2, { requestChecksumCalculation: 'WHEN_SUPPORTED' })
  const put = new PutObjectCommand({ Bucket: 'test-bucket', Key: 'a', Body: 'x' })
  expect(await outcome(client.send(put))).toBe('501 NotImplemented')
})

it.each<[string, RawRequest, string]>([
  ['?acl', { path: '/test-bucket/a', query: { acl: '' } }, '501 NotImplemented'],
  ['?tagging', { method: 'PUT', path: '/test-bucket/a', query: { tagging: '' } }, '501 NotImplemented'],
  ['?versionId', { path: '/test-bucket/a', query: { versionId: '1' } }, '501 NotImplemented'],
  ['?attributes', { path: '/test-bucket/a', query: { attributes: '' } }, '501 NotImplemented'],
  [
    'a signature parameter in header form',
    { path: '/test-bucket/a', query: { 'X-Amz-Expires': '1' } },
    '400 InvalidArgument',
  ],
  ['POST of a form', { method: 'POST', path: '/test-bucket', body: 'x' }, '501 NotImplemented'],
  ['POST to an object', { method: 'POST', path: '/test-bucket/a' }, '501 NotImplemented'],
  ['PATCH', { method: 'PATCH', path: '/test-bucket/a' }, '501 NotImplemented'],
  ['ListBuckets', { path: '/' }, '403 AccessDenied'],
  ['DeleteBucket', { method: 'DELETE', path: '/test-bucket' }, '403 AccessDenied'],
  ['DeleteBucket with a slash', { method: 'DELETE', path: '/test-bucket/' }, '403 AccessDenied'],
  ['CreateBucket', { method: 'PUT', path: '/new' }, '403 AccessDenied'],
  [
    'PutBucketCors without rules',
    { method: 'PUT', path: '/test-bucket', query: { cors: '' } },
    '400 MalformedXML',
  ],
  ['a missing bucket', { path: '/nope/a' }, '404 NoSuchBucket'],
])('refuses %s', async (_, request, expected) => {
  const { status, code } = await raw(r2, request)
  expect(`${status} ${code}`).toBe(expected)
})

it('logs a delete with an empty key, which the SDK turns into DeleteBucket', async () => {
  const del = new DeleteObjectCommand({ Bucket: 'test-bucket', Key: '' })
  expect(await outcome(sdkFor(r2).send(del))).toBe('403 AccessDenied')
  expect(r2.requests).toMatchObject([{ operation: 'DeleteBucket', method: 'DELETE', status: 403, key: '' }])
})

it('logs every request with what became of it, and forgets the oldest', async () => {
  const small = await startStrictR2({ requestLogLimit: 2 })
  await raw(small, { method: 'PUT', path: '/test-bucket/a' })
  await raw(small, { method: 'PUT', path: '/test-bucket/b%20c', query: { 'x-id': 'PutObject' }, body: 'x' })
  await raw(small, { path: '/test-bucket/none', signed: false })
  expect(small.requests).toMatchObject([
    {
      operation: 'PutObject',
      key: 'b c',
      path: '/test-bucket/b%20c',
      query: { 'x-id': 'PutObject' },
      status: 200,
    },
    { operation: 'GetObject', key: 'none', status: 401 },
  ])
  expect(small.requests[0]?.headers['content-length']).toBe('1')
  await small.stop()
})
