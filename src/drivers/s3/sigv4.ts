import { createHmac, hash } from 'node:crypto'
import { encodeExtended } from '../../percent.js'
import type { S3Credentials } from './keys.js'

/**
 * AWS Signature Version 4 for S3, with `UNSIGNED-PAYLOAD`: the body is protected by TLS and by `Content-MD5`.
 * Source: "Authenticating Requests (AWS Signature Version 4)" in the Amazon S3 API Reference.
 */

export interface SigningContext {
  readonly credentials: S3Credentials
  readonly region: string
  /** Milliseconds since 1970, by the server's clock. */
  readonly time: number
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

/** A signed request's variable parts. */
export interface SignedHeaders {
  readonly query: string
  readonly headers: Record<string, string>
}

/** The signed parts of a request: the query, and the headers given with the date, the token, and the signature over all of them. */
export function signHeaders(request: SignableRequest, context: SigningContext): SignedHeaders {
  const { credentials } = context
  const timestamp = toTimestamp(context.time)
  const headers: Record<string, string> = {
    host: request.host,
    'x-amz-content-sha256': UNSIGNED,
    'x-amz-date': timestamp,
    ...request.headers,
  }
  if (credentials.sessionToken !== undefined) headers['x-amz-security-token'] = credentials.sessionToken
  const names = Object.keys(headers).sort()
  const signed = names.join(';')
  const query = canonicalQuery(request.query)
  const canonical = canonicalRequest(request, query, headers, names, signed)
  const key = signingKey(context, timestamp.slice(0, 8))
  headers.authorization = `${ALGORITHM} Credential=${key.credential}, SignedHeaders=${signed}, Signature=${signatureOf(canonical, timestamp, key)}`
  return { query, headers }
}

/** The query of an address that is valid for `expiresIn` seconds from the context's time. */
export function presignedQuery(request: SignableRequest, context: SigningContext, expiresIn: number): string {
  const { sessionToken } = context.credentials
  const timestamp = toTimestamp(context.time)
  const key = signingKey(context, timestamp.slice(0, 8))
  const headers: Readonly<Record<string, string>> = { host: request.host, ...request.headers }
  const names = Object.keys(headers).sort()
  const signed = names.join(';')
  // In the order that they sort in.
  let query = `X-Amz-Algorithm=${ALGORITHM}&X-Amz-Credential=${key.encodedCredential}&X-Amz-Date=${timestamp}&X-Amz-Expires=${expiresIn}`
  if (sessionToken !== undefined) query += `&X-Amz-Security-Token=${encodeExtended(sessionToken)}`
  query += `&X-Amz-SignedHeaders=${encodeExtended(signed)}`
  const more = canonicalQuery(request.query)
  if (more !== '') query = sortParameters(`${query}&${more}`)
  const canonical = canonicalRequest(request, query, headers, names, signed)
  return `${query}&X-Amz-Signature=${signatureOf(canonical, timestamp, key)}`
}

let latest = { second: Number.NaN, timestamp: '' }

/** `20260102T030405Z`. Most requests are signed in the same second as the one before. */
function toTimestamp(time: number): string {
  const second = Math.floor(time / 1000)
  if (second !== latest.second) {
    latest = { second, timestamp: new Date(time).toISOString().replace(/[-:]|\.\d{3}/g, '') }
  }
  return latest.timestamp
}

function canonicalQuery(query: Readonly<Record<string, string>>): string {
  let text = ''
  // Sorted by name alone; as pairs `a=` would come after `a-b=`.
  for (const name of Object.keys(query).sort()) {
    text += `${text === '' ? '' : '&'}${encodeExtended(name)}=${encodeExtended(query[name] ?? '')}`
  }
  return text
}

function sortParameters(query: string): string {
  const nameOf = (parameter: string) => parameter.slice(0, parameter.indexOf('='))
  return query
    .split('&')
    .sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1))
    .join('&')
}

function canonicalRequest(
  { method, path }: SignableRequest,
  query: string,
  headers: Readonly<Record<string, string>>,
  names: readonly string[],
  signed: string,
): string {
  let lines = ''
  for (const name of names) lines += `${name}:${(headers[name] ?? '').trim().replace(/ {2,}/g, ' ')}\n`
  return `${method}\n${path}\n${query}\n${lines}\n${signed}\n${UNSIGNED}`
}

function signatureOf(canonical: string, timestamp: string, { key, scope }: SigningKey): string {
  const text = `${ALGORITHM}\n${timestamp}\n${scope}\n${hash('sha256', canonical)}`
  return createHmac('sha256', key).update(text).digest('hex')
}

interface SigningKey {
  readonly scope: string
  /** The access key and the scope. */
  readonly credential: string
  readonly encodedCredential: string
  readonly key: Buffer
}

const signingKeys = new WeakMap<S3Credentials, SigningKey>()

/** The key for a day, derived by four HMACs: kept with the credentials, since all requests of the day use it. */
function signingKey({ credentials, region }: SigningContext, day: string): SigningKey {
  const scope = `${day}/${region}/s3/aws4_request`
  const kept = signingKeys.get(credentials)
  if (kept?.scope === scope) return kept
  const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest()
  const key = hmac(hmac(hmac(hmac(`AWS4${credentials.secretAccessKey}`, day), region), 's3'), 'aws4_request')
  const credential = `${credentials.accessKeyId}/${scope}`
  const made = { scope, credential, encodedCredential: encodeExtended(credential), key }
  signingKeys.set(credentials, made)
  return made
}
