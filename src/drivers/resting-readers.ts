import { Problem } from '../errors.js'
import { clearTimeout, setTimeout } from '../timers.js'

/** A reader that holds a connection or a descriptor. */
export interface Reader {
  /** When it began to rest, by `performance.now()`: opened and not read, or full for now. Undefined while it reads. */
  readonly restingSince: number | undefined
  /** Gives it back; the reader gets another when it goes on. MUST answer false if it holds none any more. */
  release(): boolean
}

/** Milliseconds after which a reader that rests gives back what it holds. */
export const REST_TIMEOUT = 30_000
/**
 * Milliseconds that a reader keeps what it holds although others wait: a file that was just opened is about to be read,
 * and the pauses of a reader that is merely slower than the source are shorter.
 */
const GRACE = 100

/**
 * The readers that hold something. Nobody knows whether one that rests will ever go on, so what it holds goes back after
 * a while, and earlier where it is scarce: the reader that has rested longest is the first.
 */
export class RestingReaders {
  readonly #timeout: number
  readonly #limit: number
  readonly #readers = new Set<Reader>()
  /** One for each that waits, in their order. */
  readonly #claims: object[] = []
  #timer: NodeJS.Timeout | undefined
  /** Whether the timer is of the short period. */
  #hurries = false

  /** `timeout`: milliseconds that a reader may rest. `limit`: readers that may rest at a time and keep what they hold. */
  constructor(timeout: number, limit: number) {
    this.#timeout = timeout
    this.#limit = limit
  }

  /** A reader has got what it holds. */
  add(reader: Reader): void {
    this.#readers.add(reader)
    this.#plan()
  }

  /** A reader has ended. */
  delete(reader: Reader): void {
    this.#readers.delete(reader)
  }

  /** Somebody waits for what readers hold: one of them gives it up. The answer takes the claim back. */
  claim(): () => void {
    const claim = {}
    this.#claims.push(claim)
    this.#look()
    return () => {
      const index = this.#claims.indexOf(claim)
      if (index !== -1) this.#claims.splice(index, 1)
    }
  }

  #look(): void {
    const now = performance.now()
    const resting: { readonly reader: Reader; readonly since: number }[] = []
    for (const reader of this.#readers) {
      const since = reader.restingSince
      if (since !== undefined && now >= since + Math.min(GRACE, this.#timeout))
        resting.push({ reader, since })
    }
    resting.sort((a, b) => a.since - b.since)
    let left = resting.length
    for (const { reader, since } of resting) {
      const claimed = this.#claims.length > 0
      if (!claimed && left <= this.#limit && now < since + this.#timeout) break
      left -= 1
      this.#readers.delete(reader)
      // Before the release: it may serve the one that waits, which takes its claim back.
      const claim = this.#claims.shift()
      if (!reader.release() && claim) this.#claims.unshift(claim)
    }
    this.#plan()
  }

  /** Looks again before long, for as long as there are readers. */
  #plan(): void {
    if (this.#readers.size === 0) return
    const hurries = this.#claims.length > 0 || this.#readers.size > this.#limit
    if (this.#timer !== undefined && (this.#hurries || !hurries)) return
    clearTimeout(this.#timer)
    this.#hurries = hurries
    const period = hurries ? GRACE / 2 : this.#timeout / 6
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#look()
    }, period).unref()
  }
}

/** The error of a reader that goes on when its version of the file is gone. */
export function replacedMeanwhile(cause: unknown): Problem {
  const reason = 'the file was replaced or deleted while it was read; open it again'
  return new Problem('Unavailable', reason, { cause })
}
