/** Bounds the memory of files on their way. A file that is larger than the whole budget goes alone. */
export class ByteBudget {
  readonly #limit: number
  readonly #waiting: { readonly bytes: number; readonly go: () => void }[] = []
  #taken = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  /** Waits until there is room for `bytes`. Call the answer when they are free again. */
  async take(bytes: number): Promise<() => void> {
    const share = Math.min(bytes, this.#limit)
    if (this.#waiting.length > 0 || this.#taken + share > this.#limit) {
      await new Promise<void>((go) => this.#waiting.push({ bytes: share, go }))
    } else {
      this.#taken += share
    }
    return () => this.#give(share)
  }

  #give(bytes: number): void {
    this.#taken -= bytes
    for (;;) {
      const next = this.#waiting[0]
      if (next === undefined || this.#taken + next.bytes > this.#limit) return
      this.#waiting.shift()
      this.#taken += next.bytes
      next.go()
    }
  }
}
