import { readText } from '../../error-fields.js'
import { isProblem, isStorageError, Problem } from '../../errors.js'
import { within } from './bounds.js'
import { type S3Credentials, toCredentials } from './keys.js'

/** Milliseconds before their end at which credentials are fetched again; a third of their life where that is less. */
const MARGIN = 5 * 60 * 1000
/** Milliseconds until a provider that failed is asked again, while its earlier credentials are still valid. */
const PAUSE = 1000

/** Keeps a provider's credentials until shortly before they end, and asks it once for all who wait. */
export class CredentialsKeeper {
  readonly #provider: () => Promise<S3Credentials>
  /** Milliseconds that the provider may take. */
  readonly #timeout: number
  #current: S3Credentials | undefined
  #pending: Promise<S3Credentials> | undefined
  #askAgainAt = 0

  constructor(provider: () => Promise<S3Credentials>, timeout: number) {
    this.#provider = provider
    this.#timeout = timeout
  }

  get current(): S3Credentials | undefined {
    return this.#current
  }

  /** A promise only where there is something to wait for. */
  get(): S3Credentials | Promise<S3Credentials> {
    const current = this.#current
    if (current && Date.now() < this.#askAgainAt) return current
    if (this.#pending === undefined) {
      this.#pending = this.#ask()
      this.#pending.catch(() => {}) // Nobody may wait for it.
    }
    return current && Date.now() < endOf(current) ? current : this.#pending
  }

  /** Forgets credentials that were refused, or the first ones, unless there are others already. */
  drop(refused: S3Credentials | undefined): void {
    if (refused === undefined || this.#current === refused) this.#current = undefined
  }

  async #ask(): Promise<S3Credentials> {
    const begun = Date.now()
    try {
      // A copy of their own, since a provider may renew the object that it gave.
      const given = toCredentials(await within(this.#timeout, this.#provider()))
      this.#current = given
      this.#askAgainAt = endOf(given) - Math.min(MARGIN, (endOf(given) - begun) / 3)
      return given
    } catch (error) {
      this.#askAgainAt = Math.min(endOf(this.#current), Date.now() + PAUSE)
      throw toProblem(error)
    } finally {
      this.#pending = undefined
    }
  }
}

function endOf(credentials: S3Credentials | undefined): number {
  return credentials?.expiration?.getTime() ?? Number.POSITIVE_INFINITY
}

function toProblem(error: unknown): Problem {
  if (isProblem(error)) return error
  if (isStorageError(error)) return new Problem(error.code, error.message, { cause: error.cause })
  const reason = readText(error, 'message') ?? String(error)
  return new Problem('Unavailable', `the provider of the credentials failed: ${reason}`, { cause: error })
}
