import { inContext } from '../errors.js'
import { toOptionalFolder } from '../names.js'
import { ABORT_OPTIONS, checkOptions, type OptionNames, toSignal } from '../options.js'
import type { Storage } from '../storage.js'
import type { AbortOptions } from '../types.js'
import { aborted, invalid, type Operation } from './failures.js'
import { checkPlaces, checkStorages, type Sides } from './places.js'

/** Options that `migrate`, `mirror` and `compare` have in common. */
export interface TransferOptions extends AbortOptions {
  /** The folder of the source. Default: all files. */
  prefix?: string | undefined
  /** The folder of the target. A file's name in it is its name relative to `prefix`. Default: the root. */
  targetPrefix?: string | undefined
  /** Files that are worked on at a time, 1 to 1,000. Default 16. */
  concurrency?: number | undefined
  /**
   * Compare files that both sides have by reading both, never by ETag. A copy is read back, and its size and MD5 are
   * compared with the sent bytes. Default false.
   */
  verify?: boolean | undefined
}

/** The common options, checked and resolved. */
export interface Plan extends Sides {
  readonly operation: Operation
  readonly concurrency: number
  readonly verify: boolean
  readonly signal: AbortSignal | undefined
}

/** Each running copy takes a descriptor or a connection at both ends. */
const MAX_CONCURRENCY = 1000

export const TRANSFER_OPTIONS: OptionNames<TransferOptions> = {
  ...ABORT_OPTIONS,
  prefix: true,
  targetPrefix: true,
  concurrency: true,
  verify: true,
}

/** Checks the storages and the options. `flags`: further options that are true or false. */
export function toPlan(
  operation: Operation,
  source: Storage,
  target: Storage,
  options: TransferOptions,
  known: object,
  flags: Readonly<Record<string, unknown>> = {},
): Plan {
  return inContext({ operation }, () => {
    const signal = toSignal(options)
    checkOptions(options, known)
    const { concurrency = 16, verify = false } = options
    if (!Number.isSafeInteger(concurrency) || concurrency < 1 || concurrency > MAX_CONCURRENCY) {
      throw invalid(operation, `concurrency must be a whole number from 1 to ${MAX_CONCURRENCY}`)
    }
    // The text 'false' of a configuration file must not count as true.
    for (const [option, value] of Object.entries({ verify, ...flags })) {
      if (typeof value !== 'boolean') throw invalid(operation, `${option} must be true or false`)
    }
    const from = toOptionalFolder(options.prefix)
    const to = toOptionalFolder(options.targetPrefix)
    checkStorages(operation, source, target)
    if (signal?.aborted) throw aborted(operation, signal)
    const plan = { operation, source, target, from, to, concurrency, verify, signal }
    checkPlaces(operation, plan)
    return plan
  })
}

/** Checks `onProgress`. */
export function checkOnProgress(operation: Operation, onProgress: unknown): void {
  if (onProgress !== undefined && typeof onProgress !== 'function') {
    throw invalid(operation, 'onProgress must be a function')
  }
}
