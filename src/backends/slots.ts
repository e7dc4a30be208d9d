import { Problem } from '../errors.js'

/** Lets so many through at a time. The others wait in order. */
export class Slots {
  readonly #maxWait: number | undefined
  readonly #waiting = new Set<() => void>()
  #free: number

  /** `maxWait`: milliseconds, where those who are through may stay for ever. */
  constructor(size: number, maxWait?: number) {
    this.#free = size
    this.#maxWait = maxWait
  }

  /** A promise only where there is something to wait for. */
  take(signal: AbortSignal | undefined): Promise<void> | undefined {
    if (this.#free === 0) return this.#wait(signal)
    this.#free -= 1
    return undefined
  }

  give(): void {
    const [next] = this.#waiting
    if (next) next()
    else this.#free += 1
  }

  #wait(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waiting.delete(enter)
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
      const giveUp = () => {
        leave()
        reject(new Problem('Unavailable', 'all connections were in use for too long: try again later'))
      }
      const timer = this.#maxWait === undefined ? undefined : setTimeout(giveUp, this.#maxWait)
      this.#waiting.add(enter)
      signal?.addEventListener('abort', onAbort)
      if (signal?.aborted) onAbort()
    })
  }
}
