import { Problem } from '../errors.js'
import { contentTypeOf } from '../media-types.js'
import { compareNames, toOptionalFolder } from '../names.js'
import { ABORT_OPTIONS } from '../options.js'
import type { Storage } from '../storage.js'
import type { AbortOptions, ListedFile } from '../types.js'
import { type Operation, run } from './run.js'

/** Options of {@link usage}. */
export interface UsageOptions extends AbortOptions {
  /** The folder to look at. Default: all files. */
  prefix?: string | undefined
  /** Levels of folders below `prefix` that are told apart, 0 or more. Files further down count for their folder. Default 1. */
  depth?: number | undefined
}

/** Files and their bytes. */
export interface UsageCount {
  /** Number of files. */
  files: number
  /** Bytes of their contents. */
  bytes: number
}

/** The files of one folder, or of one type. */
export interface NamedUsage extends UsageCount {
  /** The full name of the folder (`''` for the root), or the content type. */
  readonly name: string
}

/** The files of one month. */
export interface MonthlyUsage extends UsageCount {
  /** The month of their last write in UTC: `2026-11`. `unknown` for times beyond the years 0 to 9999. */
  readonly month: string
}

/** The result of {@link usage}. */
export interface Usage extends UsageCount {
  /** By folder, the most bytes first. Files beside the folders count for `prefix` itself, which is `''` at the root. */
  readonly folders: readonly NamedUsage[]
  /** By content type, the most bytes first. A listing has no types, so they are those of the names' extensions. */
  readonly types: readonly NamedUsage[]
  /** By the month of the last write, the oldest first. Months without a file are left out. */
  readonly months: readonly MonthlyUsage[]
  /** The ten largest files, the largest first. */
  readonly largest: readonly ListedFile[]
  /** The ten files with the oldest last write, the oldest first. */
  readonly oldest: readonly ListedFile[]
  /** Files that are not counted, because their names break the naming rule: other programs put them there. */
  readonly invalidNames: number
}

/** Files in `largest` and `oldest`. */
const LISTED = 10
const USAGE: Operation<UsageOptions> = {
  name: 'usage',
  known: { ...ABORT_OPTIONS, prefix: true, depth: true },
}

/**
 * Sums up what is stored, and where: totals by folder, type and month, and the largest and the oldest files. Reads the listing
 * once, a request for 1,000 files on R2 and S3. Memory grows with the number of folders at `depth`, not of files.
 *
 * @throws {StorageError} `InvalidArgument` for options, or the error of the listing.
 * @throws {InvalidNameError} for a prefix that breaks the naming rule.
 * @example
 * const { bytes, folders } = await usage(defaultStorage)
 * console.log(`${bytes} bytes, most of them in ${folders[0]?.name}`)
 */
export async function usage(storage: Storage, options: UsageOptions = {}): Promise<Usage> {
  return run(USAGE, storage, options, async (signal) => {
    const prefix = toOptionalFolder(options.prefix)
    const { depth = 1 } = options
    if (!Number.isSafeInteger(depth) || depth < 0) {
      throw new Problem('InvalidArgument', 'depth must be a whole number of folder levels, 0 or more')
    }
    const tally = new Tally(prefix, depth)
    let invalidNames = 0
    const onInvalidName = () => {
      invalidNames += 1
    }
    for await (const file of storage.list(prefix, { signal, onInvalidName })) await tally.add(file)
    return { ...tally.result(), invalidNames }
  })
}

class Tally {
  readonly #prefix: string
  readonly #depth: number
  readonly #total: UsageCount = { files: 0, bytes: 0 }
  readonly #folders = new Map<string, UsageCount>()
  readonly #types = new Map<string, UsageCount>()
  readonly #months = new Map<string, UsageCount>()
  readonly #largest: ListedFile[] = []
  readonly #oldest: ListedFile[] = []

  constructor(prefix: string, depth: number) {
    this.#prefix = prefix
    this.#depth = depth
  }

  async add(file: ListedFile): Promise<void> {
    const { name, size, lastModified } = file
    count(this.#total, size)
    count(entry(this.#folders, this.#folderOf(name)), size)
    count(entry(this.#types, await contentTypeOf(name)), size)
    count(entry(this.#months, monthOf(lastModified)), size)
    keep(this.#largest, file, (one, other) => other.size - one.size)
    if (isValid(lastModified))
      keep(this.#oldest, file, (one, other) => +one.lastModified - +other.lastModified)
  }

  #folderOf(name: string): string {
    let end = this.#prefix.length
    for (let level = 0; level < this.#depth; level++) {
      const slash = name.indexOf('/', end === 0 ? 0 : end + 1)
      if (slash === -1) break
      end = slash
    }
    return name.slice(0, end)
  }

  result(): Omit<Usage, 'invalidNames'> {
    return {
      ...this.#total,
      folders: byBytes(this.#folders),
      types: byBytes(this.#types),
      months: [...this.#months]
        .map(([month, counted]) => ({ month, ...counted }))
        .sort((one, other) => compareNames(one.month, other.month)),
      largest: this.#largest,
      oldest: this.#oldest,
    }
  }
}

/** Some filesystems take times that no calendar has. */
function monthOf(time: Date): string {
  return (isValid(time) && /^\d{4}-\d\d/.exec(time.toISOString())?.[0]) || 'unknown'
}

function isValid(time: Date): boolean {
  return !Number.isNaN(time.getTime())
}

function entry(counts: Map<string, UsageCount>, key: string): UsageCount {
  const found = counts.get(key) ?? { files: 0, bytes: 0 }
  counts.set(key, found)
  return found
}

function count(counted: UsageCount, bytes: number): void {
  counted.files += 1
  counted.bytes += bytes
}

function byBytes(counts: ReadonlyMap<string, UsageCount>): NamedUsage[] {
  return [...counts]
    .map(([name, counted]) => ({ name, ...counted }))
    .sort((one, other) => other.bytes - one.bytes || compareNames(one.name, other.name))
}

/** Puts a file in its place of a short sorted list. Of equal ones the first listed stays first. */
function keep(
  list: ListedFile[],
  file: ListedFile,
  order: (one: ListedFile, other: ListedFile) => number,
): void {
  const last = list.at(-1)
  if (list.length === LISTED && last && order(last, file) <= 0) return
  const place = list.findIndex((other) => order(file, other) < 0)
  list.splice(place === -1 ? list.length : place, 0, file)
  if (list.length > LISTED) list.pop()
}
