import { createHash, createHmac } from 'node:crypto'
import { encodeExtended } from '../../metadata.js'
import type { S3Credentials } from './options.js'

/**
 * AWS Signature Version 4 for S3, with `UNSIGNED-PAYLOAD`: the body is protected by TLS and by `Content-MD5`.
 * Source: "Authenticating Requests (AWS Signature Version 4)" in the Amazon S3 API Reference.
 */

export interface SigningContext {
  readonly credentials: S3Credentials
  readonly region: string
  readonly date: Date
}

export interface SignableRequest {
  readonly method: string
  /** With the port, if it is not the scheme's own. */
  readonly host: string
  /** Percent-encoded, as it is sent. */
  readonly path: string
  /** Not yet encoded. */
  readonly query: Readonly<Record<string, string>>
  /** Those to sign besides `host`; names in lower case. */
  readonly headers: Readonly<Record<string, string>>
}

const ALGORITHM = 'AWS4-HMAC-SHA256'
const UNSIGNED = 'UNSIGNED-PAYLOAD'

/** What to send: the query, and the headers given with the date, the token, and the signature over all of them. */
export function signHeaders(
  request: SignableRequest,
  context: SigningContext,
): { readonly query: string; readonly headers: Record<string, string> } {
  const { credentials } = context
  const timestamp = toTimestamp(context.date)
  const scope = scopeOf(timestamp, context.region)
  const headers: Record<string, string> = {
    ...request.headers,
    host: request.host,
    'x-amz-content-sha256': UNSIGNED,
    'x-amz-date': timestamp,
  }
  if (credentials.sessionToken !== undefined) headers['x-amz-security-token'] = credentials.sessionToken
  const names = Object.keys(headers).sort()
  const query = canonicalQuery(request.query)
  const canonical = canonicalRequest(request.method, request.path, query, headers, names)
  const signature = signatureOf(canonical, timestamp, scope, context)
  headers.authorization = `${ALGORITHM} Credential=${credentials.accessKeyId}/${scope}, SignedHeaders=${names.join(';')}, Signature=${signature}`
  return { query, headers }
}

/** The query of an address that is good for `expiresIn` seconds from the context's date. */
export function presignedQuery(request: SignableRequest, context: SigningContext, expiresIn: number): string {
  const { credentials } = context
  const timestamp = toTimestamp(context.date)
  const scope = scopeOf(timestamp, context.region)
  const headers: Record<string, string> = { ...request.headers, host: request.host }
  const names = Object.keys(headers).sort()
  const query: Record<string, string> = {
    ...request.query,
    'X-Amz-Algorithm': ALGORITHM,
    'X-Amz-Credential': `${credentials.accessKeyId}/${scope}`,
    'X-Amz-Date': timestamp,
    'X-Amz-Expires': String(expiresIn),
    'X-Amz-SignedHeaders': names.join(';'),
  }
  if (credentials.sessionToken !== undefined) query['X-Amz-Security-Token'] = credentials.sessionToken
  const sorted = canonicalQuery(query)
  const canonical = canonicalRequest(request.method, request.path, sorted, headers, names)
  return `${sorted}&X-Amz-Signature=${signatureOf(canonical, timestamp, scope, context)}`
}

/** `20260102T030405Z` */
function toTimestamp(date: Date): string {
  return date.toISOString().replace(/[-:]|\.\d{3}/g, '')
}

function scopeOf(timestamp: string, region: string): string {
  return `${timestamp.slice(0, 8)}/${region}/s3/aws4_request`
}

function canonicalQuery(query: Readonly<Record<string, string>>): string {
  return Object.keys(query)
    .sort() // By name alone; as pairs `a=` would come after `a-b=`.
    .map((name) => `${encodeExtended(name)}=${encodeExtended(query[name] ?? '')}`)
    .join('&')
}

function canonicalRequest(
  method: string,
  path: string,
  query: string,
  headers: Readonly<Record<string, string>>,
  names: readonly string[],
): string {
  let lines = ''
  for (const name of names) lines += `${name}:${(headers[name] ?? '').trim().replace(/ {2,}/g, ' ')}\n`
  return `${method}\n${path}\n${query}\n${lines}\n${names.join(';')}\n${UNSIGNED}`
}

function signatureOf(
  canonical: string,
  timestamp: string,
  scope: string,
  { credentials, region }: SigningContext,
): string {
  const text = `${ALGORITHM}\n${timestamp}\n${scope}\n${createHash('sha256').update(canonical).digest('hex')}`
  return createHmac('sha256', signingKey(credentials, timestamp.slice(0, 8), region))
    .update(text)
    .digest('hex')
}

const signingKeys = new WeakMap<S3Credentials, { readonly scope: string; readonly key: Buffer }>()

/** The key for a day, derived by four HMACs: kept with the credentials, since all requests of the day use it. */
function signingKey(credentials: S3Credentials, day: string, region: string): Buffer {
  const scope = `${day}/${region}`
  const kept = signingKeys.get(credentials)
  if (kept?.scope === scope) return kept.key
  const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest()
  const key = hmac(hmac(hmac(hmac(`AWS4${credentials.secretAccessKey}`, day), region), 's3'), 'aws4_request')
  signingKeys.set(credentials, { scope, key })
  return key
}
