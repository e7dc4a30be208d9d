import type { DeleteManyError, StorageError } from '../errors.js'
import { observed } from '../observed.js'
import type { OptionNames } from '../options.js'
import type { Storage } from '../storage.js'
import { Copier } from './copy-file.js'
import { aborted, hasCode, invalid, type MigrateFailure, refusedName, toFailure } from './failures.js'
import { join, type Pair, type SourcePair } from './join.js'
import { checkOnProgress, type Plan, TRANSFER_OPTIONS, type TransferOptions, toPlan } from './plan.js'
import { Contents } from './same-content.js'
import { Workers } from './workers.js'

/** Options of {@link mirror}. */
export interface MirrorOptions extends TransferOptions {
  /** Report the result and write nothing. Existing files are still compared. Default false. */
  dryRun?: boolean | undefined
  /** Accept an empty source, which deletes everything in the target. Default false. */
  force?: boolean | undefined
  /** The most files that may be deleted. Their names are held in memory. Default 1,000. */
  maxDeletes?: number | undefined
  /** Called after each file. An error it throws ends the work. */
  onProgress?: ((progress: MirrorProgress) => void) | undefined
}

/** Progress of a mirror. */
export interface MirrorProgress {
  /** The file that was just handled, by its name in the source. */
  readonly name: string
  /** Files copied so far. */
  readonly copied: number
  /** Files skipped so far. */
  readonly skipped: number
  /** Files deleted so far. */
  readonly deleted: number
  /** Files failed so far. */
  readonly failed: number
  /** Bytes of the files copied so far. */
  readonly bytes: number
  /** Why this file failed. Missing if it did not. */
  readonly error?: StorageError
}

/** The result of {@link mirror}. With `dryRun` it says what would be done. */
export interface MirrorResult {
  /** Files that were copied: missing ones and different ones. */
  copied: number
  /** Files that the target already had with the same content. */
  skipped: number
  /** Files that were deleted in the target, because the source does not have them. */
  deleted: number
  /** Files that could not be copied or deleted. */
  failed: MigrateFailure[]
  /** Bytes of the copied files. */
  bytes: number
}

/**
 * Makes the target equal to the source, as a backup: copies what is missing, replaces what differs, deletes what the
 * source does not have. Compares as {@link migrate} does. Headers and metadata of an equal file are not compared.
 *
 * - Deletes last, after both listings have ended and all copies are done. A listing that fails deletes nothing.
 * - Deletes nothing while a file could not be copied: it may have been renamed, and then the old name is the only copy.
 * - Before a file is deleted, the source is asked for its name: a listing that left the name out deletes nothing.
 * - A file where the source has a folder, or the other way round, is replaced.
 * - A name that breaks the naming rule is in `failed`. It does not keep others from being deleted; a file of the target
 *   that has this name in its right form stays.
 *
 * @throws {StorageError} `InvalidArgument` for options, for an empty source without `force`, and for more deletes than
 * `maxDeletes`: before the first delete, also with `dryRun`. `Aborted`, `Corrupt` for a listing that is not in order, the
 * error of a listing, or the error of a deletion that concerns all files.
 * @throws {InvalidNameError} for a prefix that breaks the naming rule.
 * @example
 * const { copied, deleted, failed } = await mirror(defaultStorage, new FileSystemStorage({ location: '/backup' }))
 */
export async function mirror(
  source: Storage,
  target: Storage,
  options: MirrorOptions = {},
): Promise<MirrorResult> {
  return observed(OPERATION, target, options?.targetPrefix, () => start(source, target, options))
}

async function start(source: Storage, target: Storage, options: MirrorOptions): Promise<MirrorResult> {
  const { dryRun = false, force = false, maxDeletes = 1000, onProgress } = options ?? {}
  const plan = toPlan(OPERATION, source, target, options, OPTIONS, { dryRun, force })
  if (maxDeletes !== Number.POSITIVE_INFINITY && !(Number.isSafeInteger(maxDeletes) && maxDeletes >= 0)) {
    throw invalid(OPERATION, 'maxDeletes must be a whole number, 0 or more, or Infinity')
  }
  checkOnProgress(OPERATION, onProgress)
  return new Mirror(plan, { dryRun, force, maxDeletes, onProgress }).run()
}

const OPERATION = 'mirror'

const OPTIONS: OptionNames<MirrorOptions> = {
  ...TRANSFER_OPTIONS,
  dryRun: true,
  force: true,
  maxDeletes: true,
  onProgress: true,
}

/** Names of one delete. */
const BATCH = 1000

interface Settings {
  readonly dryRun: boolean
  readonly force: boolean
  readonly maxDeletes: number
  readonly onProgress: MirrorOptions['onProgress']
}

class Mirror {
  readonly #plan: Plan
  readonly #settings: Settings
  readonly #result: MirrorResult = { copied: 0, skipped: 0, deleted: 0, failed: [], bytes: 0 }
  readonly #workers: Workers
  readonly #contents: Contents
  readonly #copier: Copier
  /** Names in the target that the source does not have, and those in the source. */
  readonly #extras = new Map<string, string>()
  /** Names of the source that the naming rule refuses, in the form that it accepts. */
  readonly #refused = new Set<string>()
  /** Names that are taken by a file or a folder of the target that may be about to go. */
  readonly #blocked: SourcePair[] = []
  #isEmpty = true
  /** Whether a file of the source could not be copied. */
  #isPartial = false

  constructor(plan: Plan, settings: Settings) {
    this.#plan = plan
    this.#settings = settings
    this.#workers = new Workers(plan)
    this.#contents = new Contents(plan, this.#workers.signal)
    this.#copier = new Copier(plan, this.#contents, this.#workers.signal)
  }

  async run(): Promise<MirrorResult> {
    const pairs = join(this.#plan, {
      strict: true,
      signal: this.#workers.signal,
      onInvalidName: (name, place) => this.#refuse(name, place),
    })
    await this.#workers.run(pairs, (pair) => this.#handle(pair))
    if (this.#isEmpty && this.#extras.size > 0 && !this.#settings.force) {
      const reason = 'the source is empty, and everything in the target would be deleted: force: true does so'
      throw invalid(OPERATION, reason)
    }
    await this.#removeExtras()
    await this.#workers.run([this.#blocked], (pair) => this.#copy(pair, true))
    return this.#result
  }

  #refuse(name: string, place: 'source' | 'target'): void {
    this.#fail(name, refusedName(OPERATION, name, place))
    if (place === 'target') return
    this.#isEmpty = false
    this.#refused.add(name.normalize('NFC'))
  }

  async #handle(pair: Pair): Promise<void> {
    const { ours, name, targetName } = pair
    if (ours) {
      this.#isEmpty = false
      await this.#copy({ ...pair, ours })
    } else {
      this.#extras.set(targetName, name)
      const { maxDeletes } = this.#settings
      if (this.#extras.size <= maxDeletes) return
      const reason = `more than ${maxDeletes} files would be deleted, and none was: maxDeletes allows more`
      throw invalid(OPERATION, reason)
    }
  }

  /** Copies a file unless the target has it, and counts it. */
  async #copy({ ours, targetName, theirs }: SourcePair, isLast = false): Promise<void> {
    const { name } = ours
    const result = this.#result
    try {
      if (theirs && (await this.#contents.areSame(ours, theirs, 'etags'))) {
        result.skipped++
      } else {
        const { dryRun } = this.#settings
        const bytes = dryRun ? ours.size : await this.#copier.copy(ours, targetName, 'overwrite')
        result.bytes += bytes
        result.copied++
      }
    } catch (error) {
      if (this.#workers.signal.aborted) return
      // An overwrite meets with this only where a file or a folder is in the way of the other.
      if (!isLast && hasCode(error, 'AlreadyExists')) {
        this.#blocked.push({ ours, targetName, theirs, name })
        return
      }
      // A file that has vanished, or can never be copied, was not renamed to something that is missing now.
      if (!hasCode(error, 'NotFound') && !hasCode(error, 'InvalidName')) this.#isPartial = true
      this.#fail(name, error)
      return
    }
    this.#report(name)
  }

  async #removeExtras(): Promise<void> {
    if (this.#isPartial) return
    const doomed: string[] = []
    await this.#workers.run([[...this.#extras]], async ([targetName, name]) => {
      if (this.#isRefused(name)) return
      try {
        if (await this.#plan.source.exists(name, { signal: this.#workers.signal })) return
        doomed.push(targetName)
      } catch (error) {
        if (!this.#workers.signal.aborted) this.#fail(name, error)
      }
    })
    for (let start = 0; start < doomed.length; start += BATCH) {
      for (const targetName of await this.#remove(doomed.slice(start, start + BATCH))) {
        this.#result.deleted++
        this.#report(this.#extras.get(targetName) ?? targetName)
      }
    }
  }

  /** Whether the source may have the file under a name, or in a folder, that the naming rule refuses. */
  #isRefused(name: string): boolean {
    if (this.#refused.size === 0) return false
    const folders = [...name.matchAll(/\//g)].map(({ index }) => name.slice(0, index + 1))
    return [name, ...folders].some((each) => this.#refused.has(each))
  }

  /** The names that are gone. */
  async #remove(names: readonly string[]): Promise<readonly string[]> {
    if (this.#settings.dryRun) return names
    try {
      await this.#plan.target.deleteMany(names, { signal: this.#workers.signal })
      return names
    } catch (error) {
      const { signal } = this.#plan
      if (signal?.aborted) throw aborted(OPERATION, signal)
      if (!hasCode(error, 'PartialDelete')) throw error
      const { deleted, failures } = error as DeleteManyError // The code says so, also of another copy of this package.
      for (const failure of failures)
        this.#fail(this.#extras.get(failure.name) ?? failure.name, failure.error)
      return deleted
    }
  }

  #fail(name: string, error: unknown): void {
    const failure = { name, error: toFailure(OPERATION, error, name) }
    this.#result.failed.push(failure)
    this.#report(name, failure.error)
  }

  #report(name: string, error?: StorageError): void {
    const { copied, skipped, deleted, failed, bytes } = this.#result
    const progress = { name, copied, skipped, deleted, failed: failed.length, bytes }
    this.#settings.onProgress?.(error === undefined ? progress : { ...progress, error })
  }
}
