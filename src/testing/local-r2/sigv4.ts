import { createHash, createHmac } from 'node:crypto'
import { S3Error } from './errors.js'
import { percentDecode, uriEncode, uriEncodePath } from './percent.js'
import { queryBytes, type S3Request, splitQuery } from './request.js'

/**
 * AWS Signature Version 4 as a server checks it, written from AWS's specification alone. It judges the package's own
 * signer, so it shares no code with it.
 */
export interface Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string | undefined
}

interface Claim {
  readonly accessKeyId: string
  readonly scopeDate: string
  readonly region: string
  readonly timestamp: string
  readonly signedHeaders: string
  readonly signature: string
  readonly sessionToken: string | undefined
  readonly payloadHash: string
}

const skewLimitMs = 15 * 60 * 1000
/** R2 has one region; the empty name and us-east-1 are its aliases. */
const regions = new Set(['auto', 'us-east-1', ''])

/** Verifies who sent the request; returns what the body must hash to, or 'UNSIGNED-PAYLOAD'. */
export function verifySignature(request: S3Request, credentials: Credentials, nowMs: number): string {
  const header = request.header('authorization')
  if (header === undefined && !request.isPresigned) throw new S3Error('Unauthorized', 'Unauthorized')
  if (header !== undefined && request.isPresigned) {
    throw new S3Error('InvalidArgument', 'Only one auth mechanism allowed')
  }
  const claim =
    header === undefined ? claimFromQuery(request, nowMs) : claimFromHeader(request, header, nowMs)
  checkCredential(claim, credentials)
  checkSignedHeaders(request, claim)
  const expected = signatureOf(request, claim, credentials.secretAccessKey)
  if (expected !== claim.signature) throw mismatch()
  return claim.payloadHash
}

function claimFromHeader(request: S3Request, header: string, nowMs: number): Claim {
  const match =
    /^AWS4-HMAC-SHA256 +Credential=([^,\s]+), *SignedHeaders=([^,\s]+), *Signature=([^,\s]+)$/.exec(header)
  if (match === null)
    throw new S3Error('AuthorizationHeaderMalformed', 'The authorization header is malformed')
  const [, credential = '', signedHeaders = '', signature = ''] = match
  const timestamp = request.header('x-amz-date')
  if (timestamp === undefined) {
    throw new S3Error('AccessDenied', 'AWS authentication requires a valid Date or x-amz-date header')
  }
  const signedAtMs = parseTimestamp(timestamp, 'AuthorizationHeaderMalformed')
  if (Math.abs(nowMs - signedAtMs) > skewLimitMs) throw skewed()
  const payloadHash = request.header('x-amz-content-sha256')
  if (payloadHash === undefined) {
    throw new S3Error('InvalidRequest', 'Missing required header for this request: x-amz-content-sha256')
  }
  const scope = parseScope(credential, timestamp, 'AuthorizationHeaderMalformed')
  const sessionToken = request.header('x-amz-security-token')
  return {
    ...scope,
    timestamp,
    signedHeaders,
    signature,
    sessionToken,
    payloadHash: checkedHash(payloadHash),
  }
}

function claimFromQuery(request: S3Request, nowMs: number): Claim {
  const values = new Map<string, string>()
  for (const [name, value] of request.query) {
    if (!name.toLowerCase().startsWith('x-amz-')) continue
    if (values.has(name)) throw queryError(`Duplicate ${name}`)
    values.set(name, value)
  }
  const required = (name: string) => {
    const value = values.get(name)
    if (value === undefined) throw queryError(`Query-string authentication requires ${name}`)
    return value
  }
  if (required('X-Amz-Algorithm') !== 'AWS4-HMAC-SHA256') throw queryError('Unsupported X-Amz-Algorithm')
  const timestamp = required('X-Amz-Date')
  const expires = required('X-Amz-Expires')
  const signature = required('X-Amz-Signature')
  const signedHeaders = required('X-Amz-SignedHeaders')
  const scope = parseScope(required('X-Amz-Credential'), timestamp, 'AuthorizationQueryParametersError')
  const signedAtMs = parseTimestamp(timestamp, 'AuthorizationQueryParametersError')
  if (!/^\d{1,6}$/.test(expires) || Number(expires) < 1 || Number(expires) > 604_800) {
    throw queryError('X-Amz-Expires must be between 1 and 604800 seconds')
  }
  if (signedAtMs - nowMs > skewLimitMs) throw skewed()
  if (nowMs > signedAtMs + Number(expires) * 1000) throw new S3Error('ExpiredRequest', 'Request has expired')
  const hash =
    request.header('x-amz-content-sha256') ?? values.get('X-Amz-Content-Sha256') ?? 'UNSIGNED-PAYLOAD'
  const sessionToken = values.get('X-Amz-Security-Token')
  return { ...scope, timestamp, signedHeaders, signature, sessionToken, payloadHash: checkedHash(hash) }
}

type Malformed = 'AuthorizationHeaderMalformed' | 'AuthorizationQueryParametersError'

function parseScope(credential: string, timestamp: string, malformed: Malformed) {
  const [accessKeyId = '', scopeDate = '', region = '', service, terminator, ...rest] = credential.split('/')
  if (service !== 's3' || terminator !== 'aws4_request' || rest.length > 0) {
    throw new S3Error(malformed, 'The credential scope is malformed')
  }
  if (scopeDate !== timestamp.slice(0, 8))
    throw new S3Error(malformed, 'The credential date is not the request date')
  if (!regions.has(region)) throw new S3Error('InvalidRegionName', `The region name '${region}' is not valid`)
  return { accessKeyId, scopeDate, region }
}

function parseTimestamp(timestamp: string, malformed: Malformed): number {
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(timestamp)
  const [, year, month, day, hour, minute, second] = match ?? []
  const parsed = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`)
  if (Number.isNaN(parsed)) throw new S3Error(malformed, 'The date is not in the form YYYYMMDDTHHMMSSZ')
  return parsed
}

function checkedHash(value: string): string {
  if (value.startsWith('STREAMING-')) {
    throw new S3Error('NotImplemented', `Header 'x-amz-content-sha256' with value '${value}' not implemented`)
  }
  if (value !== 'UNSIGNED-PAYLOAD' && !/^[0-9a-f]{64}$/.test(value)) {
    throw new S3Error(
      'InvalidArgument',
      'x-amz-content-sha256 must be UNSIGNED-PAYLOAD or a valid sha256 value.',
    )
  }
  return value
}

function checkCredential(claim: Claim, credentials: Credentials): void {
  if (claim.accessKeyId !== credentials.accessKeyId) throw new S3Error('Unauthorized', 'Unauthorized')
  if (claim.sessionToken === credentials.sessionToken) return
  if (credentials.sessionToken === undefined) throw new S3Error('InvalidArgument', 'X-Amz-Security-Token')
  throw new S3Error('Unauthorized', 'Unauthorized')
}

function checkSignedHeaders(request: S3Request, claim: Claim): void {
  const names = claim.signedHeaders.split(';')
  const inOrder = names.every((name, index) => index === 0 || (names[index - 1] ?? '') < name)
  if (!inOrder || !names.includes('host') || names.some((name) => name !== name.toLowerCase()))
    throw mismatch()
  for (const name of request.headers.keys()) {
    if (name.startsWith('x-amz-') && !names.includes(name)) {
      throw new S3Error(
        'AccessDenied',
        `There were headers present in the request which were not signed: ${name}`,
      )
    }
  }
}

function signatureOf(request: S3Request, claim: Claim, secretAccessKey: string): string {
  const scope = `${claim.scopeDate}/${claim.region}/s3/aws4_request`
  const hashed = createHash('sha256').update(canonicalRequest(request, claim), 'latin1').digest('hex')
  const stringToSign = `AWS4-HMAC-SHA256\n${claim.timestamp}\n${scope}\n${hashed}`
  let key: Buffer = Buffer.from(`AWS4${secretAccessKey}`, 'utf8')
  for (const step of [claim.scopeDate, claim.region, 's3', 'aws4_request']) {
    key = createHmac('sha256', key).update(step).digest()
  }
  return createHmac('sha256', key).update(stringToSign).digest('hex')
}

function canonicalRequest(request: S3Request, claim: Claim): string {
  const query = splitQuery(request.rawQuery)
    .map(([name, value]) => [uriEncode(queryBytes(name)), uriEncode(queryBytes(value))] as const)
    .filter(([name]) => name !== 'X-Amz-Signature')
    .sort(([a, x], [b, y]) => compare(a, b) || compare(x, y))
    .map(([name, value]) => `${name}=${value}`)
    .join('&')
  const headers = claim.signedHeaders.split(';').map((name) => {
    const value = request.header(name) ?? ''
    return `${name}:${value.trim().replace(/\s+/g, ' ')}\n`
  })
  // S3 encodes the path once and does not normalise it: `//`, `.` and `..` stay.
  const path = uriEncodePath(percentDecode(request.rawPath))
  return [request.method, path, query, headers.join(''), claim.signedHeaders, claim.payloadHash].join('\n')
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function mismatch(): S3Error {
  return new S3Error(
    'SignatureDoesNotMatch',
    'The request signature we calculated does not match the signature you provided. Check your secret access key and signing method.',
  )
}

function skewed(): S3Error {
  return new S3Error(
    'RequestTimeTooSkewed',
    'The difference between the request time and the server time is too large.',
  )
}

function queryError(message: string): S3Error {
  return new S3Error('AuthorizationQueryParametersError', message)
}
