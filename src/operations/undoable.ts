import type { Content } from '../content.js'
import { abandon } from '../content.js'
import { DeleteManyError, inContext, isStorageError, Problem, StorageError } from '../errors.js'
import { toName } from '../names.js'
import { ABORT_OPTIONS, checkOptions, type OptionNames, toSignal } from '../options.js'
import { isStorage, type Storage } from '../storage.js'
import type { AbortOptions, CopyOptions, SaveOptions } from '../types.js'
import { BATCH } from './run.js'

/** Changes to a storage that are kept together or undone together. See {@link undoable}. */
export interface UndoableUnit extends AsyncDisposable {
  /** As `Storage#save`. A rollback deletes the file again. @throws {StorageError} `Unsupported` with `'overwrite'`. */
  save(name: string, content: Content, options?: SaveOptions): Promise<string>
  /** As `Storage#copy`. A rollback deletes the copy again. @throws {StorageError} `Unsupported` with `'overwrite'`. */
  copy(from: string, to: string, options?: CopyOptions): Promise<string>
  /**
   * Copies now, and deletes the source with the commit. A rollback deletes the copy again.
   * @throws {StorageError} `Unsupported` with `'overwrite'`.
   */
  move(from: string, to: string, options?: CopyOptions): Promise<string>
  /** Deletes the file with the commit. Until then the file is there, and its name is taken. */
  delete(name: string, options?: AbortOptions): Promise<void>
  /** Deletes the files with the commit. All names are checked first. */
  deleteMany(names: Iterable<string>, options?: AbortOptions): Promise<void>
  /**
   * Keeps what was saved, and does the deletes. Call it after the commit of the database. Waits for calls that still
   * run. Ends the unit, also when it fails.
   *
   * @throws {DeleteManyError} when files could not be deleted; `failures` names each of them.
   */
  commit(options?: AbortOptions): Promise<void>
  /**
   * Deletes what was saved, and forgets the deletes. Call it after the rollback of the database. Waits for calls that
   * still run. Ends the unit, also when it fails.
   *
   * @throws {DeleteManyError} when files could not be deleted; `failures` names each of them.
   */
  rollback(options?: AbortOptions): Promise<void>
}

/**
 * A unit of changes to files that ends like a transaction of a database. Saves are taken back by `rollback()`; deletes
 * wait for `commit()`. Commit the database first, then the unit.
 *
 * - A crash at any time leaves orphans at worst, never a row whose file is missing: what was saved before the crash, or
 *   what was to be deleted after it. {@link orphans} finds both.
 * - Other readers see saved files at once. `'overwrite'` is `Unsupported`, since the old content could not come back.
 * - A name that is saved after its delete in the same unit stays.
 * - A rollback deletes by name: if somebody else has overwritten a saved file meanwhile, that file goes.
 * - After `commit()` or `rollback()` every call is `InvalidArgument`. `await using` rolls back what was not committed.
 *
 * @throws {StorageError} `InvalidArgument` for something else than a storage.
 * @example
 * const files = undoable(storage)
 * try {
 *   await db.transaction(async (tx) => {
 *     const name = await files.save(documentPath(roomId, file.name), file)
 *     const old = await tx.replaceDocument(id, name)
 *     await files.delete(old)
 *   })
 * } catch (error) {
 *   await files.rollback()
 *   throw error
 * }
 * await files.commit()
 */
export function undoable(storage: Storage): UndoableUnit {
  return inContext({ operation: 'undoable' }, () => {
    if (!isStorage(storage)) throw new Problem('InvalidArgument', 'a storage is needed, such as an R2Storage')
    return new Unit(storage)
  })
}

class Unit implements UndoableUnit {
  readonly #storage: Storage
  /** Names that this unit stored. */
  readonly #saved = new Set<string>()
  /** Names to delete, each with the number of the call that asked for it. */
  readonly #deletes = new Map<string, number>()
  readonly #running = new Set<Promise<unknown>>()
  #calls = 0
  #ended: 'committed' | 'rolled back' | undefined

  constructor(storage: Storage) {
    this.#storage = storage
  }

  async save(name: string, content: Content, options: SaveOptions = {}): Promise<string> {
    return this.#store('save', name, options, () => this.#storage.save(name, content, options)).catch(
      (error: unknown) => {
        abandon(content)
        throw error
      },
    )
  }

  async copy(from: string, to: string, options: CopyOptions = {}): Promise<string> {
    return this.#store('copy', from, options, () => this.#storage.copy(from, to, options))
  }

  async move(from: string, to: string, options: CopyOptions = {}): Promise<string> {
    return this.#keep('move', from, options, async (call) => {
      const [source, target] = this.#inContext('move', from, () => [toName(from), toName(to)] as const)
      // Onto itself: it only looks whether the file is there.
      if (source === target) return this.#storage.move(from, to, options)
      const copied = this.#stored(await this.#storage.copy(from, to, options), call)
      this.#deletes.set(source, call)
      return copied
    })
  }

  /** Runs what stores a file. */
  #store(
    operation: string,
    file: string,
    options: CopyOptions,
    work: () => Promise<string>,
  ): Promise<string> {
    return this.#keep(operation, file, options, async (call) => this.#stored(await work(), call))
  }

  /** Remembers the name that a file got. */
  #stored(name: string, call: number): string {
    this.#saved.add(name)
    if ((this.#deletes.get(name) ?? call) < call) this.#deletes.delete(name)
    return name
  }

  /** Runs a change that the end of the unit waits for. */
  async #keep(
    operation: string,
    file: string,
    options: CopyOptions,
    work: (call: number) => Promise<string>,
  ): Promise<string> {
    const call = this.#begin(operation, file)
    if (options?.ifExists === 'overwrite') {
      const reason = "ifExists: 'overwrite' cannot be undone: save under another name and delete the old file"
      throw new StorageError('Unsupported', { ...this.#context(operation), file, reason })
    }
    const running = work(call)
    this.#running.add(running)
    try {
      return await running
    } finally {
      this.#running.delete(running)
    }
  }

  async delete(name: string, options: AbortOptions = {}): Promise<void> {
    const call = this.#begin('delete', name)
    this.#inContext('delete', name, () => {
      check(options, ABORT_OPTIONS)
      this.#deletes.set(toName(name), call)
    })
  }

  async deleteMany(names: Iterable<string>, options: AbortOptions = {}): Promise<void> {
    const call = this.#begin('deleteMany')
    this.#inContext('deleteMany', undefined, () => {
      check(options, ABORT_OPTIONS)
      if (typeof names !== 'object' || names === null || !(Symbol.iterator in names)) {
        throw new Problem('InvalidArgument', 'deleteMany takes an array or another iterable of names')
      }
      for (const name of Array.from(names, (given) => toName(given))) this.#deletes.set(name, call)
    })
  }

  async commit(options: AbortOptions = {}): Promise<void> {
    await this.#end('commit', 'committed', options, () => [...this.#deletes.keys()])
  }

  async rollback(options: AbortOptions = {}): Promise<void> {
    // The last saved first, as a database undoes its work.
    await this.#end('rollback', 'rolled back', options, () => [...this.#saved].reverse())
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ended === undefined) await this.rollback()
  }

  async #end(
    operation: 'commit' | 'rollback',
    ended: 'committed' | 'rolled back',
    options: AbortOptions,
    toDelete: () => string[],
  ): Promise<void> {
    this.#begin(operation)
    this.#inContext(operation, undefined, () => check(options, ABORT_OPTIONS))
    this.#ended = ended
    await Promise.allSettled(this.#running)
    await this.#delete(operation, toDelete(), options)
  }

  async #delete(operation: string, names: readonly string[], options: AbortOptions): Promise<void> {
    const deleted: string[] = []
    const failures: { name: string; error: StorageError }[] = []
    for (let start = 0; start < names.length; start += BATCH) {
      const batch = names.slice(start, start + BATCH)
      const failed = await this.#deleteBatch(operation, batch, options)
      failures.push(...failed)
      const left = new Set(failed.map(({ name }) => name))
      deleted.push(...batch.filter((name) => !left.has(name)))
    }
    if (failures.length > 0) throw new DeleteManyError(deleted, failures, this.#context(operation))
  }

  async #deleteBatch(
    operation: string,
    names: readonly string[],
    options: AbortOptions,
  ): Promise<readonly { name: string; error: StorageError }[]> {
    try {
      await this.#storage.deleteMany(names, options)
      return []
    } catch (error) {
      const failures: unknown = isStorageError(error) && Reflect.get(error, 'failures')
      if (Array.isArray(failures)) return failures
      const reason = error instanceof Error ? error.message : String(error)
      const failure = isStorageError(error)
        ? error
        : new StorageError('Unknown', { ...this.#context(operation), reason, cause: error })
      return names.map((name) => ({ name, error: failure }))
    }
  }

  /** Refuses calls to a unit that has ended. Returns the number of the call. */
  #begin(operation: string, file?: string): number {
    if (this.#ended !== undefined) {
      const reason = `the unit was ${this.#ended} already: make a new one with undoable(storage)`
      throw new StorageError('InvalidArgument', { ...this.#context(operation), file, reason })
    }
    return this.#calls++
  }

  #inContext<T>(operation: string, file: string | undefined, work: () => T): T {
    return inContext({ ...this.#context(operation), file }, work)
  }

  #context(operation: string) {
    return { operation, storage: String(this.#storage) }
  }
}

function check(options: AbortOptions, known: OptionNames<AbortOptions>): void {
  toSignal(options)
  checkOptions(options, known)
}
