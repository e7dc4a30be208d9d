import { countAttempt } from '../../telemetry.js'
import { sleep } from '../../timers.js'
import { REST_TIMEOUT, RestingReaders } from '../resting-readers.js'
import { Semaphore } from '../semaphore.js'
import { type S3Config, uploadTime } from './config.js'
import { analyse } from './failures.js'
import type { Call, Load, ObjectApi, Turn } from './object-api.js'
import { RetryBudget } from './retry-budget.js'
import { S3Error } from './s3-error.js'
import type { Signature, Signer } from './signer.js'

/** Readers that may rest on the connections of a caller's own client: the SDK has 50 of them by default. */
const MAX_RESTING_ON_CLIENT = 24

/** The object API with the one layer of retries above it. */
export class S3Connection {
  readonly api: ObjectApi
  readonly config: S3Config
  /** Readers that hold connections and rest. */
  readonly readers: RestingReaders
  /** Whether the server has taken a DeleteObjects. */
  deletesTogether = false
  readonly #signer: Signer
  readonly #turns: Semaphore

  constructor(api: ObjectApi, signer: Signer, config: S3Config) {
    this.api = api
    this.config = config
    this.#signer = signer
    const limit = config.client ? MAX_RESTING_ON_CLIENT : Number.POSITIVE_INFINITY
    this.readers = new RestingReaders(Math.min(REST_TIMEOUT, config.idleTimeout), limit)
    this.#turns = new Semaphore(config.maxConnections, config.retryTimeout, this.readers)
  }

  /**
   * Does a request, again and again where its failure may pass. `work` MUST send something that can be sent again, and
   * hand its `call` to every verb.
   */
  async run<T>(signal: AbortSignal | undefined, work: (call: Call) => Promise<T>): Promise<T> {
    // A client of the caller has its own connections, time-outs and retries.
    if (this.config.client) return work(new UnboundedCall(signal))
    const budget = new RetryBudget(this.config)
    const call = new BoundedCall(signal, budget, this.#turns, this.config)
    let cured = false
    for (;;) {
      const used = this.#signer.current()
      try {
        return await work(call)
      } catch (error) {
        if (signal?.aborted) throw signal.reason
        const cures: boolean = !cured && this.#learn(error, used)
        cured ||= cures
        const wait = budget.next(analyse(error), cures)
        if (wait === undefined) throw error
        await sleep(wait, undefined, signal ? { signal } : {})
        budget.begin()
      }
    }
  }

  #learn(error: unknown, used: Signature): boolean {
    return error instanceof S3Error && this.#signer.learn(analyse(error), used)
  }

  /** The same for cleaning up after a failure or an abort: bounded, and it never fails. */
  async attemptQuietly(work: (call: Call) => Promise<unknown>): Promise<void> {
    await this.run(AbortSignal.timeout(this.config.idleTimeout), work).catch(() => {})
  }
}

/** Passes everything on. */
class UnboundedCall implements Call {
  readonly signal: AbortSignal | undefined

  constructor(signal: AbortSignal | undefined) {
    this.signal = signal
  }

  take<T>(_: Load, send: (turn: Turn) => Promise<T>): Promise<T> {
    countAttempt()
    return send(UNBOUNDED)
  }
}

const UNBOUNDED: Turn = { timeout: undefined, hold: () => () => {} }

/** The attempts of one request: each waits for its turn, and has a deadline in it. */
class BoundedCall implements Call {
  readonly signal: AbortSignal | undefined
  readonly #budget: RetryBudget
  readonly #turns: Semaphore
  readonly #config: S3Config

  constructor(signal: AbortSignal | undefined, budget: RetryBudget, turns: Semaphore, config: S3Config) {
    this.signal = signal
    this.#budget = budget
    this.#turns = turns
    this.#config = config
  }

  async take<T>({ bytes, slow }: Load, send: (turn: Turn) => Promise<T>): Promise<T> {
    const { connectTimeout, idleTimeout } = this.#config
    const waiting = this.#turns.take(this.signal)
    if (waiting) {
      const begun = Date.now()
      await waiting
      this.#budget.excuse(Date.now() - begun)
    }
    const uploading = uploadTime(bytes)
    const usual = connectTimeout + idleTimeout + uploading
    const timeout = slow ? this.#budget.beginSlow(usual) : usual
    if (!slow) this.#budget.excuse(uploading)
    this.#turns.expect(uploading)
    const turn = new BoundedTurn(timeout, () => this.#turns.give())
    countAttempt()
    try {
      const output = await send(turn)
      this.#turns.progress()
      return output
    } catch (error) {
      if (error instanceof S3Error && error.status !== undefined) this.#turns.progress()
      throw error
    } finally {
      turn.end()
    }
  }
}

class BoundedTurn implements Turn {
  readonly timeout: number
  readonly #give: () => void
  #held = false

  constructor(timeout: number, give: () => void) {
    this.timeout = timeout
    this.#give = give
  }

  hold(): () => void {
    this.#held = true
    return this.#give
  }

  /** `send` has ended. */
  end(): void {
    if (!this.#held) this.#give()
  }
}
