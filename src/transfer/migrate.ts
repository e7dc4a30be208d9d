import type { Hash } from 'node:crypto'
import { addAbortSignal, pipeline, type Readable, Transform } from 'node:stream'
import { crypto } from '../crypto.js'
import { FileExistsError, InvalidNameError, inContext, isStorageError, StorageError } from '../errors.js'
import { type Folder, toFolder } from '../names.js'
import { ABORT_OPTIONS, checkOptions, type OptionNames, toSignal } from '../options.js'
import { allowManyListeners, either } from '../signals.js'
import type { Storage } from '../storage.js'
import { StoredFile } from '../stored-file.js'
import type { AbortOptions, ListedFile } from '../types.js'

/** Options of {@link migrate}. */
export interface MigrateOptions extends AbortOptions {
  /** The folder of the source to copy. Default: all files. */
  prefix?: string | undefined
  /** The folder of the target. A copy keeps its name relative to `prefix`. Default: the root. */
  targetPrefix?: string | undefined
  /** Files copied at a time, 1 to 1,000. Default 16. */
  concurrency?: number | undefined
  /**
   * What to do with a name that the target already has. `'skip'` (default) skips the same content and fails other
   * content. `'error'` fails both. `'overwrite'` replaces both.
   */
  ifExists?: 'skip' | 'overwrite' | 'error' | undefined
  /** Report the result and write nothing. Existing files are still read to compare them. Default false. */
  dryRun?: boolean | undefined
  /**
   * Read every copy back, and compare its size and MD5 with the sent bytes. With `'skip'`, existing files are also
   * compared by their bytes, never by ETag. Default false.
   */
  verify?: boolean | undefined
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
}

/** One file that was not copied. */
export interface MigrateFailure {
  /** Its name in the source. */
  readonly name: string
  /** Why it was not copied. */
  readonly error: StorageError
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
 * - Deletes nothing in the source. In the target it deletes only a broken copy that `verify` has found. A file that only
 *   the target has is left alone.
 * - A file that fails is in `failed` and does not stop the others.
 * - A name that breaks the naming rule, such as one in NFD from a Mac, is in `failed`: rename the file at the source.
 *   Symbolic links are not listed, so they are not copied.
 * - A file that is deleted after it was listed is in `failed` with `NotFound`. The next run does not list it.
 * - Contents are equal if their sizes and MD5s are equal. Both files are read unless an ETag proves it: the ETag is the
 *   MD5 just computed, or both ETags are MD5s and equal. Headers and metadata of an existing file are not compared.
 * - If `verify` finds that a copy differs from the sent bytes, the copy is deleted and fails with `Corrupt`, so that no
 *   broken file is served. The next run copies it again. A copy that another writer has replaced stays.
 * - Memory is constant for any number and size of files; only failures are collected.
 * - The two folders must not overlap, because copies would be listed and copied again. An overlap is detected if both
 *   storages are one object or have the same `toString()`, and one folder's `path()`, or else `url()`, contains the
 *   other's.
 * - The target must not be a `readThrough` storage whose older storage is the source: it finds every file in place.
 *
 * @throws {StorageError} `InvalidArgument` for options, `Aborted` after all running copies have ended, or the error of
 * the source's listing.
 * @throws {InvalidNameError} for a prefix that breaks the naming rule.
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
  if (readsThrough(target, source)) {
    throw invalid(
      'target reads through to source, so nothing would be copied: give the storage in front of it',
    )
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
  /** Ends all workers if one of them meets an error that is not about a single file. */
  readonly #stop = new AbortController()
  readonly #signal: AbortSignal

  constructor(source: Storage, target: Storage, plan: Plan) {
    this.#source = source
    this.#target = target
    this.#plan = plan
    this.#signal = either(plan.signal, this.#stop.signal)
    allowManyListeners(this.#signal) // Every running copy adds one.
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

  /** Never rejects, so that `run` continues only after all workers have ended. */
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

  /** The number of bytes copied, or null if the target already had the file. */
  async #transfer(file: ListedFile, name: string): Promise<number | null> {
    const { ifExists, dryRun } = this.#plan
    if (ifExists === 'overwrite') return dryRun ? file.size : this.#copy(file.name, name)
    if (await this.#isThere(file, name)) return null
    if (dryRun) return file.size
    try {
      return await this.#copy(file.name, name)
    } catch (error) {
      // Another writer, perhaps another run of this migration, stored it meanwhile.
      if (isStorageError(error) && error.code === 'AlreadyExists' && (await this.#isThere(file, name)))
        return null
      throw error
    }
  }

  /** Whether the target has the same file. Throws if it has another one, or any with `ifExists: 'error'`. */
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
      // A missing bucket is `NotFound` as well. Then the save fails.
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
    // Reads the side without an MD5 in its ETag first: if its MD5 is the other ETag, one read is enough.
    if (etag === undefined) {
      const digest = await digestOurs()
      return digest === other || digest === (await digestTheirs())
    }
    const digest = await digestTheirs()
    return digest === etag || digest === (await digestOurs())
  }

  /** The MD5 of a file in a storage, streamed. */
  async #digest(storage: Storage, name: string): Promise<string> {
    return this.#read(await storage.open(name, { signal: this.#signal }))
  }

  async #read(file: StoredFile): Promise<string> {
    const hash = crypto().createHash('md5')
    // The body may stall after it was opened.
    for await (const chunk of addAbortSignal(this.#signal, file.stream())) hash.update(chunk)
    return hash.digest('hex')
  }

  async #copy(from: string, to: string): Promise<number> {
    const { ifExists, verify } = this.#plan
    const file = await this.#source.open(from, { signal: this.#signal })
    const hash = crypto().createHash('md5')
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
    const reason = `the copy ${JSON.stringify(to)} differs from the bytes that were sent`
    const current = await this.#target.stat(to, { signal: this.#signal })
    if (held.etag !== etag || current.etag !== etag)
      throw corrupt(from, `${reason}; another writer has replaced it meanwhile`)
    try {
      await this.#target.delete(to) // Without the signal: an abort must not keep the broken copy.
    } catch (cause) {
      throw corrupt(from, `${reason}, and it could not be deleted`, cause)
    }
    throw corrupt(from, `${reason}; it was deleted, so run the migration again`)
  }
}

/**
 * The same file, with its content hashed on the way if there is a hash. It keeps its size, so a save on S3 may need no
 * parts. Closing it frees only an unread body; a stream frees its own.
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
    // An error of one stream ends the other, and reaches the reader.
    pipeline(file.stream(), hashing, () => {})
    return hashing
  }
  const body = {
    unreadTimeout: 0, // The file sees to that itself.
    bytes: async () => Buffer.concat(await take().toArray()),
    stream: take,
    close: async () => {
      if (!taken) await file.close()
    },
  }
  return new StoredFile(file, file.range, body, (error) => error)
}

/** The MD5 in an ETag. ETags of multipart uploads and of the filesystem have another form. */
function digestOf(etag: string): string | undefined {
  return /^"([0-9a-f]{32})"$/i.exec(etag)?.[1]?.toLowerCase()
}

/** Each running copy takes a descriptor or a connection at both ends. */
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
  // The text 'false' of a configuration file must not count as true.
  for (const [option, value] of Object.entries({ dryRun, verify })) {
    if (typeof value !== 'boolean') throw invalid(`${option} must be true or false`)
  }
  if (onProgress !== undefined && typeof onProgress !== 'function')
    throw invalid('onProgress must be a function')
  const from = toFolder(options.prefix ?? '', true)
  const to = toFolder(options.targetPrefix ?? '', true)
  return { from, to, concurrency, ifExists, dryRun, verify, onProgress, signal }
}

/** The place of a folder: its path, or else its public address, or else its name. */
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

/** Whether two storages may hold the same files. On disk only the paths of the folders count. */
function areSame(a: Storage, b: Storage): boolean {
  if (a === b || (hasPaths(a) && hasPaths(b))) return true
  const [one, other] = [String(a), String(b)]
  // `R2Storage(bucket)/folder` of a wrapper is a part of `R2Storage(bucket)`. Only a label with `(…)` is an identity.
  return one.includes('(') && other.includes('(') && (one.startsWith(other) || other.startsWith(one))
}

/** Whether every file of `older` is already seen through `storage`: `readThrough(R2Storage(b), FileSystemStorage(/x))`. */
function readsThrough(storage: Storage, older: Storage): boolean {
  const [label, part] = [String(storage), String(older)]
  return label.startsWith('readThrough(') && part.includes('(') && label.endsWith(`, ${part})`)
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
