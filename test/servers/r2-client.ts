import { createHash, createHmac } from 'node:crypto'
import { Agent, request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { S3Client, type S3ClientConfig, S3ServiceException } from '@aws-sdk/client-s3'
import type { StrictR2 } from './r2.js'

/** The real SDK, set up for R2. */
export function sdkFor(r2: StrictR2, changes: S3ClientConfig = {}): S3Client {
  const { accessKeyId, secretAccessKey, sessionToken } = r2
  return new S3Client({
    region: 'auto',
    endpoint: r2.endpoint,
    credentials: { accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : { sessionToken }) },
    forcePathStyle: true,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    expectContinueHeader: false,
    maxAttempts: 1,
    ...changes,
  })
}

/** `'412 PreconditionFailed'`, or what else the SDK's promise came to. */
export async function outcome(
  sent: Promise<{ $metadata: { httpStatusCode?: number | undefined } }>,
): Promise<string> {
  try {
    return String((await sent).$metadata.httpStatusCode)
  } catch (error) {
    if (!(error instanceof S3ServiceException)) throw error
    return `${error.$metadata.httpStatusCode} ${error.name}`
  }
}

export interface RawRequest {
  readonly method?: string
  /** Percent-encoded path below the endpoint. */
  readonly path: string
  readonly query?: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Buffer
  /** Changes to what is sent after signing; `undefined` removes a header. */
  readonly tamper?: Readonly<Record<string, string | undefined>>
  readonly date?: Date
  readonly accessKeyId?: string
  readonly secretAccessKey?: string
  readonly region?: string
  readonly payloadHash?: string
  /** Headers to leave out of the signature. */
  readonly unsigned?: readonly string[]
  readonly signed?: boolean
  readonly agent?: Agent
}

export interface RawAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
  /** The `<Code>` of an error. */
  readonly code: string | undefined
}

/** A request signed by hand in header form, so that any part of it can be made wrong. */
export async function raw(r2: StrictR2, request: RawRequest): Promise<RawAnswer> {
  const { method = 'GET', query = {}, body = '', signed = true, tamper = {} } = request
  const search = Object.entries(query)
    .map((pair) => pair.map(encode).join('='))
    .sort()
    .join('&')
  const plain = {
    host: new URL(r2.endpoint).host,
    'content-length': String(Buffer.byteLength(body)),
    ...request.headers,
  }
  const headers: Record<string, string | undefined> = signed
    ? signHeaders(r2, request, plain, search, body)
    : plain
  Object.assign(headers, tamper)
  return exchange(
    `${r2.endpoint}${request.path}${search && '?'}${search}`,
    method,
    headers,
    body,
    request.agent,
  )
}

export function exchange(
  url: string,
  method: string,
  headers: Readonly<Record<string, string | undefined>>,
  body: string | Buffer,
  agent = new Agent({ keepAlive: false }),
): Promise<RawAnswer> {
  const present = Object.entries(headers).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value] as const],
  )
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest(url, { method, headers: Object.fromEntries(present), agent }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.once('error', reject)
      response.once('end', () => {
        const text = Buffer.concat(chunks).toString('utf8')
        const code = /<Error>.*<Code>(\w+)<\/Code>/s.exec(text)?.[1]
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text, code })
      })
    })
    outgoing.once('error', reject)
    outgoing.end(body)
  })
}

function signHeaders(
  r2: StrictR2,
  request: RawRequest,
  plain: Readonly<Record<string, string>>,
  search: string,
  body: string | Buffer,
): Record<string, string> {
  const timestamp = (request.date ?? new Date()).toISOString().replace(/[-:]|\.\d+/g, '')
  const { payloadHash = createHash('sha256').update(body).digest('hex') } = request
  const token = r2.sessionToken === undefined ? {} : { 'x-amz-security-token': r2.sessionToken }
  const headers: Record<string, string> = {
    ...plain,
    ...token,
    'x-amz-date': timestamp,
    'x-amz-content-sha256': payloadHash,
  }
  const names = Object.keys(headers)
    .filter((name) => !request.unsigned?.includes(name))
    .sort()
  const canonical = [
    request.method ?? 'GET',
    request.path,
    search,
    ...names.map((name) => `${name}:${headers[name]?.trim().replace(/ +/g, ' ')}`),
    '',
    names.join(';'),
    payloadHash,
  ].join('\n')
  const scope = [timestamp.slice(0, 8), request.region ?? 'auto', 's3', 'aws4_request']
  const hash = createHash('sha256').update(canonical).digest('hex')
  const secret = `AWS4${request.secretAccessKey ?? r2.secretAccessKey}`
  const key = scope.reduce<string | Buffer>(
    (parent, step) => createHmac('sha256', parent).update(step).digest(),
    secret,
  )
  const signature = createHmac('sha256', key)
    .update(['AWS4-HMAC-SHA256', timestamp, scope.join('/'), hash].join('\n'))
    .digest('hex')
  const credential = [request.accessKeyId ?? r2.accessKeyId, ...scope].join('/')
  headers.authorization = `AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=${names.join(';')}, Signature=${signature}`
  return headers
}

function encode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}
