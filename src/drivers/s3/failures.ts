import { Problem, type StorageErrorCode } from '../../errors.js'

/** What went wrong with a request, as far as can be told from what was thrown. */
export interface Failure {
  /** HTTP status; undefined when there was no answer. */
  readonly status: number | undefined
  /** S3's error code, or the system's. `''` if there is none. */
  readonly code: string
  /** Whether another attempt may succeed: at once or so, or not within a second. */
  readonly retry: 'no' | 'soon' | 'later'
  /** Seconds that the server asks to wait. */
  readonly retryAfter: number | undefined
  /** Whether the server may have done what it was asked for. */
  readonly ambiguous: boolean
}

/** R2 and S3 codes that a retry may cure although their status says otherwise, and when. */
const RETRYABLE_CODES: Readonly<Record<string, 'soon' | 'later'>> = {
  BadDigest: 'soon', // Damaged on the way.
  ClientDisconnect: 'soon',
  ConditionalRequestConflict: 'soon',
  IncompleteBody: 'soon',
  InternalError: 'soon',
  OperationAborted: 'soon',
  RequestTimeTooSkewed: 'soon', // The clock is corrected by the answer.
  RequestTimeout: 'soon',
  ServiceUnavailable: 'soon',
  SlowDown: 'later',
  TooManyRequests: 'later',
  TooMuchConcurrency: 'later',
}
/** What TLS and a wrong protocol fail with: no retry helps. */
const SETUP_CODES =
  /^(?:CERT_|ERR_TLS|ERR_SSL|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|EPROTO|ERR_INVALID_|UND_ERR_INVALID_ARG)/
/** What Node's and undici's parsers fail with: no HTTP, or what is left of an answer longer than it said. */
const NO_HTTP = /^HPE_/
/** The system's and undici's codes for a connection that broke; with a status if it did so within the answer. */
const BROKEN = /^(?:E[A-Z]+|UND_ERR_[A-Z_]+|ERR_STREAM_[A-Z_]+)$/
/** Errors that may come without a status: from a mocked client. */
const MISSING = /^(?:NoSuchKey|NotFound|NoSuchBucket)$/
const UNREACHABLE = 'the storage server cannot be reached or does not answer'
const NO_S3_SERVER = 'the answer is none of an S3 server: check the endpoint'

export function analyse(error: unknown): Failure {
  const retryAfter = readRetryAfter(error)
  const code =
    readText(error, 'Code') || readText(error, 'code') || (error instanceof Error ? error.name : '')
  const status = readNumber(error, '$metadata', 'httpStatusCode') ?? (MISSING.test(code) ? 404 : undefined)
  if (status === undefined) {
    // The SDK and undici fail with many names; all that is no answer is worth another attempt, but for a wrong set-up.
    const retry =
      error instanceof Problem || SETUP_CODES.test(code) || error instanceof TypeError ? 'no' : 'soon'
    return { status, code, retry, retryAfter, ambiguous: !(error instanceof Problem) }
  }
  // 520 to 530 are Cloudflare's own. A success that cannot be understood (HTML of some proxy) counts as no answer, as
  // does what broke off.
  const passing =
    status < 300 || status === 408 || (status >= 500 && status !== 501 && status !== 507) || BROKEN.test(code)
  const retry = status === 429 ? 'later' : (retryOf(code) ?? (passing ? 'soon' : 'no'))
  return { status, code, retry, retryAfter, ambiguous: passing }
}

/** When a retry may cure a failure of this code, if ever. */
export function retryOf(code: string): 'soon' | 'later' | undefined {
  return Object.hasOwn(RETRYABLE_CODES, code) ? RETRYABLE_CODES[code] : undefined
}

/** Milliseconds to wait before the next attempt: exponential, with full jitter, at least a second when throttled, and as the server asks. */
export function backoff(failure: Failure, attempt: number): number {
  const window = Math.min(100 * 2 ** (attempt - 1), 5_000)
  const own = failure.retry === 'later' ? 1_000 + Math.random() * (1_000 + window) : Math.random() * window
  return Math.max(own, Math.min(failure.retryAfter ?? 0, 20) * 1000)
}

const ELSEWHERE = 'the server sends the request elsewhere: check the region and the endpoint'
const INCOMPLETE = 'the request did not get through: try again later'
const NO_HEADER = 'a value cannot be sent as a header'

const REASONS: Readonly<Record<string, readonly [StorageErrorCode, string]>> = {
  InvalidBucketName: ['Misconfigured', 'the bucket has a name that the server refuses'],
  NoSuchUpload: ['Unavailable', 'the multipart upload was aborted by somebody else'],
  Unauthorized: [
    'PermissionDenied',
    'the server does not know the access key: check access key id and secret',
  ],
  InvalidAccessKeyId: [
    'PermissionDenied',
    'the server does not know the access key: check access key id and secret',
  ],
  SignatureDoesNotMatch: ['PermissionDenied', 'the signature was refused: check the secret access key'],
  RequestTimeTooSkewed: ['PermissionDenied', 'the clock of this machine is wrong, so signatures are refused'],
  ExpiredToken: ['PermissionDenied', 'the temporary credentials have expired'],
  ExpiredRequest: ['PermissionDenied', 'the signature has expired: check the clock of this machine'],
  AccessDenied: [
    'PermissionDenied',
    'the credentials do not permit this: check what the token may do, and on which bucket',
  ],
  NotEntitled: ['PermissionDenied', 'the account has no R2 subscription'],
  ObjectLockedByBucketPolicy: ['PermissionDenied', 'a bucket lock protects the file'],
  QuotaExceeded: ['Full', 'the quota of the bucket or the user is used up'],
  StorageFull: ['Full', 'the storage server is full'],
  XMinioStorageFull: ['Full', 'the storage server is full'],
  InsufficientCapacity: ['Full', 'the storage server is full'],
  EntityTooLarge: ['InvalidArgument', 'the content is larger than the server takes'],
  MetadataTooLarge: ['InvalidArgument', 'the metadata is larger than the server takes'],
  AuthorizationHeaderMalformed: ['Misconfigured', ELSEWHERE],
  PermanentRedirect: ['Misconfigured', ELSEWHERE],
  ERR_INVALID_CHAR: ['InvalidArgument', NO_HEADER],
  UND_ERR_INVALID_ARG: ['InvalidArgument', NO_HEADER],
  InvalidObjectName: ['InvalidName', 'the server refuses the name'],
  KeyTooLongError: ['InvalidName', 'the server refuses the name as too long'],
  ENOTFOUND: ['Unavailable', 'the host of the endpoint is not found: check the endpoint and the network'],
  ECONNREFUSED: [
    'Unavailable',
    'the endpoint refuses connections: check the endpoint, or wait until the server is up',
  ],
}

const STATUS_REASONS: Readonly<Record<number, readonly [StorageErrorCode, string]>> = {
  301: ['Misconfigured', ELSEWHERE],
  302: ['Misconfigured', ELSEWHERE],
  307: ['Misconfigured', ELSEWHERE],
  308: ['Misconfigured', ELSEWHERE],
  400: ['InvalidArgument', 'the server refuses the request'],
  401: ['PermissionDenied', 'the credentials were refused: check access key id and secret'],
  403: ['PermissionDenied', 'permission denied: check the credentials and what they permit'],
  404: ['NotFound', 'there is no such file'],
  408: ['Unavailable', INCOMPLETE],
  412: ['AlreadyExists', 'there is a file of this name'],
  413: ['InvalidArgument', 'the content is larger than the server takes'],
  416: ['RangeNotSatisfiable', 'the range starts past the end of the file'],
  429: ['Unavailable', 'too many requests: try again later'],
  501: ['Unsupported', 'the server does not support this'],
  507: ['Full', 'the storage server is full'],
}

export function classify(error: unknown, bucket: string): Problem {
  if (error instanceof Problem) return error
  const failure = analyse(error)
  scrub(error)
  const [code, reason] = meaningOf(failure, error, bucket)
  const detail = [failure.code, failure.status].filter(Boolean).join(' ')
  return new Problem(code, detail ? `${reason} (${detail})` : reason, { cause: error })
}

function meaningOf(
  { status, code }: Failure,
  error: unknown,
  bucket: string,
): readonly [StorageErrorCode, string] {
  if (code === 'NoSuchBucket') {
    const advice = 'check its name, and the endpoint (a jurisdiction has its own)'
    return ['NotFound', `the bucket ${JSON.stringify(bucket)} does not exist: ${advice}`]
  }
  const known = REASONS[code]
  if (known) return known
  if (status !== undefined && status >= 400 && status < 500 && status !== 429 && retryOf(code))
    return ['Unavailable', INCOMPLETE]
  if (BROKEN.test(code) && !SETUP_CODES.test(code)) return ['Unavailable', UNREACHABLE]
  const general = status === undefined ? undefined : STATUS_REASONS[status]
  if (general) return general
  if (SETUP_CODES.test(code)) {
    return ['Misconfigured', 'no secure connection to the endpoint: check its scheme and certificate']
  }
  if (NO_HTTP.test(code)) return ['Unavailable', NO_S3_SERVER]
  // Errors of our own making, such as a TypeError, are no news about the server.
  if (status === undefined && error instanceof TypeError) return ['Unknown', error.message]
  if (status === undefined) return ['Unavailable', UNREACHABLE]
  if (status < 300) return ['Unavailable', NO_S3_SERVER]
  if (status >= 500) return ['Unavailable', 'the storage server has a problem']
  return ['Unknown', 'the server refuses the request']
}

/** A success that lacks what every S3 server answers: some proxy's or captive portal's page. Worth another attempt. */
export class NoS3Answer extends Error {
  readonly $metadata = { httpStatusCode: 200 }

  constructor() {
    super('the answer is none of an S3 server')
  }
}

interface Output {
  readonly $metadata?: { readonly httpStatusCode?: number | undefined }
}

/** Whether a server gave an output: a mocked client's has no status, and may lack what every server's has. */
export function isAnswer({ $metadata }: Output): boolean {
  return $metadata?.httpStatusCode !== undefined
}

/** Passes an answer on if it has one of the fields at least, all of which no S3 server's lacks. */
export function expectAnswer<Answer extends Output>(answer: Answer, ...fields: (keyof Answer)[]): Answer {
  if (isAnswer(answer) && fields.every((field) => answer[field] === undefined)) throw new NoS3Answer()
  return answer
}

/** Passes an answer on if it has an ETag, which no server's answer about an object lacks. */
export function expectETag<Answer extends Output & { readonly ETag?: string | undefined }>(
  answer: Answer,
): Answer {
  return expectAnswer(answer, 'ETag')
}

/** The SDK hangs the raw response on its errors, undeletably: its body knows the request, and with it the signature. */
function scrub(error: unknown): void {
  const response: unknown = typeof error === 'object' && error !== null && Reflect.get(error, '$response')
  if (typeof response === 'object' && response !== null) Reflect.set(response, 'body', undefined)
}

function readText(value: unknown, key: string): string {
  const found = typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined
  return typeof found === 'string' ? found : ''
}

function readNumber(value: unknown, ...keys: readonly string[]): number | undefined {
  let found = value
  for (const key of keys)
    found = typeof found === 'object' && found !== null ? Reflect.get(found, key) : undefined
  return typeof found === 'number' ? found : undefined
}

function readRetryAfter(error: unknown): number | undefined {
  const seconds = Number.parseInt(readHeader(error, 'retry-after'), 10)
  return Number.isNaN(seconds) ? undefined : seconds
}

/** A header of the answer that an error is about, or `''`. */
export function readHeader(error: unknown, name: string): string {
  let headers: unknown = error
  for (const key of ['$response', 'headers']) {
    headers = typeof headers === 'object' && headers !== null ? Reflect.get(headers, key) : undefined
  }
  return readText(headers, name)
}
