import { GetObjectCommand, HeadObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type StrictR2, startStrictR2 } from './r2.js'
import { exchange, outcome, type RawRequest, raw, sdkFor } from './r2-client.js'

let r2: StrictR2
const Bucket = 'test-bucket'
const day = 24 * 3600 * 1000

beforeAll(async () => {
  r2 = await startStrictR2()
})
beforeEach(() => r2.reset())
afterAll(() => r2.stop())

describe('header form', () => {
  const put = { method: 'PUT', path: '/test-bucket/a', body: 'hello' }

  it.each<[string, RawRequest, string]>([
    ['correct', put, '200 undefined'],
    ['UNSIGNED-PAYLOAD', { ...put, payloadHash: 'UNSIGNED-PAYLOAD' }, '200 undefined'],
    ['region us-east-1, an alias', { ...put, region: 'us-east-1' }, '200 undefined'],
    ['an empty region, an alias', { ...put, region: '' }, '200 undefined'],
    ['another region', { ...put, region: 'eu-west-1' }, '400 InvalidRegionName'],
    ['14 minutes off', { ...put, date: new Date(Date.now() + 14 * 60_000) }, '200 undefined'],
    ['16 minutes fast', { ...put, date: new Date(Date.now() + 16 * 60_000) }, '403 RequestTimeTooSkewed'],
    ['16 minutes slow', { ...put, date: new Date(Date.now() - 16 * 60_000) }, '403 RequestTimeTooSkewed'],
    ['another access key', { ...put, accessKeyId: 'someone' }, '401 Unauthorized'],
    ['another secret', { ...put, secretAccessKey: 'guess' }, '403 SignatureDoesNotMatch'],
    ['no authorization', { ...put, signed: false }, '401 Unauthorized'],
    [
      'a signature of another kind',
      { ...put, tamper: { authorization: 'AWS key:sig' } },
      '400 AuthorizationHeaderMalformed',
    ],
    ['no x-amz-date', { ...put, tamper: { 'x-amz-date': undefined } }, '403 AccessDenied'],
    [
      'no x-amz-content-sha256',
      { ...put, tamper: { 'x-amz-content-sha256': undefined } },
      '400 InvalidRequest',
    ],
    ['a hash that is none', { ...put, payloadHash: 'abc' }, '400 InvalidArgument'],
    ['the hash of another body', { ...put, payloadHash: 'a'.repeat(64) }, '400 XAmzContentSHA256Mismatch'],
    [
      'a streamed signature',
      { ...put, payloadHash: 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD' },
      '501 NotImplemented',
    ],
    ['a trailer', { ...put, payloadHash: 'STREAMING-UNSIGNED-PAYLOAD-TRAILER' }, '501 NotImplemented'],
    ['host unsigned', { ...put, unsigned: ['host'] }, '403 SignatureDoesNotMatch'],
    [
      'an unsigned x-amz-* header',
      { ...put, headers: { 'x-amz-meta-a': '1' }, unsigned: ['x-amz-meta-a'] },
      '403 AccessDenied',
    ],
    ['an x-amz-* header added later', { ...put, tamper: { 'x-amz-meta-a': '1' } }, '403 AccessDenied'],
    ['an unsigned content-type', { ...put, tamper: { 'content-type': 'text/plain' } }, '200 undefined'],
    [
      'a changed content-type',
      { ...put, headers: { 'content-type': 'text/css' }, tamper: { 'content-type': 'text/plain' } },
      '403 SignatureDoesNotMatch',
    ],
    [
      'a changed content-md5',
      { ...put, headers: { 'content-md5': 'XUFAKrxLKna5cZ2REBfFkg==' }, tamper: { 'content-md5': 'x' } },
      '403 SignatureDoesNotMatch',
    ],
    [
      'a removed signed header',
      { ...put, headers: { 'if-none-match': '*' }, tamper: { 'if-none-match': undefined } },
      '403 SignatureDoesNotMatch',
    ],
    [
      'a session token nobody issued',
      { ...put, headers: { 'x-amz-security-token': 't' } },
      '400 InvalidArgument',
    ],
    ['white space in a header', { ...put, headers: { 'x-amz-meta-a': 'a   b' } }, '200 undefined'],
    ['repeated slashes in the path', { ...put, path: '/test-bucket//a//b' }, '200 undefined'],
  ])('%s', async (_, request, expected) => {
    const { status, code } = await raw(r2, request)
    expect(`${status} ${code}`).toBe(expected)
    expect(r2.bucket().size).toBe(expected.startsWith('200') ? 1 : 0)
  })

  it('requires the hash to be that of an empty body when there is none', async () => {
    r2.bucket().plant('a', 'hello')
    expect((await raw(r2, { path: '/test-bucket/a', payloadHash: 'a'.repeat(64) })).code).toBe(
      'XAmzContentSHA256Mismatch',
    )
  })

  it('checks the session token', async () => {
    const issued = await startStrictR2({ sessionToken: 'token' })
    try {
      const put = { method: 'PUT', path: '/test-bucket/a' }
      expect((await raw(issued, put)).status).toBe(200)
      expect((await raw({ ...issued, sessionToken: 'other' }, put)).status).toBe(401)
      const { accessKeyId, secretAccessKey } = issued
      const without = sdkFor(issued, { credentials: { accessKeyId, secretAccessKey } })
      expect(await outcome(without.send(new PutObjectCommand({ Bucket, Key: 'a' })))).toBe('401 Unauthorized')
      const url = await getSignedUrl(sdkFor(issued), new GetObjectCommand({ Bucket, Key: 'a' }))
      expect((await fetch(url)).status).toBe(200)
      expect((await fetch(url.replace('=token', '=other'))).status).toBe(401)
    } finally {
      await issued.stop()
    }
  })

  it('tells a client with a wrong clock the time, so that the SDK corrects itself', async () => {
    r2.behaviour.now = () => Date.now() + 3_600_000
    const sent = sdkFor(r2, { maxAttempts: 2 }).send(new PutObjectCommand({ Bucket, Key: 'a', Body: 'x' }))
    expect((await sent).$metadata.attempts).toBe(2)
  })

  it('answers HEAD refusals without a body', async () => {
    const { status, body } = await raw(r2, { method: 'HEAD', path: '/test-bucket/a', accessKeyId: 'x' })
    expect({ status, body }).toEqual({ status: 401, body: '' })
  })
})

describe('presigned form', () => {
  const oddKey = "a b/é+%25☺'()*!&=?#.txt"
  const signedGet = (expiresIn = 60, signingDate = new Date()) =>
    getSignedUrl(sdkFor(r2), new GetObjectCommand({ Bucket, Key: oddKey }), { expiresIn, signingDate })
  const codeOf = async (url: string, init?: RequestInit) => {
    const response = await fetch(url, init)
    return `${response.status} ${/<Code>(\w+)/.exec(await response.text())?.[1]}`
  }
  beforeEach(() => {
    r2.bucket().plant(oddKey, 'hello')
  })

  it('reads, heads, writes and deletes', async () => {
    const client = sdkFor(r2)
    expect(await (await fetch(await signedGet())).text()).toBe('hello')
    const head = await fetch(await getSignedUrl(client, new HeadObjectCommand({ Bucket, Key: oddKey })), {
      method: 'HEAD',
    })
    expect(head.headers.get('content-length')).toBe('5')
    const put = await getSignedUrl(client, new PutObjectCommand({ Bucket, Key: 'p' }))
    expect(await codeOf(put, { method: 'PUT', body: 'body' })).toBe('200 undefined')
    expect(r2.bucket().get('p')?.content.bytes().toString()).toBe('body')
  })

  it('is bound to method, key and every parameter', async () => {
    const url = await signedGet()
    expect(await codeOf(url, { method: 'PUT', body: 'x' })).toBe('403 SignatureDoesNotMatch')
    expect(await codeOf(url, { method: 'DELETE' })).toBe('403 SignatureDoesNotMatch')
    expect(await codeOf(url.replace('.txt', '.tx'))).toBe('403 SignatureDoesNotMatch')
    expect(await codeOf(url.replace('X-Amz-Expires=60', 'X-Amz-Expires=61'))).toBe(
      '403 SignatureDoesNotMatch',
    )
    expect(await codeOf(`${url}&response-content-type=text/html`)).toBe('403 SignatureDoesNotMatch')
    expect(await codeOf(`${url}&x=1`)).toBe('403 SignatureDoesNotMatch')
    expect(await codeOf(url.replace(/X-Amz-Signature=\w/, 'X-Amz-Signature='))).toBe(
      '403 SignatureDoesNotMatch',
    )
    expect(await codeOf(`${url}&X-Amz-Signature=0`)).toBe('400 AuthorizationQueryParametersError')
    expect(await codeOf(url.replace(/&X-Amz-Signature=\w+/, ''))).toBe(
      '400 AuthorizationQueryParametersError',
    )
    expect(await codeOf(url.replace(/\?.*/, ''))).toBe('401 Unauthorized')
    expect(await codeOf(url, { headers: { authorization: 'AWS4-HMAC-SHA256 x' } })).toBe(
      '400 InvalidArgument',
    )
    expect(await codeOf(url.replace(r2.accessKeyId, 'someone'))).toBe('401 Unauthorized')
  })

  it('expires with 400 and lives from one second to seven days', async () => {
    expect(await codeOf(await signedGet(1, new Date(Date.now() - 3000)))).toBe('400 ExpiredRequest')
    expect(await codeOf(await signedGet(604_800, new Date(Date.now() - 6 * day)))).toBe('200 undefined')
    expect(await codeOf(await signedGet(60, new Date(Date.now() + 20 * 60_000)))).toBe(
      '403 RequestTimeTooSkewed',
    )
    for (const expires of ['0', '-7', '604801', '1.5']) {
      const url = (await signedGet()).replace('X-Amz-Expires=60', `X-Amz-Expires=${expires}`)
      expect(await codeOf(url)).toBe('400 AuthorizationQueryParametersError')
    }
  })

  it('holds an upload to its signed length, type and condition', async () => {
    const command = new PutObjectCommand({
      Bucket,
      Key: 'u',
      ContentLength: 5,
      ContentType: 'text/plain',
      IfNoneMatch: '*',
    })
    const url = await getSignedUrl(sdkFor(r2), command, { signableHeaders: new Set(['content-type']) })
    const put = async (headers: Record<string, string>, body: string) => {
      const sent = { 'content-length': String(body.length), ...headers }
      const { status, code } = await exchange(url, 'PUT', sent, body)
      return `${status} ${code}`
    }
    const good = { 'content-type': 'text/plain', 'if-none-match': '*' }
    expect(await put(good, 'longer')).toBe('403 SignatureDoesNotMatch')
    expect(await put({ ...good, 'content-type': 'text/html' }, 'right')).toBe('403 SignatureDoesNotMatch')
    expect(await put({ 'content-type': 'text/plain' }, 'right')).toBe('403 SignatureDoesNotMatch')
    expect(await put({ ...good, 'x-amz-meta-a': '1' }, 'right')).toBe('403 AccessDenied')
    expect(await put(good, 'right')).toBe('200 undefined')
    expect(await put(good, 'right')).toBe('412 PreconditionFailed')
  })

  it('overrides response headers that are signed', async () => {
    const command = new GetObjectCommand({
      Bucket,
      Key: oddKey,
      ResponseContentDisposition: "attachment; filename*=UTF-8''%C3%A9.txt",
      ResponseContentType: 'text/x-other',
    })
    const { headers } = await fetch(await getSignedUrl(sdkFor(r2), command))
    expect(headers.get('content-disposition')).toBe("attachment; filename*=UTF-8''%C3%A9.txt")
    expect(headers.get('content-type')).toBe('text/x-other')
  })

  it('refuses metadata that the presigner moved into the query, which R2 does not document', async () => {
    const url = await getSignedUrl(
      sdkFor(r2),
      new PutObjectCommand({ Bucket, Key: 'p', Metadata: { a: '1' } }),
    )
    expect(await codeOf(url, { method: 'PUT', body: 'x' })).toBe('501 NotImplemented')
  })
})
