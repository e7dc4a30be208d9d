import type { StorageError } from '../errors.js'
import { observedItems } from '../observed.js'
import { either } from '../signals.js'
import type { Storage } from '../storage.js'
import { aborted, refusedName, toFailure } from './failures.js'
import { join, type Pair } from './join.js'
import { type Plan, TRANSFER_OPTIONS, type TransferOptions, toPlan } from './plan.js'
import { Contents } from './same-content.js'

/** Options of {@link compare}. */
export interface CompareOptions extends TransferOptions {}

/** One name, and what the two sides have there. */
export interface Compared {
  /** The name in the source, or the name that a file of the target would have there. */
  readonly name: string
  /**
   * `'same'`: size and content are equal. `'differs'`: they are not. `'missing'`: only the source has it. `'extra'`:
   * only the target has it. `'error'`: the two could not be compared, or the naming rule refuses the name.
   */
  readonly status: 'same' | 'missing' | 'extra' | 'differs' | 'error'
  /** Why they could not be compared. Only with `'error'`. */
  readonly error?: StorageError
}

/**
 * Compares the files of two storages, name by name, in UTF-8 byte order. Lists both sides once; memory does not grow
 * with the number of files. Contents are equal if their sizes and MD5s are equal: see {@link migrate}. Headers and
 * metadata are not compared.
 *
 * @throws {StorageError} while it is read: `InvalidArgument` for options, `Aborted`, `Corrupt` for a listing that is not
 * in order, or the error of a listing.
 * @throws {InvalidNameError} for a prefix that breaks the naming rule.
 * @example
 * for await (const { name, status } of compare(disk, bucket)) if (status !== 'same') console.log(status, name)
 */
export function compare(
  source: Storage,
  target: Storage,
  options: CompareOptions = {},
): AsyncIterable<Compared> {
  return observedItems('compare', target, options?.targetPrefix, comparing(source, target, options))
}

async function* comparing(
  source: Storage,
  target: Storage,
  options: CompareOptions,
): AsyncGenerator<Compared, void, undefined> {
  const plan = toPlan('compare', source, target, options, TRANSFER_OPTIONS)
  const stop = new AbortController()
  const signal = either(plan.signal, stop.signal)
  const comparison = new Comparison(plan, signal)
  try {
    for await (const compared of comparison.run()) yield compared
  } catch (error) {
    throw plan.signal?.aborted ? aborted('compare', plan.signal) : error
  } finally {
    stop.abort() // The reader may leave while files are compared.
  }
}

/** A listing may show what only holds a name for an unfinished save. It is smaller than this. */
const PLACEHOLDER_BYTES = 64

class Comparison {
  readonly #plan: Plan
  readonly #signal: AbortSignal
  readonly #contents: Contents

  constructor(plan: Plan, signal: AbortSignal) {
    this.#plan = plan
    this.#signal = signal
    this.#contents = new Contents(plan, signal)
  }

  /** Judges `concurrency` files at a time, and gives them in their order. */
  async *run(): AsyncIterable<Compared> {
    const refused: Compared[] = []
    const running: Promise<Compared | undefined>[] = []
    const pairs = join(this.#plan, {
      strict: true,
      signal: this.#signal,
      onInvalidName: (name, place) => {
        refused.push({ name, status: 'error', error: refusedName('compare', name, place) })
      },
    })
    const next = async (): Promise<Compared[]> => {
      const compared = await running.shift()
      this.#signal.throwIfAborted()
      return compared ? [compared] : []
    }
    for await (const batch of pairs) {
      yield* refused.splice(0)
      for (const pair of batch) {
        running.push(this.#judge(pair))
        if (running.length >= this.#plan.concurrency) yield* await next()
      }
    }
    while (running.length > 0) yield* await next()
    yield* refused
  }

  /** Undefined if neither side has the file any more. Never rejects: nobody may be waiting yet. */
  async #judge({ name, targetName, ours, theirs }: Pair): Promise<Compared | undefined> {
    try {
      if (theirs === undefined) return { name, status: 'missing' }
      if (ours && (await this.#contents.areSame(ours, theirs, 'etags'))) return { name, status: 'same' }
      const isThere =
        theirs.size > PLACEHOLDER_BYTES ||
        (await this.#plan.target.exists(targetName, { signal: this.#signal }))
      if (isThere) return { name, status: ours ? 'differs' : 'extra' }
      return ours && { name, status: 'missing' }
    } catch (error) {
      return { name, status: 'error', error: toFailure('compare', error, name) }
    }
  }
}
