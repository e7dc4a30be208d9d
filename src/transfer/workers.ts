import { allowManyListeners, either } from '../signals.js'
import { aborted } from './failures.js'
import type { Plan } from './plan.js'

/** What is worked on, one after the other. */
interface Items<T> {
  next(): Promise<IteratorResult<T, unknown>> | IteratorResult<T, unknown>
  return?(): unknown
}

/** Works on many things at a time, until one of them meets an error that is not about a single file. */
export class Workers {
  /** Ends all work: aborted by the caller, or by an error. */
  readonly signal: AbortSignal
  readonly #plan: Plan
  readonly #stop = new AbortController()

  constructor(plan: Plan) {
    this.#plan = plan
    this.signal = either(plan.signal, this.#stop.signal)
    allowManyListeners(this.signal) // Every running copy adds one.
  }

  /** Calls `work` for each item, `concurrency` at a time. Rejects only after all work has ended. */
  async run<T>(items: Items<T>, work: (item: T) => Promise<void>): Promise<void> {
    const { operation, concurrency, signal } = this.#plan
    await Promise.all(Array.from({ length: concurrency }, () => this.#work(items, work)))
    if (signal?.aborted) throw aborted(operation, signal)
    if (this.signal.aborted) throw this.signal.reason
  }

  async #work<T>(items: Items<T>, work: (item: T) => Promise<void>): Promise<void> {
    try {
      while (!this.signal.aborted) {
        const next = await items.next()
        if (next.done) return
        await work(next.value)
      }
      await items.return?.()
    } catch (error) {
      this.#stop.abort(error)
    }
  }
}
