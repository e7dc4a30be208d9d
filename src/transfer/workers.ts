import { allowManyListeners, either } from '../signals.js'
import { aborted } from './failures.js'
import type { Plan } from './plan.js'

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
  async run<T extends object>(
    batches: AsyncIterable<readonly T[]> | Iterable<readonly T[]>,
    work: (item: T) => Promise<void>,
  ): Promise<void> {
    const { operation, concurrency, signal } = this.#plan
    const queue = new Queue(batches)
    await Promise.all(Array.from({ length: concurrency }, () => this.#work(queue, work)))
    await queue.leave()
    if (signal?.aborted) throw aborted(operation, signal)
    if (this.signal.aborted) throw this.signal.reason
  }

  async #work<T extends object>(queue: Queue<T>, work: (item: T) => Promise<void>): Promise<void> {
    try {
      while (!this.signal.aborted) {
        const item = queue.take()
        if (item) await work(item)
        else if (!(await queue.fill())) return
      }
    } catch (error) {
      this.#stop.abort(error)
    }
  }
}

/** Items that come in batches, for many workers. */
class Queue<T extends object> {
  readonly #batches: AsyncIterator<readonly T[]> | Iterator<readonly T[]>
  #batch: readonly T[] = []
  #next = 0
  #filling: Promise<boolean> | undefined

  constructor(batches: AsyncIterable<readonly T[]> | Iterable<readonly T[]>) {
    this.#batches =
      Symbol.asyncIterator in batches ? batches[Symbol.asyncIterator]() : batches[Symbol.iterator]()
  }

  /** Undefined if the next batch has to be waited for: see {@link fill}. */
  take(): T | undefined {
    return this.#batch[this.#next++]
  }

  /** Waits for the next batch. False at the end. */
  fill(): Promise<boolean> {
    this.#filling ??= this.#fill()
    return this.#filling
  }

  async #fill(): Promise<boolean> {
    const { done, value } = await this.#batches.next()
    if (done) return false // For all who ask from now on.
    this.#batch = value
    this.#next = 0
    this.#filling = undefined
    return true
  }

  /** Ends the source of the batches. */
  async leave(): Promise<void> {
    await this.#batches.return?.()
  }
}
