import { createHash, type Hash } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import { addAbortSignal, pipeline, type Readable, Transform } from 'node:stream'
import { FileExistsError, InvalidNameError, inContext, isStorageError, StorageError } from '../errors.js'
import { type Folder, toFolder } from '../names.js'
import { ABORT_OPTIONS, checkOptions, type OptionNames, toSignal } from '../options.js'
import type { Storage } from '../storage.js'
import { StoredFile } from '../stored-file.js'
import type { AbortOptions, ListedFile } from '../types.js'

export interface MigrateOptions extends AbortOptions {
  /** The folder of the source whose files are copied. Default all. */
  prefix?: string | undefined
  /** The folder of the target that they are put below, by their names relative to `prefix`. Default the root. */
  targetPrefix?: string | undefined
  /** Files on their way at a time, 1 to 1,000. Default 16. */
  concurrency?: number | undefined
  /**
   * What to do with a name that the target has already. `'skip'` (default) leaves a file of the same content alone and
   * fails one that differs, `'error'` fails either, `'overwrite'` replaces either.
   */
  ifExists?: 'skip' | 'overwrite' | 'error' | undefined
  /** Tell what would happen and write nothing. Files that are there already are still read to compare. Default false. */
  dryRun?: boolean | undefined
  /**
   * Read every copy back and compare its size and MD5 with what was sent. With `'skip'`, files that are there already
   * are compared by their bytes, too, and never by ETag. Default false.
   */
  verify?: boolean | undefined
  /** Called after each file. An error it throws ends the migration. */
  onProgress?: ((progress: MigrateProgress) => void) | undefined
}

/** How far a migration has come. */
export interface MigrateProgress {
  /** The file that has just been dealt with, by its name in the source. */
  readonly name: string
  readonly copied: number
  readonly skipped: number
  readonly failed: number
  /** Bytes of the files copied so far. */
  readonly bytes: number
}

/** One file that was not copied, by its name in the source, and why. */
export interface MigrateFailure {
  readonly name: string
  readonly error: StorageError
}

export interface MigrateResult {
  /** Files that were copied; with `dryRun`, that would have been. */
  copied: number
  /** Files that the target had already, with the same content. */
  skipped: number
  /** Files that the target does not have, or not with this content. */
  failed: MigrateFailure[]
  /** Bytes of the files that were copied. */
  bytes: number
}

/**
 * Copies the files of one storage to another, say from the disk to R2, with content type, headers and metadata, under
 * the names they have. Run it again after any interruption: it copies what is missing and ends with an exact copy.
 *
 * - Deletes nothing in the source and, but for a copy that `verify` finds broken, nothing in the target. A file that the
 *   target has and the source does not is left alone.
 * - A file whose name the naming rule refuses (such as one in NFD, from a Mac) is in `failed`, too: rename it at the source.
 *   Symbolic links are not listed, and so not copied.
 * - A file that fails is in `failed` and stops no other. One that is deleted between its listing and its turn is a
 *   failure, too (`NotFound`), so that nothing is lost without a word; in the next run it is no longer listed.
 * - Contents are equal if their sizes and MD5s are. They are read to find out, except where an ETag proves it: the
 *   target's that is the MD5 just computed, or two that both have the form of an MD5 and are equal. Headers and metadata
 *   of a file that is already there are not compared.
 * - A copy that `verify` finds to differ from what was sent is deleted and fails with `Corrupt`: a broken file must not
 *   be served, and the next run copies it afresh. One that somebody else replaced meanwhile stays.
 * - Memory is constant but for the failures, whatever the number and the sizes of the files.
 * - The two folders must not overlap, for the copies would be listed and copied again. That is known by the storages'
 *   being one object, or having the same `toString()`, and by what `path()` or else `url()` says of the folders.
 *
 * @throws {StorageError} `InvalidArgument` for options; `Aborted` once no copy is under way any more; whatever the
 * listing of the source fails with.
 * @throws {InvalidNameError} for a prefix that is no folder name.
 * @example
 * const { copied, failed } = await migrate(new FileSystemStorage(), createDefaultStorage(), { verify: true })
 */
export async function migrate(
  source: Storage,
  target: Storage,
  options: MigrateOptions = {},
): Promise<MigrateResult> {
  const plan = inContext({ operation: 'migrate' }, () => toPlan(options))
  for (const storage of [source, target]) {
    if (typeof storage?.list !== 'function' || typeof storage.save !== 'function') {
      throw invalid('source and target must be storages')
    }
  }
  if (plan.signal?.aborted) throw aborted(plan.signal)
  if (overlap(placeOf(source, plan.from), placeOf(target, plan.to)) && areSame(source, target)) {
    throw invalid('source and target are the same storage: prefix and targetPrefix must not overlap')
  }
  return new Migration(source, target, plan).run()
}

/** The options, checked and resolved. */
interface Plan {
  readonly from: Folder
  readonly to: Folder
  readonly concurrency: number
  readonly ifExists: 'skip' | 'overwrite' | 'error'
  readonly dryRun: boolean
  readonly verify: boolean
  readonly onProgress: ((progress: MigrateProgress) => void) | undefined
  readonly signal: AbortSignal | undefined
}

class Migration {
  readonly #source: Storage
  readonly #target: Storage
  readonly #plan: Plan
  readonly #result: MigrateResult = { copied: 0, skipped: 0, failed: [], bytes: 0 }
  /** Ends all workers when one of them meets what is no matter of a single file. */
  readonly #stop = new AbortController()
  readonly #signal: AbortSignal

  constructor(source: Storage, target: Storage, plan: Plan) {
    this.#source = source
    this.#target = target
    this.#plan = plan
    this.#signal = plan.signal ? AbortSignal.any([plan.signal, this.#stop.signal]) : this.#stop.signal
    setMaxListeners(0, this.#signal) // Every file on its way listens; ten are no leak.
  }

  async run(): Promise<MigrateResult> {
    const { from, concurrency, signal } = this.#plan
    const onInvalidName = (name: string) => this.#refuse(name)
    const files = this.#source.list(from, { signal: this.#signal, onInvalidName })[Symbol.asyncIterator]()
    await Promise.all(Array.from({ length: concurrency }, () => this.#work(files)))
    if (signal?.aborted) throw aborted(signal)
    if (this.#signal.aborted) throw this.#signal.reason
    return this.#result
  }

  /** Never rejects, so that all workers have come to rest when `run` goes on. */
  async #work(files: AsyncIterator<ListedFile>): Promise<void> {
    try {
      while (!this.#signal.aborted) {
        const next = await files.next()
        if (next.done) return
        await this.#migrate(next.value)
      }
      await files.return?.()
    } catch (error) {
      this.#stop.abort(error)
    }
  }

  async #migrate(file: ListedFile): Promise<void> {
    const result = this.#result
    try {
      const bytes = await this.#transfer(file, this.#targetName(file.name))
      if (bytes === null) result.skipped++
      else {
        result.copied++
        result.bytes += bytes
      }
    } catch (error) {
      if (this.#signal.aborted) return
      result.failed.push({ name: file.name, error: toFailure(error, file.name) })
    }
    const { copied, skipped, failed, bytes } = result
    this.#plan.onProgress?.({ name: file.name, copied, skipped, failed: failed.length, bytes })
  }

  #refuse(name: string): void {
    const reason = 'the naming rule refuses this name: rename the file at the source'
    const error = new InvalidNameError({ operation: 'migrate', file: name, reason })
    this.#result.failed.push({ name, error })
  }

  #targetName(name: string): string {
    const { from, to } = this.#plan
    const relative = from === '' ? name : name.slice(from.length + 1)
    return to === '' ? relative : `${to}/${relative}`
  }

  /** The bytes that were copied, or null where they were there already. */
  async #transfer(file: ListedFile, name: string): Promise<number | null> {
    const { ifExists, dryRun } = this.#plan
    if (ifExists === 'overwrite') return dryRun ? file.size : this.#copy(file.name, name)
    if (await this.#isThere(file, name)) return null
    if (dryRun) return file.size
    try {
      return await this.#copy(file.name, name)
    } catch (error) {
      // Somebody else, perhaps another run of this migration, stored it in the meantime.
      if (isStorageError(error) && error.code === 'AlreadyExists' && (await this.#isThere(file, name)))
        return null
      throw error
    }
  }

  /** Whether the target has the very file; throws if it has another, or any at all with `ifExists: 'error'`. */
  async #isThere(file: ListedFile, name: string): Promise<boolean> {
    const found = await this.#find(name)
    if (found === null) return false
    if (this.#plan.ifExists === 'skip' && (await this.#isSame(file, found))) return true
    const reason = this.#plan.ifExists === 'skip' ? 'is already there with other content' : 'already exists'
    throw new FileExistsError({
      operation: 'migrate',
      file: file.name,
      reason: `${JSON.stringify(name)} ${reason}; ifExists: 'overwrite' would replace it`,
    })
  }

  async #find(name: string): Promise<ListedFile | null> {
    try {
      return await this.#target.stat(name, { signal: this.#signal })
    } catch (error) {
      // A missing bucket is "not found" as well; the save will say so.
      if (isStorageError(error) && error.code === 'NotFound') return null
      throw error
    }
  }

  async #isSame(ours: ListedFile, theirs: ListedFile): Promise<boolean> {
    if (ours.size !== theirs.size) return false
    const digestOurs = () => this.#digest(this.#source, ours.name)
    const digestTheirs = () => this.#digest(this.#target, theirs.name)
    if (this.#plan.verify) return (await digestOurs()) === (await digestTheirs())
    const [etag, other] = [digestOf(ours.etag), digestOf(theirs.etag)]
    if (etag !== undefined && etag === other) return true
    // The side without an MD5 in its ETag is read first: if it is the MD5 that the other side tells, that will do.
    if (etag === undefined) {
      const digest = await digestOurs()
      return digest === other || digest === (await digestTheirs())
    }
    const digest = await digestTheirs()
    return digest === etag || digest === (await digestOurs())
  }

  /** The MD5 of what a storage holds, streamed. */
  async #digest(storage: Storage, name: string): Promise<string> {
    return this.#read(await storage.open(name, { signal: this.#signal }))
  }

  async #read(file: StoredFile): Promise<string> {
    const hash = createHash('md5')
    // A body may stall long after it was opened.
    for await (const chunk of addAbortSignal(this.#signal, file.stream())) hash.update(chunk)
    return hash.digest('hex')
  }

  async #copy(from: string, to: string): Promise<number> {
    const { ifExists, verify } = this.#plan
    const file = await this.#source.open(from, { signal: this.#signal })
    const hash = createHash('md5')
    const sent = tap(file, verify ? hash : undefined)
    try {
      await this.#target.save(to, sent, {
        ifExists: ifExists === 'overwrite' ? 'overwrite' : 'error',
        signal: this.#signal,
      })
    } finally {
      await sent.close()
    }
    if (verify) await this.#verify(file, to, hash.digest('hex'))
    return file.size
  }

  async #verify({ name: from, size }: ListedFile, to: string, digest: string): Promise<void> {
    const { etag } = await this.#target.stat(to, { signal: this.#signal })
    const held = await this.#target.open(to, { signal: this.#signal })
    if (held.size !== size) await held.close()
    else if ((await this.#read(held)) === digest) return
    const reason = `what the target holds as ${JSON.stringify(to)} is not what was sent`
    const current = await this.#target.stat(to, { signal: this.#signal })
    if (held.etag !== etag || current.etag !== etag)
      throw corrupt(from, `${reason}: it was replaced meanwhile`)
    try {
      await this.#target.delete(to) // Without the signal: an abort just now must not save the broken copy.
    } catch (cause) {
      throw corrupt(from, `${reason}, and it could not be deleted`, cause)
    }
    throw corrupt(from, `${reason}; it was deleted, so that running again copies it afresh`)
  }
}

/**
 * The same file, its content hashed on the way where a hash is given. It keeps its size, which spares a save on S3 the
 * parts. Closing it frees an unread body only: one that is being read is freed by its stream.
 */
function tap(file: StoredFile, hash: Hash | undefined): StoredFile {
  let taken = false
  const take = (): Readable => {
    taken = true
    if (hash === undefined) return file.stream()
    const hashing = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        hash.update(chunk)
        done(null, chunk)
      },
    })
    // An error of the one ends the other; whoever reads gets to see it.
    pipeline(file.stream(), hashing, () => {})
    return hashing
  }
  const body = {
    bytes: async () => Buffer.concat(await take().toArray()),
    stream: take,
    close: async () => {
      if (!taken) await file.close()
    },
  }
  return new StoredFile(file, file.range, body, (error) => error)
}

/** The MD5 that an ETag has the form of. Those of multipart uploads and of the filesystem have another. */
function digestOf(etag: string): string | undefined {
  return /^"([0-9a-f]{32})"$/i.exec(etag)?.[1]?.toLowerCase()
}

/** Each file on its way takes a descriptor or a connection at either end. */
const MAX_CONCURRENCY = 1000

const OPTIONS: OptionNames<MigrateOptions> = {
  ...ABORT_OPTIONS,
  prefix: true,
  targetPrefix: true,
  concurrency: true,
  ifExists: true,
  dryRun: true,
  verify: true,
  onProgress: true,
}

function toPlan(options: MigrateOptions): Plan {
  const signal = toSignal(options)
  checkOptions(options, OPTIONS)
  const { concurrency = 16, ifExists = 'skip', dryRun = false, verify = false, onProgress } = options
  if (!Number.isSafeInteger(concurrency) || concurrency < 1 || concurrency > MAX_CONCURRENCY) {
    throw invalid(`concurrency must be a whole number from 1 to ${MAX_CONCURRENCY}`)
  }
  if (ifExists !== 'skip' && ifExists !== 'overwrite' && ifExists !== 'error') {
    throw invalid("ifExists must be 'skip', 'overwrite' or 'error'")
  }
  // A 'false' out of a configuration file must not become a real run, or the other way round.
  for (const [option, value] of Object.entries({ dryRun, verify })) {
    if (typeof value !== 'boolean') throw invalid(`${option} must be true or false`)
  }
  if (onProgress !== undefined && typeof onProgress !== 'function')
    throw invalid('onProgress must be a function')
  const from = toFolder(options.prefix ?? '', true)
  const to = toFolder(options.targetPrefix ?? '', true)
  return { from, to, concurrency, ifExists, dryRun, verify, onProgress, signal }
}

/** Where a folder of a storage is: a path, or else a public address, or else its name. */
function placeOf(storage: Storage, folder: Folder): string {
  const name = folder === '' ? 'x' : `${folder}/x`
  const path: unknown = Reflect.get(storage, 'path')
  if (typeof path === 'function') return String(Reflect.apply(path, storage, [name])).slice(0, -1)
  try {
    return storage.url(name).slice(0, -1)
  } catch {
    return name.slice(0, -1)
  }
}

function overlap(a: string, b: string): boolean {
  return a.startsWith(b) || b.startsWith(a)
}

/** Whether two storages may keep the same files. Folders on disk are compared by their paths alone. */
function areSame(a: Storage, b: Storage): boolean {
  if (a === b || (hasPaths(a) && hasPaths(b))) return true
  const [one, other] = [String(a), String(b)]
  // `R2Storage(bucket)/folder` of a wrapper is a part of `R2Storage(bucket)`. A label without `(…)` tells nothing.
  return one.includes('(') && other.includes('(') && (one.startsWith(other) || other.startsWith(one))
}

function hasPaths(storage: Storage): boolean {
  return typeof Reflect.get(storage, 'path') === 'function'
}

function invalid(reason: string): StorageError {
  return new StorageError('InvalidArgument', { operation: 'migrate', reason })
}

function aborted(signal: AbortSignal): StorageError {
  return new StorageError('Aborted', {
    operation: 'migrate',
    reason: 'aborted by the caller',
    cause: signal.reason,
  })
}

function corrupt(file: string, reason: string, cause?: unknown): StorageError {
  return new StorageError('Corrupt', { operation: 'migrate', file, reason, cause })
}

function toFailure(error: unknown, file: string): StorageError {
  if (isStorageError(error)) return error
  const reason = error instanceof Error ? error.message : String(error)
  return new StorageError('Unknown', { operation: 'migrate', file, reason, cause: error })
}
