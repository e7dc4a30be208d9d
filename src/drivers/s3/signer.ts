import { orAborted } from './bounds.js'
import type { S3Config } from './config.js'
import { defaultChain } from './credential-chain.js'
import { CredentialsKeeper } from './credentials.js'
import type { Failure } from './failures.js'
import type { S3Credentials } from './keys.js'
import { presignedQuery, type SignableRequest, type SignedHeaders, signHeaders } from './sigv4.js'

/** Codes of refused credentials that newer ones may cure. The refusal of a HEAD has no code. */
const STALE = /^(?:ExpiredToken|InvalidAccessKeyId|InvalidToken|TokenRefreshRequired)$/
/** Statuses of a request whose time is wrong. The refusal of a HEAD has no code that says so. */
const REFUSED: ReadonlySet<number | undefined> = new Set([400, 401, 403])
/** Milliseconds between two clocks from which on ours is corrected: as by the SDK; R2 and S3 accept 15 minutes. */
const MAX_SKEW = 5 * 60 * 1000
/** Milliseconds. A server's time this far away is a wrong header rather than a wrong clock. */
const CENTURY = 100 * 365 * 24 * 60 * 60 * 1000

/** Keys and time of one signed attempt. */
export interface Signature {
  readonly credentials: S3Credentials | undefined
  readonly clockOffset: number
}

/** Signs requests: it has the credentials, renewed as needed, and the server's clock. */
export class Signer {
  readonly #keeper: CredentialsKeeper
  readonly #renewable: boolean
  readonly #region: string
  /** Milliseconds that the server's clock is ahead of ours. */
  #clockOffset = 0

  constructor({ credentials, region, idleTimeout }: S3Config) {
    const fixed = typeof credentials === 'object' ? credentials : undefined
    const provider = typeof credentials === 'function' ? credentials : defaultChain(region)
    this.#keeper = new CredentialsKeeper(fixed ? async () => fixed : provider, idleTimeout)
    this.#renewable = fixed === undefined
    this.#region = region
  }

  /** A promise only where there is something to wait for. */
  credentials(signal: AbortSignal | undefined): S3Credentials | Promise<S3Credentials> {
    const found = this.#keeper.get()
    return found instanceof Promise ? orAborted(found, signal) : found
  }

  /** Milliseconds that the server's clock is ahead of ours. */
  get clockOffset(): number {
    return this.#clockOffset
  }

  /** The query and the headers of a request that is sent now. */
  signed(request: SignableRequest, credentials: S3Credentials): SignedHeaders {
    return signHeaders(request, this.#context(credentials, Date.now()))
  }

  /** The query of an address that is valid for `expiresIn` seconds from `signedAt`, by our clock. */
  presigned(request: SignableRequest, credentials: S3Credentials, signedAt: Date, expiresIn: number): string {
    return presignedQuery(request, this.#context(credentials, signedAt.getTime()), expiresIn)
  }

  #context(credentials: S3Credentials, time: number) {
    return { credentials, region: this.#region, time: time + this.#clockOffset }
  }

  /** Keys and time for an attempt that begins now. */
  current(): Signature {
    return { credentials: this.#keeper.current, clockOffset: this.#clockOffset }
  }

  /** Learns from a refusal of what an attempt was signed with. True: the next attempt has something better. */
  learn(failure: Failure, used: Signature): boolean {
    return this.#setClock(failure, used.clockOffset) || this.#renew(failure, used.credentials)
  }

  #setClock({ status, headers }: Failure, used: number): boolean {
    if (!REFUSED.has(status)) return false
    const ahead = Date.parse(headers.date ?? '') - Date.now()
    if (!(Math.abs(ahead - used) > MAX_SKEW && Math.abs(ahead) < CENTURY)) return false
    this.#clockOffset = ahead
    return true
  }

  #renew({ status, code }: Failure, used: S3Credentials | undefined): boolean {
    const refused = status === 401 || STALE.test(code) || (status === 400 && code === '')
    if (!refused || !this.#renewable) return false
    this.#keeper.drop(used)
    return true
  }
}
