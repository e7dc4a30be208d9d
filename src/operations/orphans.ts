import { isProblem, Problem, quote } from '../errors.js'
import { toOptionalFolder } from '../names.js'
import { observedItems } from '../observed.js'
import { explain } from '../operation.js'
import { ABORT_OPTIONS, checkOptions, type OptionNames, toCutoff, toSignal } from '../options.js'
import type { Storage } from '../storage.js'
import type { AbortOptions, ListedFile } from '../types.js'
import { BATCH, toDriver } from './run.js'

/** Options of {@link orphans}. */
export interface OrphansOptions extends AbortOptions {
  /** The folder to look at. Default: all files. */
  prefix?: string | undefined
  /**
   * Seconds since a file's last write before it may count as an orphan: the database may not know a new file yet.
   * Default 604,800 (a week).
   */
  olderThan?: number | undefined
}

/** Those of the names that the application still needs, in any order. */
export type IsReferenced = (names: string[]) => Iterable<string> | Promise<Iterable<string>>

const OPTIONS: OptionNames<OrphansOptions> = { ...ABORT_OPTIONS, prefix: true, olderThan: true }

/**
 * The files that the application's database does not know: what uploads without an owner, crashes between two commits
 * and deleted rows leave. Deletes nothing itself.
 *
 * `isReferenced` is asked about up to 1,000 names at a time and returns those that the database knows. It must return
 * them exactly as it got them; any other name ends the loop with `InvalidArgument`, since a misunderstanding here would
 * delete files that are needed. An error that it throws is thrown on. A reference that comes after the question is not
 * seen, so an application must not begin to refer to a file that is older than `olderThan`.
 *
 * @throws {StorageError} `InvalidArgument` for options, `Aborted`, or the error of the listing.
 * @throws {InvalidNameError} for a prefix that breaks the naming rule.
 * @example
 * const known = async (names: string[]) =>
 *   (await db.query('SELECT name FROM files WHERE name = ANY($1)', [names])).rows.map((row) => row.name)
 * for await (const { name } of orphans(storage, known, { prefix: 'documents' })) await storage.delete(name)
 */
export function orphans(
  storage: Storage,
  isReferenced: IsReferenced,
  options: OrphansOptions = {},
): AsyncIterable<ListedFile> {
  return observedItems('orphans', storage, options?.prefix, looking(storage, isReferenced, options))
}

async function* looking(
  storage: Storage,
  isReferenced: IsReferenced,
  options: OrphansOptions,
): AsyncGenerator<ListedFile, void, undefined> {
  const driver = toDriver('orphans', storage)
  let signal: AbortSignal | undefined
  try {
    signal = toSignal(options)
    checkOptions(options, OPTIONS)
    const prefix = toOptionalFolder(options.prefix)
    const before = toCutoff(options.olderThan)
    if (typeof isReferenced !== 'function') {
      throw new Problem('InvalidArgument', 'isReferenced must be a function')
    }
    signal?.throwIfAborted()
    let batch: ListedFile[] = []
    for await (const file of storage.list(prefix, { signal })) {
      if (!(file.lastModified <= before)) continue // Nor a file of an invalid time.
      batch.push(file)
      if (batch.length < BATCH) continue
      yield* untilAborted(await unknown(batch, isReferenced), signal)
      batch = []
    }
    if (batch.length > 0) yield* untilAborted(await unknown(batch, isReferenced), signal)
  } catch (error) {
    // An error of the caller's database stays as it is.
    throw isProblem(error) || signal?.aborted ? explain(driver, error, 'orphans', undefined, signal) : error
  }
}

/** The caller may delete what comes, so an abort holds for the rest of a batch, too. */
function* untilAborted(files: readonly ListedFile[], signal: AbortSignal | undefined): Iterable<ListedFile> {
  for (const file of files) {
    signal?.throwIfAborted()
    yield file
  }
  signal?.throwIfAborted()
}

/** The files that are not referenced. */
async function unknown(files: readonly ListedFile[], isReferenced: IsReferenced): Promise<ListedFile[]> {
  const left = new Map(files.map((file) => [file.name, file]))
  const referenced = await isReferenced([...left.keys()])
  if (typeof referenced !== 'object' || referenced === null || !(Symbol.iterator in referenced)) {
    throw new Problem('InvalidArgument', 'isReferenced must return the known names: an array or a Set')
  }
  const asked = new Set(left.keys())
  for (const name of referenced) {
    if (!asked.has(name)) {
      const what = typeof name === 'string' ? quote(name) : typeof name
      throw new Problem(
        'InvalidArgument',
        `isReferenced returned ${what}, a name that it was not asked about`,
      )
    }
    left.delete(name)
  }
  return [...left.values()]
}
