import type { Failure } from './failures.js'

/** How often and how long one request is tried. Queueing and upload time do not count against `retryTimeout`. */
export class RetryBudget {
  readonly #maxAttempts: number
  #attempt = 1
  #begun = Date.now()
  #giveUpAt: number
  /** Milliseconds of this attempt that do not count. */
  #excused = 0
  /** Milliseconds that a server may take for a copy or a completion. */
  readonly #longest: number
  /** Milliseconds left for the attempts to come. */
  #slow: number
  #isSlow = false

  constructor({
    maxAttempts,
    retryTimeout,
  }: { readonly maxAttempts: number; readonly retryTimeout: number }) {
    this.#maxAttempts = maxAttempts
    this.#giveUpAt = this.#begun + retryTimeout
    this.#longest = retryTimeout * 10
    this.#slow = this.#longest
  }

  /** Time of this attempt that does not count. */
  excuse(milliseconds: number): void {
    this.#excused += milliseconds
  }

  /**
   * The attempt copies or completes: it spends of a budget of its own. Returns the milliseconds that its answer may take:
   * what is left of the budget, and `usual` where an attempt before has spent it.
   */
  beginSlow(usual: number): number {
    this.#isSlow = true
    this.#excused += this.#slow
    return Math.max(this.#slow, Math.min(usual, this.#longest))
  }

  /** Milliseconds to wait before the next attempt; undefined: there is none. `cured`: what was refused is better now. */
  next(failure: Failure, cured: boolean): number | undefined {
    const now = Date.now()
    const spent = Math.min(now - this.#begun, this.#excused)
    this.#giveUpAt += spent
    if (this.#isSlow) this.#slow = Math.max(0, this.#slow - spent)
    const wait = backoff(failure, this.#attempt)
    if ((failure.retry === 'no' && !cured) || this.#attempt >= this.#maxAttempts) return undefined
    return now + wait > this.#giveUpAt ? undefined : wait
  }

  /** Begins the next attempt. */
  begin(): void {
    this.#attempt += 1
    this.#begun = Date.now()
    this.#excused = 0
    this.#isSlow = false
  }
}

/** Milliseconds before the next attempt: exponential, with full jitter, at least a second when throttled, and as the server asks. */
function backoff({ retry, headers }: Failure, attempt: number): number {
  const window = Math.min(100 * 2 ** (attempt - 1), 5_000)
  const own = retry === 'later' ? 1_000 + Math.random() * (1_000 + window) : Math.random() * window
  const seconds = Number.parseInt(headers['retry-after'] ?? '', 10)
  return Number.isNaN(seconds) ? own : Math.max(own, Math.min(seconds, 20) * 1000)
}
