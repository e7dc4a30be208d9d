import { isStorageError, Problem, type StorageError } from '../errors.js'
import { type ExpiryRule, toExpiryRules } from '../expiry-rules.js'
import { toFolder } from '../names.js'
import { ABORT_OPTIONS } from '../options.js'
import type { Storage } from '../storage.js'
import type { AbortOptions, ListedFile } from '../types.js'
import { BATCH, DAY, type Operation, run } from './run.js'

/** Options of {@link expire}. */
export interface ExpireOptions extends AbortOptions {
  /** Count what would be deleted and delete nothing. Default false. */
  dryRun?: boolean | undefined
  /** The time that ages are measured at. Default: now. */
  now?: Date | undefined
}

/** The result of one rule. */
export interface ExpiredRule extends ExpiryRule {
  /** Files that it deleted. With `dryRun`: files that it would delete. */
  deleted: number
  /** Bytes of these files. */
  bytes: number
}

/** One file that could not be deleted. */
export interface ExpireFailure {
  /** Its name. */
  readonly name: string
  /** Why it could not be deleted. */
  readonly error: StorageError
}

/** The result of {@link expire}. */
export interface ExpireResult {
  /** Files deleted by all rules. With `dryRun`: files that would be deleted. */
  deleted: number
  /** Bytes of these files. */
  bytes: number
  /** By rule, in the order given. A file counts for the rule with the fewest days among those of its folders. */
  rules: ExpiredRule[]
  /** Expired files that could not be deleted. They do not stop the others. */
  failed: ExpireFailure[]
  /** Files that no rule was applied to, because their names break the naming rule: other programs put them there. */
  invalidNames: number
}

/** Milliseconds that an expired file may wait for others before it is deleted: it may be replaced meanwhile. */
const LONGEST_WAIT = 10_000

const EXPIRE: Operation<ExpireOptions> = {
  name: 'expire',
  known: { ...ABORT_OPTIONS, dryRun: true, now: true },
}

/**
 * Deletes the files whose last write is `days` × 86,400 seconds ago or more. For a nightly job, on every backend. On R2
 * and S3 the bucket can do it by itself: see `S3Storage#setLifecycle`.
 *
 * All rules are checked before anything is deleted. Rules may overlap: the one with the fewest days counts, as on S3.
 * Each folder is listed once, and files are deleted by the thousand. A file that is replaced between its listing and its
 * deletion, at most some seconds later, is deleted all the same.
 *
 * @throws {StorageError} `InvalidArgument` for a rule or an option, `Aborted`, the error of the listing, or the error of
 * a deletion that concerns all files, such as `PermissionDenied`. What was deleted until then stays deleted; run it again.
 * @throws {InvalidNameError} for a prefix that is empty or breaks the naming rule.
 * @example const { deleted } = await expire(defaultStorage, defaultExpiry)
 */
export async function expire(
  storage: Storage,
  rules: readonly ExpiryRule[],
  options: ExpireOptions = {},
): Promise<ExpireResult> {
  return run(EXPIRE, storage, options, async (signal) => {
    const checked = toExpiryRules(rules)
    const { dryRun = false, now = new Date() } = options
    if (typeof dryRun !== 'boolean') throw new Problem('InvalidArgument', 'dryRun must be true or false')
    return new Expiry(storage, checked, toTime(now), dryRun, signal).run()
  })
}

function toTime(now: Date): number {
  const time = typeof now?.getTime === 'function' ? now.getTime() : Number.NaN
  if (Number.isNaN(time)) throw new Problem('InvalidArgument', 'now must be a Date')
  return time
}

interface Expired {
  readonly file: ListedFile
  readonly rule: ExpiredRule
}

class Expiry {
  readonly #storage: Storage
  readonly #now: number
  readonly #dryRun: boolean
  readonly #signal: AbortSignal | undefined
  readonly #rules: readonly { readonly start: string; readonly rule: ExpiredRule }[]
  readonly #result: ExpireResult
  #waiting: Expired[] = []
  #waitingSince = 0

  constructor(
    storage: Storage,
    rules: readonly ExpiryRule[],
    now: number,
    dryRun: boolean,
    signal: AbortSignal | undefined,
  ) {
    this.#storage = storage
    this.#now = now
    this.#dryRun = dryRun
    this.#signal = signal
    const counted = rules.map((rule) => ({ ...rule, deleted: 0, bytes: 0 }))
    this.#rules = counted.map((rule) => ({ start: `${toFolder(rule.prefix, false)}/`, rule }))
    this.#result = { deleted: 0, bytes: 0, rules: counted, failed: [], invalidNames: 0 }
  }

  async run(): Promise<ExpireResult> {
    const onInvalidName = () => {
      this.#result.invalidNames += 1
    }
    for (const { start } of this.#rules) {
      if (this.#rules.some((other) => other.start !== start && start.startsWith(other.start))) continue
      for await (const file of this.#storage.list(start, { signal: this.#signal, onInvalidName })) {
        const rule = this.#ruleOf(file)
        if (rule) this.#add({ file, rule })
        if (this.#isFlushDue()) await this.#flush()
      }
      await this.#flush()
    }
    return this.#result
  }

  /** The rule by which a file is expired. */
  #ruleOf({ name, lastModified }: ListedFile): ExpiredRule | undefined {
    let found: ExpiredRule | undefined
    for (const { start, rule } of this.#rules) {
      if (name.startsWith(start) && (found === undefined || rule.days < found.days)) found = rule
    }
    return found && this.#now - lastModified.getTime() >= found.days * DAY * 1000 ? found : undefined
  }

  #add(expired: Expired): void {
    if (this.#waiting.length === 0) this.#waitingSince = performance.now()
    this.#waiting.push(expired)
  }

  #isFlushDue(): boolean {
    const { length } = this.#waiting
    return length >= BATCH || (length > 0 && performance.now() - this.#waitingSince > LONGEST_WAIT)
  }

  async #flush(): Promise<void> {
    const batch = this.#waiting
    this.#waiting = []
    if (batch.length === 0) return
    const failures = this.#dryRun ? new Set<string>() : await this.#delete(batch)
    for (const { file, rule } of batch) {
      if (failures.has(file.name)) continue
      for (const counted of [rule, this.#result]) {
        counted.deleted += 1
        counted.bytes += file.size
      }
    }
  }

  /** Returns the names that are still there. */
  async #delete(batch: readonly Expired[]): Promise<ReadonlySet<string>> {
    const names = batch.map(({ file }) => file.name)
    try {
      await this.#storage.deleteMany(names, { signal: this.#signal })
      return new Set()
    } catch (error) {
      if (!isStorageError(error) || !('failures' in error)) throw error
      const failures = error.failures as readonly ExpireFailure[] // Of a DeleteManyError, maybe of another copy.
      this.#result.failed.push(...failures)
      return new Set(failures.map(({ name }) => name))
    }
  }
}
