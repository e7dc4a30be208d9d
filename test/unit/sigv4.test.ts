import assert from 'node:assert/strict'
import {
  DeleteObjectCommand,
  GetObjectCommand,
  type GetObjectCommandInput,
  HeadObjectCommand,
  PutObjectCommand,
  type PutObjectCommandInput,
  S3Client,
} from '@aws-sdk/client-s3'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import fc from 'fast-check'
import { describe, it } from 'vitest'
import { presignedQuery, signHeaders } from '../../src/drivers/s3/sigv4.js'
import { encodeExtended } from '../../src/percent.js'

/** The keys of AWS's own examples: "Authenticating Requests" in the Amazon S3 API Reference. */
const EXAMPLE = {
  credentials: {
    accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
    secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
  },
  region: 'us-east-1',
  time: Date.parse('2013-05-24T00:00:00Z'),
}
const HOST = 'examplebucket.s3.amazonaws.com'

describe('signatures', () => {
  it("agree with AWS's worked example of a presigned GET", () => {
    const request = { method: 'GET', host: HOST, path: '/test.txt', query: {}, headers: {} }
    assert.match(
      presignedQuery(request, EXAMPLE, 86400),
      /&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404$/,
    )
  })

  it('are made by the key of their own day, region and credentials', () => {
    const request = { method: 'GET', host: HOST, path: '/a', query: {}, headers: {} }
    const { credentials } = EXAMPLE
    for (const region of ['auto', 'eu']) {
      for (const time of [Date.parse('2026-01-01T23:59:59Z'), Date.parse('2026-01-02')]) {
        const fresh = presignedQuery(request, { credentials: { ...credentials }, region, time }, 60)
        assert.equal(presignedQuery(request, { credentials, region, time }, 60), fresh)
      }
    }
  })

  it('are those of the SDK for any key, token, override, expiry and time', async () => {
    await fc.assert(
      fc.asyncProperty(
        inputs(),
        async ({ key, token, disposition, type, expiresIn, date, region, secret }) => {
          const credentials = {
            accessKeyId: 'AKIDEXAMPLE',
            secretAccessKey: secret,
            ...(token !== undefined && { sessionToken: token }),
          }
          const input: GetObjectCommandInput = { Bucket: 'bucket', Key: key }
          const query: Record<string, string> = {
            'x-id': 'GetObject',
            'X-Amz-Content-Sha256': 'UNSIGNED-PAYLOAD',
          }
          if (disposition !== undefined) {
            input.ResponseContentDisposition = disposition
            query['response-content-disposition'] = disposition
          }
          if (type !== undefined) {
            input.ResponseContentType = type
            query['response-content-type'] = type
          }
          const url = await presign(new GetObjectCommand(input), { credentials, region, date, expiresIn })
          const request = { method: 'GET', host: 'localhost:9000', path: pathOf(key), query, headers: {} }
          const ours = presignedQuery(request, { credentials, region, time: date.getTime() }, expiresIn)
          assert.deepEqual(ours.split('&').sort(), url.search.slice(1).split('&').sort())
          assert.equal(pathOf(key), url.pathname)
        },
      ),
      { numRuns: 500 },
    )
  }, 120_000)

  it('of an upload are those of the SDK with size, type and create-only signed', async () => {
    await fc.assert(
      fc.asyncProperty(inputs(), fc.nat(), async ({ key, type, expiresIn, date, region, secret }, size) => {
        const credentials = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: secret }
        const contentType = type ?? 'image/png'
        const input: PutObjectCommandInput = {
          Bucket: 'bucket',
          Key: key,
          ContentLength: size,
          ContentType: contentType,
          IfNoneMatch: '*',
        }
        const url = await presign(new PutObjectCommand(input), { credentials, region, date, expiresIn })
        const request = {
          method: 'PUT',
          host: 'localhost:9000',
          path: pathOf(key),
          query: { 'x-id': 'PutObject', 'X-Amz-Content-Sha256': 'UNSIGNED-PAYLOAD' },
          headers: { 'content-length': String(size), 'content-type': contentType, 'if-none-match': '*' },
        }
        const ours = presignedQuery(request, { credentials, region, time: date.getTime() }, expiresIn)
        assert.deepEqual(ours.split('&').sort(), url.search.slice(1).split('&').sort())
      }),
      { numRuns: 500 },
    )
  }, 120_000)

  it('of a request are those of the SDK for any key, token, headers and time', async () => {
    await fc.assert(
      fc.asyncProperty(
        inputs(),
        fc.dictionary(fc.stringMatching(/^[a-z][a-z0-9-]{0,10}$/), headerText, { maxKeys: 3 }),
        fc.constantFrom('GET', 'HEAD', 'PUT', 'DELETE'),
        async ({ key, token, disposition, type, date, region, secret }, metadata, method) => {
          const credentials = {
            accessKeyId: 'AKIDEXAMPLE',
            secretAccessKey: secret,
            ...(token !== undefined && { sessionToken: token }),
          }
          const place = { Bucket: 'bucket', Key: key }
          const command = {
            GET: new GetObjectCommand({ ...place, Range: 'bytes=0-9', IfMatch: '"e"' }),
            HEAD: new HeadObjectCommand(place),
            DELETE: new DeleteObjectCommand(place),
            PUT: new PutObjectCommand({
              ...place,
              ContentType: type,
              ContentDisposition: disposition,
              Metadata: metadata,
              IfNoneMatch: '*',
            }),
          }[method]
          const sent = await sentBySdk(command, { credentials, region, date })
          const [, signedNames = ''] = /SignedHeaders=([^,]*)/.exec(sent.headers.authorization ?? '') ?? []
          const headers: Record<string, string> = {}
          for (const name of signedNames.split(';')) headers[name] = sent.headers[name] ?? ''
          const request = {
            method: sent.method,
            host: 'localhost:9000',
            path: pathOf(key),
            query: sent.query,
            headers,
          }
          const ours = signHeaders(request, { credentials, region, time: date.getTime() })
          assert.deepEqual(ours.headers, { ...headers, authorization: sent.headers.authorization })
          assert.equal(sent.path, pathOf(key))
        },
      ),
      { numRuns: 500 },
    )
  }, 120_000)

  it('of a request cover every header, and the query in canonical order', () => {
    const { query, headers } = signHeaders(
      {
        method: 'GET',
        host: HOST,
        path: '/',
        query: { prefix: 'J', 'max-keys': '2', 'a-b': '1', a: '2' },
        headers: { range: 'bytes=0-9' },
      },
      { ...EXAMPLE, credentials: { ...EXAMPLE.credentials, sessionToken: 'token' } },
    )
    assert.equal(query, 'a=2&a-b=1&max-keys=2&prefix=J')
    assert.match(
      headers.authorization ?? '',
      /SignedHeaders=host;range;x-amz-content-sha256;x-amz-date;x-amz-security-token, Signature=[0-9a-f]{64}$/,
    )
  })
})

/** Of the SDK's clients that sign the same. */
const CLIENT = {
  endpoint: 'http://localhost:9000',
  forcePathStyle: true,
  requestChecksumCalculation: 'WHEN_REQUIRED',
  responseChecksumValidation: 'WHEN_REQUIRED',
} as const

interface Signing {
  readonly credentials: { accessKeyId: string; secretAccessKey: string; sessionToken?: string }
  readonly region: string
  readonly date: Date
  readonly expiresIn: number
}

async function presign(
  command: GetObjectCommand | PutObjectCommand,
  { credentials, region, date, expiresIn }: Signing,
) {
  const client = new S3Client({
    ...CLIENT,
    region,
    credentials,
  })
  const options = { expiresIn, signingDate: date, signableHeaders: new Set(['content-type']) }
  return command instanceof GetObjectCommand
    ? new URL(await getSignedUrl(client, command, options))
    : new URL(await getSignedUrl(client, command, options))
}

/** What the SDK would send: its request, caught instead of being sent. */
async function sentBySdk(
  command: GetObjectCommand | HeadObjectCommand | PutObjectCommand | DeleteObjectCommand,
  { credentials, region, date }: Omit<Signing, 'expiresIn'>,
) {
  const client = new S3Client({
    ...CLIENT,
    region,
    credentials,
    // Signatures tell whole seconds: it may take most of one to get there.
    systemClockOffset: Math.floor(date.getTime() / 1000) * 1000 + 50 - Date.now(),
    maxAttempts: 1,
    requestHandler: {
      handle: async (request: SentRequest) => Promise.reject(Object.assign(new Error('caught'), { request })),
    },
  })
  client.middlewareStack.add(
    (next) => async (args) => {
      const { headers } = args.request as { headers: Record<string, string> }
      headers['x-amz-content-sha256'] = 'UNSIGNED-PAYLOAD'
      return next(args)
    },
    { step: 'build', name: 'unsignedPayload' },
  )
  return client.send(command as GetObjectCommand).then(
    () => assert.fail('nothing can answer'),
    (error) => error.request as SentRequest,
  )
}

interface SentRequest {
  readonly method: string
  readonly path: string
  readonly query: Record<string, string>
  readonly headers: Readonly<Record<string, string>>
}

function pathOf(key: string): string {
  return `/bucket/${key.split('/').map(encodeExtended).join('/')}`
}

/** Printable ASCII, one space at a time at most and none around: what a header may have. */
const headerText = fc
  .string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 40 })
  .map((text) => text.replace(/ +/g, ' ').trim() || 'x')

function inputs() {
  const segment = fc
    .string({ unit: 'grapheme', minLength: 1, maxLength: 20 })
    .map((text) => text.replace(/[/\\\p{Cc}]/gu, '_'))
    .filter((text) => text.isWellFormed() && text !== '.' && text !== '..')
  return fc.record({
    key: fc.array(segment, { minLength: 1, maxLength: 4 }).map((segments) => segments.join('/')),
    token: fc.option(fc.base64String({ minLength: 4, maxLength: 200 }), { nil: undefined }),
    disposition: fc.option(headerText, { nil: undefined }),
    type: fc.option(fc.constantFrom('image/png', 'text/plain; charset=utf-8', 'audio/webm'), {
      nil: undefined,
    }),
    expiresIn: fc.integer({ min: 1, max: 604_800 }),
    date: fc.date({ min: new Date('2000-01-01'), max: new Date('2099-12-31'), noInvalidDate: true }),
    region: fc.constantFrom('auto', 'us-east-1', 'eu-central-1'),
    secret: fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 64 }),
  })
}
