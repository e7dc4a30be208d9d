/** Lets so many pieces of work run side by side; the others wait for their turn, in order. */
export class Turns {
  readonly #waiting = new Set<() => void>()
  #free: number

  constructor(count: number) {
    this.#free = count
  }

  async take<T>(work: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    if (this.#free > 0) this.#free -= 1
    else await this.#turn(signal)
    try {
      return await work()
    } finally {
      const [next] = this.#waiting
      if (next) next()
      else this.#free += 1
    }
  }

  #turn(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const stop = () => {
        this.#waiting.delete(go)
        signal?.removeEventListener('abort', leave)
      }
      const go = () => {
        stop()
        resolve()
      }
      const leave = () => {
        stop()
        reject(signal?.reason)
      }
      signal?.addEventListener('abort', leave)
      this.#waiting.add(go)
    })
  }
}
