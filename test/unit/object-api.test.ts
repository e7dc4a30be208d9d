/** Both implementations of the object API: the same input, output and errors on the same answers of a server. */
import assert from 'node:assert/strict'
import { afterEach, describe, it } from 'vitest'
import { bucketAddress } from '../../src/drivers/s3/address.js'
import { toS3Config } from '../../src/drivers/s3/config.js'
import { HttpObjectApi } from '../../src/drivers/s3/http.js'
import type { Call, ObjectApi } from '../../src/drivers/s3/object-api.js'
import { S3Error } from '../../src/drivers/s3/s3-error.js'
import { SdkObjectApi } from '../../src/drivers/s3/sdk.js'
import { Signer } from '../../src/drivers/s3/signer.js'
import { type RawServer, rawAnswer, startRawServer } from '../servers/raw-server.js'

const call: Call = {
  signal: undefined,
  take: (_, send) => send({ timeout: 5_000, hold: () => () => {} }),
}
const KEY = 'a b/ü+%.txt'
const UPLOAD = { key: KEY, uploadId: 'an id' }
const ETAG = '"0123456789abcdef0123456789abcdef"'
const XML = { 'Content-Type': 'application/xml' }
const OBJECT = {
  ETag: ETAG,
  'Content-Type': 'text/plain',
  'Cache-Control': 'max-age=1',
  'Content-Language': 'de',
  'x-amz-meta-by': 'me',
  'Last-Modified': 'Tue, 03 Nov 2026 10:00:00 GMT',
}
const attributes = {
  headers: { contentType: 'text/plain', contentDisposition: 'inline' },
  metadata: { by: 'me' },
}

let server: RawServer | undefined
afterEach(async () => {
  await server?.stop()
  server = undefined
})

type Verb = (api: ObjectApi) => Promise<unknown>

/** What both make of an answer, and what they sent: method, path, query and the headers that count. */
async function ask(answer: Buffer, verb: Verb, ending = false) {
  const running = await startRawServer(
    (_, socket) => void (ending ? socket.end(answer) : socket.write(answer)),
  )
  server = running
  const options = {
    endpoint: running.endpoint,
    bucket: 'bucket',
    accessKeyId: 'id',
    secretAccessKey: 'secret',
  }
  const config = toS3Config(options)
  const apis = [
    new HttpObjectApi(bucketAddress(running.endpoint, 'bucket', 'path', ''), config, new Signer(config)),
    new SdkObjectApi(config, new Signer(config)),
  ]
  const results: unknown[] = []
  const sent: unknown[] = []
  for (const api of apis) {
    running.calls.length = 0
    const result = await verb(api).catch((error: unknown) =>
      error instanceof S3Error ? shown(error) : error,
    )
    // An AWS client does not tell the server's time.
    if (typeof result === 'object' && result !== null) Reflect.deleteProperty(result, 'answered')
    results.push(result)
    sent.push(
      running.calls.map(({ method, url, headers, body }) => ({
        method,
        ...target(url),
        headers: kept(headers),
        body: xmlOf(body),
      })),
    )
  }
  assert.deepEqual(results[0], results[1], 'the results differ')
  assert.deepEqual(sent[0], sent[1], 'the requests differ')
  return { result: results[0], sent: sent[0] }
}

function shown({ status, code, headers }: S3Error) {
  return { status, code, retryAfter: headers['retry-after'] }
}

/** The SDK says with `x-id` what it sends. */
function target(url: string) {
  const { pathname, searchParams } = new URL(url, 'http://host')
  searchParams.delete('x-id')
  searchParams.sort()
  return { path: decodeURIComponent(pathname).replace(/\/$/, ''), query: searchParams.toString() }
}

/** The headers of a request, except those of every request and those that name the client. */
function kept(headers: Readonly<Record<string, string>>) {
  const own = /^(?:if-|range|content-(?!length|type|md5)|cache-|x-amz-(?:meta|copy|metadata)|cf-)/
  return Object.fromEntries(Object.entries(headers).filter(([name]) => own.test(name)))
}

/** XML documents may be declared and spaced in more ways than one. */
function xmlOf(body: Buffer): string {
  return body.toString().replace(/<\?xml[^>]*>|xmlns="[^"]*"|\s|&quot;|"/g, '')
}

const error = (status: number, code: string, headers = {}) =>
  rawAnswer(
    status,
    { ...XML, ...headers },
    `<?xml version="1.0"?><Error><Code>${code}</Code><Message>m</Message></Error>`,
  )

async function read(opened: ReturnType<ObjectApi['get']>) {
  const { body, ...state } = await opened
  return { ...state, text: Buffer.concat(await body.toArray()).toString() }
}

const VERBS: Record<string, { verb: Verb; answer: Buffer }> = {
  put: {
    verb: (api) => api.put({ key: KEY, bytes: Buffer.from('x'), attributes, createOnly: true }, call),
    answer: rawAnswer(200, { ETag: ETAG }),
  },
  get: {
    verb: (api) => read(api.get({ key: KEY, range: { offset: 1, length: 2 }, ifMatch: ETAG }, call)),
    answer: rawAnswer(206, { ...OBJECT, 'Content-Range': 'bytes 1-2/9' }, 'xy'),
  },
  head: {
    verb: (api) => api.head({ key: KEY }, call),
    answer: rawAnswer(200, { ...OBJECT, 'Content-Length': '7' }),
  },
  delete: { verb: (api) => api.delete({ key: KEY }, call), answer: rawAnswer(204) },
  deleteMany: {
    verb: (api) => api.deleteMany(['a&<>"b', 'c', 'd'], call),
    answer: rawAnswer(
      200,
      XML,
      '<DeleteResult><Deleted><Key>a&amp;&lt;&gt;&quot;b</Key></Deleted><Error><Key>c</Key><Code>AccessDenied</Code></Error></DeleteResult>',
    ),
  },
  list: {
    verb: (api) => api.list({ prefix: 'd/', shallow: true, token: 'a+b' }, call),
    answer: rawAnswer(
      200,
      XML,
      `<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>bucket</Name><KeyCount>3</KeyCount><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated><NextContinuationToken>n</NextContinuationToken>${['d/a+b%2B', 'd/&amp;'].map((key) => `<Contents><Key>${key}</Key><LastModified>2026-11-03T10:00:00.900Z</LastModified><ETag>&quot;e&quot;</ETag><Size>3</Size></Contents>`).join('')}<CommonPrefixes><Prefix>d/x%0A/</Prefix></CommonPrefixes></ListBucketResult>`,
    ),
  },
  copy: {
    verb: (api) => api.copy({ key: 'to', fromKey: KEY, attributes, ifMatch: ETAG, createOnly: true }, call),
    answer: rawAnswer(200, XML, `\n  <CopyObjectResult><ETag>${ETAG}</ETag></CopyObjectResult>`),
  },
  createUpload: {
    verb: (api) => api.createUpload({ key: KEY, attributes }, call),
    answer: rawAnswer(
      200,
      XML,
      '<InitiateMultipartUploadResult><UploadId>an id</UploadId></InitiateMultipartUploadResult>',
    ),
  },
  uploadPart: {
    verb: (api) => api.uploadPart({ ...UPLOAD, number: 2, bytes: Buffer.from('x') }, call),
    answer: rawAnswer(200, { ETag: ETAG }),
  },
  copyPart: {
    verb: (api) => api.copyPart({ ...UPLOAD, number: 2, fromKey: KEY, range: { start: 0, end: 9 } }, call),
    answer: rawAnswer(
      200,
      { ...XML, 'x-amz-server-side-encryption': 'aws:kms' },
      `<CopyPartResult><ETag>${ETAG}</ETag></CopyPartResult>`,
    ),
  },
  completeUpload: {
    verb: (api) =>
      api.completeUpload({ ...UPLOAD, parts: [{ number: 1, etag: ETAG }], createOnly: true }, call),
    answer: rawAnswer(
      200,
      XML,
      `<CompleteMultipartUploadResult><Key>k</Key><ETag>${ETAG}</ETag></CompleteMultipartUploadResult>`,
    ),
  },
  abortUpload: { verb: (api) => api.abortUpload(UPLOAD, call), answer: rawAnswer(204) },
  listUploads: {
    verb: (api) => api.listUploads({ prefix: 'd/', after: { key: 'd/a', uploadId: 'u' } }, call),
    answer: rawAnswer(
      200,
      XML,
      '<ListMultipartUploadsResult><Bucket>bucket</Bucket><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated><NextKeyMarker>d/z%20</NextKeyMarker><NextUploadIdMarker>w</NextUploadIdMarker><Upload><Key>d/b+c</Key><UploadId>v</UploadId><Initiated>2026-11-03T10:00:00.000Z</Initiated></Upload></ListMultipartUploadsResult>',
    ),
  },
}

describe.each(Object.entries(VERBS))('%s', (name, { verb, answer }) => {
  it('is sent and read alike', async () => {
    const { result, sent } = await ask(answer, verb)
    assert.ok(!(result instanceof Error), String(result))
    assert.ok(Array.isArray(sent) && sent.length === 1)
    assert.equal(typeof (result ?? {}), 'object')
  })

  it.each([
    [403, 'AccessDenied'],
    [404, 'NoSuchKey'],
    [409, 'ConditionalRequestConflict'],
    [412, 'PreconditionFailed'],
    [503, 'SlowDown'],
  ])('fails alike with %i %s', async (status, code) => {
    const body =
      name === 'head'
        ? rawAnswer(status, { 'Retry-After': '3' })
        : error(status, code, { 'Retry-After': '3' })
    const { result } = await ask(body, verb)
    assert.deepEqual(result, { status, code: name === 'head' ? '' : code, retryAfter: '3' })
  })

  it.each(['<html><body>Log in</body></html>', '<ok/>', 'OK'])(
    'does not take %s for the answer',
    async (body) => {
      const { result } = await ask(
        rawAnswer(200, { 'Content-Type': 'text/html' }, name === 'head' ? '' : body),
        verb,
      )
      assert.deepEqual(result, { status: 200, code: '', retryAfter: undefined })
    },
  )
})
