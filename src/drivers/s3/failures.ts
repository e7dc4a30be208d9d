import { isProblem } from '../../errors.js'
import { isNotLoaded } from '../../load.js'
import { PAGE, S3Error } from './s3-error.js'

/** The cause of a failed request, as far as the error says. */
export interface Failure {
  /** HTTP status; undefined where there was no answer. */
  readonly status: number | undefined
  /** S3's error code, or the system's. `''` if there is none. */
  readonly code: string
  /** The headers of the answer. */
  readonly headers: Readonly<Record<string, string>>
  /** How often it was sent, by a client with retries of its own. */
  readonly attempts: number
  /** Whether another attempt may succeed: at once or so, or not within a second. */
  readonly retry: 'no' | 'soon' | 'later'
  /** Whether the server may have done the work. */
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
  RequestTimeTooSkewed: 'soon', // The answer corrects the clock.
  RequestTimeout: 'soon',
  ServiceUnavailable: 'soon',
  SlowDown: 'later',
  TooManyRequests: 'later',
  TooMuchConcurrency: 'later',
}

/** Codes of TLS, of a wrong protocol, and of a request that cannot be sent: no retry helps. */
const SETUP =
  /^(?:CERT_|ERR_TLS|ERR_SSL|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|EPROTO|ERR_INVALID_|UND_ERR_INVALID_ARG|PROXY_UNAUTHORIZED)/

/** Whether a system code says that the set-up is wrong. */
export function isSetUpCode(code: string): boolean {
  return SETUP.test(code)
}

/** Reads an error of an attempt. */
export function analyse(error: unknown): Failure {
  if (!(error instanceof S3Error)) return { ...FINAL, ambiguous: !isProblem(error) }
  const { status, code, headers, attempts } = error
  if (status === undefined) {
    const retry = isSetUpCode(code) || isNotLoaded(error.cause) ? 'no' : 'soon'
    return { status, code, headers, attempts, retry, ambiguous: true }
  }
  // A success that cannot be understood (the HTML of some proxy) counts as no answer. 520 to 530 are Cloudflare's own.
  const passing = status < 300 || status === 408 || (status >= 500 && status !== 501 && status !== 507)
  const retry = status === 429 ? 'later' : (retryOf(code) ?? (passing ? 'soon' : 'no'))
  return { status, code, headers, attempts, retry, ambiguous: passing }
}

/** Whether an S3 server says that there is no such object or upload. */
export function isMissing(error: unknown): boolean {
  const { status, code } = analyse(error)
  return status === 404 && code !== 'NoSuchBucket' && code !== PAGE
}

/** An error of our own making, or of the caller's. */
const FINAL = { status: undefined, code: '', headers: {}, attempts: 1, retry: 'no' } as const

/** When a retry may cure a failure of this code, if ever. */
export function retryOf(code: string): 'soon' | 'later' | undefined {
  return Object.hasOwn(RETRYABLE_CODES, code) ? RETRYABLE_CODES[code] : undefined
}
