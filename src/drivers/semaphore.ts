import { Problem } from '../errors.js'
import { clearTimeout, setTimeout } from '../timers.js'
import type { RestingReaders } from './resting-readers.js'

/** Lets a fixed number through at a time. The others wait in order. */
export class Semaphore {
  readonly #patience: number | undefined
  readonly #readers: RestingReaders | undefined
  readonly #waiting = new Set<() => void>()
  #free: number
  #progress = 0

  /**
   * `patience`: milliseconds without any progress after which waiting fails. `readers`: those among which some hold a
   * turn while they rest.
   */
  constructor(size: number, patience?: number, readers?: RestingReaders) {
    this.#free = size
    this.#patience = patience
    this.#readers = readers
  }

  /** A promise only where there is something to wait for. */
  take(signal: AbortSignal | undefined): Promise<void> | undefined {
    if (this.#free === 0) return this.#wait(signal)
    this.#free -= 1
    return undefined
  }

  /** Somebody made progress, so it is worth waiting on. */
  progress(): void {
    this.#progress = Math.max(this.#progress, Date.now())
  }

  /** Somebody may need this many milliseconds; the others are patient until then. */
  expect(duration: number): void {
    this.#progress = Math.max(this.#progress, Date.now() + duration - (this.#patience ?? 0))
  }

  give(): void {
    const [next] = this.#waiting
    if (next) next()
    else this.#free += 1
  }

  #wait(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      // A claim may be met at once, so `enter` runs before this is set.
      let withdraw: (() => void) | undefined
      const leave = () => {
        this.#waiting.delete(enter)
        withdraw?.()
        clearTimeout(timer)
        signal?.removeEventListener('abort', onAbort)
      }
      const enter = () => {
        leave()
        resolve()
      }
      const onAbort = () => {
        leave()
        reject(signal?.reason)
      }
      const begun = Date.now()
      const patience = this.#patience
      const look = () => {
        const left = patience === undefined ? 0 : Math.max(begun, this.#progress) + patience - Date.now()
        if (left > 0) {
          timer = setTimeout(look, left)
          return
        }
        leave()
        reject(
          new Problem(
            'Unavailable',
            'the server answers none of the requests before this one: try again later',
          ),
        )
      }
      let timer = patience === undefined ? undefined : setTimeout(look, patience)
      this.#waiting.add(enter)
      withdraw = this.#readers?.claim()
      signal?.addEventListener('abort', onAbort)
      if (signal?.aborted) onAbort()
    })
  }
}
