import { nextTurn } from '../../timers.js'

/** Milliseconds of a call above which its data was not in memory. */
const SLOW = 0.5
/** Calls that go through the thread pool after a slow one. Doubled while calls stay slow. */
const [LEAST_DETOUR, LONGEST_DETOUR] = [4, 256]
/** Milliseconds of synchronous work after which the event loop gets its turn. */
const TURN = 4

/**
 * Chooses between synchronous calls and the thread pool. A synchronous call costs a fraction, where the kernel answers
 * from memory. Where a disk has to be waited for, the thread pool waits for several files at a time, and the process
 * goes on.
 */
export class Pace {
  #detour = 0
  #nextDetour = LEAST_DETOUR
  /** When the synchronous work of this turn of the event loop began, and until when it went on. */
  #begun = 0
  #last = 0
  /** Ends with this turn. */
  #turn: Promise<void> | undefined

  /** Whether the event loop has to get its turn: see {@link rest}. */
  get isTired(): boolean {
    return this.#last - this.#begun > TURN
  }

  /** Gives the event loop its turn. */
  async rest(): Promise<void> {
    while (this.isTired) await this.#turn
  }

  /** Whether the next call is to be synchronous, which {@link time} makes. Otherwise it goes through the thread pool. */
  isFast(): boolean {
    if (this.#detour === 0) return true
    this.#detour--
    return false
  }

  /** Makes a synchronous call, and learns from the time it takes. */
  time<T>(call: () => T): T {
    const start = performance.now()
    if (this.#turn === undefined) this.#begin(start)
    const result = call()
    this.#last = performance.now()
    if (this.#last - start > SLOW) this.#slow()
    else this.#nextDetour = LEAST_DETOUR
    return result
  }

  #begin(start: number): void {
    this.#begun = start
    this.#turn = nextTurn().then(() => {
      this.#turn = undefined
      this.#begun = this.#last
    })
  }

  #slow(): void {
    this.#detour = this.#nextDetour
    this.#nextDetour = Math.min(2 * this.#nextDetour, LONGEST_DETOUR)
  }
}
