import { FileExistsError, type StorageError } from '../errors.js'
import { observed } from '../observed.js'
import type { OptionNames } from '../options.js'
import type { Storage } from '../storage.js'
import { sleep } from '../timers.js'
import type { ListedFile } from '../types.js'
import { Copier } from './copy-file.js'
import { hasCode, invalid, type MigrateFailure, refusedName, toFailure } from './failures.js'
import { isOfSource, join, type SourcePair } from './join.js'
import { checkOnProgress, type Plan, TRANSFER_OPTIONS, type TransferOptions, toPlan } from './plan.js'
import { Contents } from './same-content.js'
import { isInShard, type Shard } from './shard.js'
import { Workers } from './workers.js'

/** Options of {@link migrate}. */
export interface MigrateOptions extends TransferOptions {
  /**
   * What to do with a name that the target already has. `'skip'` (default) skips the same content and fails other
   * content. `'error'` fails both. `'overwrite'` replaces both.
   */
  ifExists?: 'skip' | 'overwrite' | 'error' | undefined
  /** Report the result and write nothing. Existing files are still compared. Default false. */
  dryRun?: boolean | undefined
  /**
   * Take one part of the names only: N processes or machines, each with its own `index`, copy N parts side by side.
   * Default: all names.
   */
  shard?: Shard | undefined
  /** Called after each file. An error it throws ends the migration. */
  onProgress?: ((progress: MigrateProgress) => void) | undefined
}

/** Progress of a migration. */
export interface MigrateProgress {
  /** The file that was just handled, by its name in the source. */
  readonly name: string
  /** Files copied so far. */
  readonly copied: number
  /** Files skipped so far. */
  readonly skipped: number
  /** Files failed so far. */
  readonly failed: number
  /** Bytes of the files copied so far. */
  readonly bytes: number
  /** Why this file failed. Missing if it did not. */
  readonly error?: StorageError
}

/** The result of {@link migrate}. */
export interface MigrateResult {
  /** Files that were copied. With `dryRun`: files that would be copied. */
  copied: number
  /** Files that the target already had with the same content. */
  skipped: number
  /** Files that could not be copied, or that the target has with other content. */
  failed: MigrateFailure[]
  /** Bytes of the copied files. */
  bytes: number
}

/**
 * Copies the files of one storage to another, for example from the disk to R2. Names, content types, headers and
 * metadata stay the same. Run it again after an interruption: it copies the missing files and ends with an exact copy.
 *
 * - Lists both sides once, in order, and compares as it goes: a file that is already right costs no request.
 * - Deletes nothing in the source. In the target it deletes only a broken copy that `verify` has found. A file that only
 *   the target has is left alone.
 * - A file that fails is in `failed` and does not stop the others.
 * - A name that breaks the naming rule, such as one in NFD from a Mac, is in `failed`: rename the file at the source.
 *   Symbolic links are not listed, so they are not copied.
 * - A file that is deleted after it was listed is in `failed` with `NotFound`. The next run does not list it.
 * - Contents are equal if their sizes and MD5s are equal. An ETag that is an MD5, also one of a multipart upload, is
 *   compared with the bytes of the other side, so nothing is downloaded from the target. Both files are read where no
 *   ETag helps, and before a difference is reported. Headers and metadata of an existing file are not compared.
 * - A killed save may have left a placeholder on servers such as Ceph. It counts as missing. If it is younger than half a
 *   minute, its save may still be running: the migration waits for that at the end, up to a minute.
 * - If `verify` finds that a copy differs from the sent bytes, the copy is deleted and fails with `Corrupt`, so that no
 *   broken file is served. The next run copies it again. A copy that another writer has replaced stays.
 * - Memory is constant for any number and size of files; only failures are collected. Files on their way take
 *   `concurrency` × 4 MiB at most, or 48 MiB where that is more.
 * - The two folders must not overlap, because copies would be listed and copied again. An overlap is detected, also
 *   through wrappers, if both storages are one object or have the same `toString()`, and one folder's path on disk, or
 *   else `url()`, contains the other's. Symbolic links are not followed for this.
 * - The target must not be a `readThrough` storage whose older storage is the source: it finds every file in place.
 *
 * @throws {StorageError} `InvalidArgument` for options, `Aborted` after all running copies have ended, or the error of
 * a listing.
 * @throws {InvalidNameError} for a prefix that breaks the naming rule.
 * @example
 * const { copied, failed } = await migrate(new FileSystemStorage(), createDefaultStorage(), { verify: true })
 */
export async function migrate(
  source: Storage,
  target: Storage,
  options: MigrateOptions = {},
): Promise<MigrateResult> {
  return observed(OPERATION, target, options?.targetPrefix, () => start(source, target, options))
}

async function start(source: Storage, target: Storage, options: MigrateOptions): Promise<MigrateResult> {
  const { ifExists = 'skip', dryRun = false, shard, onProgress } = options ?? {}
  const plan = toPlan(OPERATION, source, target, options, OPTIONS, { dryRun })
  if (ifExists !== 'skip' && ifExists !== 'overwrite' && ifExists !== 'error') {
    throw invalid(OPERATION, "ifExists must be 'skip', 'overwrite' or 'error'")
  }
  checkShard(shard)
  checkOnProgress(OPERATION, onProgress)
  return new Migration(plan, { ifExists, dryRun, shard, onProgress }).run()
}

const OPERATION = 'migrate'

const OPTIONS: OptionNames<MigrateOptions> = {
  ...TRANSFER_OPTIONS,
  ifExists: true,
  dryRun: true,
  shard: true,
  onProgress: true,
}

function checkShard(shard: Shard | undefined): void {
  if (shard === undefined) return
  const { index, of } = shard ?? {}
  if (!Number.isSafeInteger(of) || !Number.isSafeInteger(index) || of < 1 || index < 0 || index >= of) {
    throw invalid(OPERATION, 'shard must be { index, of }, whole numbers, with index from 0 to of - 1')
  }
}

/** Milliseconds between looks at a name that an unfinished save holds, and how long it is waited for. */
const HELD_WAIT = 1_000
const HELD_PATIENCE = 60_000

interface Settings {
  readonly ifExists: 'skip' | 'overwrite' | 'error'
  readonly dryRun: boolean
  readonly shard: Shard | undefined
  readonly onProgress: MigrateOptions['onProgress']
}

class Migration {
  readonly #plan: Plan
  readonly #settings: Settings
  readonly #result: MigrateResult = { copied: 0, skipped: 0, failed: [], bytes: 0 }
  readonly #workers: Workers
  readonly #contents: Contents
  readonly #copier: Copier

  constructor(plan: Plan, settings: Settings) {
    this.#plan = plan
    this.#settings = settings
    this.#workers = new Workers(plan)
    this.#contents = new Contents(plan, this.#workers.signal)
    this.#copier = new Copier(plan, this.#contents, this.#workers.signal)
  }

  async run(): Promise<MigrateResult> {
    const pairs = join(this.#plan, {
      strict: false, // A file that seems to be missing is saved create-only, so nothing can go wrong.
      signal: this.#workers.signal,
      onInvalidName: (name, place) => {
        if (place === 'source' && this.#isMine(name)) this.#fail(name, refusedName(OPERATION, name, place))
      },
    })
    const held: SourcePair[] = []
    await this.#workers.run(pairs, async (pair) => {
      if (!isOfSource(pair) || !this.#isMine(pair.ours.name)) return
      if ((await this.#handle(pair)) === 'held') held.push(pair)
    })
    const end = performance.now() + HELD_PATIENCE
    await this.#workers.run([held], async (pair) => {
      // A name that was not listed is held by a save of this moment, or on disk by a folder.
      const isLast = () => pair.theirs === undefined || performance.now() > end
      while ((await this.#handle(pair, isLast())) === 'held') {
        await sleep(HELD_WAIT, undefined, { signal: this.#workers.signal })
      }
    })
    return this.#result
  }

  #isMine(name: string): boolean {
    const { shard } = this.#settings
    return shard === undefined || isInShard(name, shard)
  }

  /** Copies or skips a file, and counts it. `'held'`: not now. With `last` such a file fails. */
  async #handle(pair: SourcePair, last = false): Promise<'held' | undefined> {
    const { name } = pair.ours
    const result = this.#result
    try {
      const bytes = await this.#transfer(pair, last)
      if (bytes === 'held') return bytes
      if (bytes === null) result.skipped++
      else {
        result.copied++
        result.bytes += bytes
      }
    } catch (error) {
      if (this.#workers.signal.aborted) return undefined
      this.#fail(name, toFailure(OPERATION, error, name))
      return undefined
    }
    this.#report(name)
    return undefined
  }

  #fail(name: string, error: StorageError): void {
    this.#result.failed.push({ name, error })
    this.#report(name, error)
  }

  #report(name: string, error?: StorageError): void {
    const { copied, skipped, failed, bytes } = this.#result
    const progress = { name, copied, skipped, failed: failed.length, bytes }
    this.#settings.onProgress?.(error === undefined ? progress : { ...progress, error })
  }

  /** The number of bytes copied, or null if the target already had the file. */
  async #transfer({ ours, theirs, targetName }: SourcePair, last: boolean): Promise<number | null | 'held'> {
    const { ifExists, dryRun } = this.#settings
    if (ifExists === 'overwrite') {
      return dryRun ? ours.size : this.#copier.copy(ours, targetName, 'overwrite')
    }
    if (theirs) {
      if (ifExists === 'skip' && (await this.#contents.areSame(ours, theirs, 'etags'))) return null
      if (await this.#isThere(ours, targetName)) return null
    }
    if (dryRun) return ours.size
    try {
      return await this.#copier.copy(ours, targetName, 'error')
    } catch (error) {
      if (!hasCode(error, 'AlreadyExists')) throw error
      // Another writer, perhaps another run of this migration, stored it meanwhile.
      if (await this.#isThere(ours, targetName)) return null
      // Readers see no file, and the name is taken nevertheless.
      if (last) throw error
      return 'held'
    }
  }

  /** Whether the target has the same file. Throws if it has another one, or any with `ifExists: 'error'`. */
  async #isThere(file: ListedFile, name: string): Promise<boolean> {
    const found = await this.#find(name)
    if (found === null) return false
    const { ifExists } = this.#settings
    if (ifExists === 'skip' && (await this.#contents.areSame(file, found, 'certain'))) return true
    const reason = ifExists === 'skip' ? 'is already there with other content' : 'already exists'
    throw new FileExistsError({
      operation: OPERATION,
      file: file.name,
      reason: `${JSON.stringify(name)} ${reason}; ifExists: 'overwrite' would replace it`,
    })
  }

  async #find(name: string): Promise<ListedFile | null> {
    try {
      return await this.#plan.target.stat(name, { signal: this.#workers.signal })
    } catch (error) {
      // A missing bucket is `NotFound` as well. Then the save fails.
      if (hasCode(error, 'NotFound')) return null
      throw error
    }
  }
}
