import { Problem } from '../../errors.js'

/** Lets so many requests through at a time. The others wait in order, before the clock of their attempt starts. */
export class Slots {
  readonly #maxWait: number
  readonly #waiting = new Set<() => void>()
  #free: number

  /** `maxWait`: milliseconds, so that nothing waits for ever. */
  constructor(size: number, maxWait: number) {
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
      const timer = setTimeout(() => {
        leave()
        reject(new Problem('Unavailable', 'all connections were in use for too long: try again later'))
      }, this.#maxWait)
      this.#waiting.add(enter)
      signal?.addEventListener('abort', onAbort)
      if (signal?.aborted) onAbort()
    })
  }
}
