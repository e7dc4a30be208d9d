import { inspect } from 'node:util'
import { accept } from './accept.js'
import { abandon, type Content, defaultsOf, silence, toBody } from './content.js'
import { deleteAll } from './delete-many.js'
import { attachment } from './disposition.js'
import { hasFile, type StorageDriver } from './driver.js'
import { DeleteManyError, Problem } from './errors.js'
import { toAttributes } from './headers.js'
import { listed } from './listed.js'
import { toContentType } from './media-types.js'
import { baseName, compareNames, isName, type Name, toFolder, toName } from './names.js'
import { contextOf, explain, perform, wrap } from './operation.js'
import {
  ABORT_OPTIONS,
  ACCEPT_OPTIONS,
  COPY_OPTIONS,
  checkOptions,
  DELETE_PREFIX_OPTIONS,
  LIST_OPTIONS,
  OPEN_OPTIONS,
  type OptionNames,
  progressReporter,
  SAVE_OPTIONS,
  SIGNED_UPLOAD_OPTIONS,
  SIGNED_URL_OPTIONS,
  toIfExists,
  toOnInvalidName,
  toOnProgress,
  toRange,
  toSigningTimes,
  toSourceTimeout,
} from './options.js'
import { freeName, publish, stageCopy } from './publish.js'
import { StoredFile } from './stored-file.js'
import { type Tee, tee } from './tee.js'
import type { OperationEvent } from './telemetry.js'
import type {
  AbortOptions,
  AcceptOptions,
  CopyOptions,
  DeletePrefixOptions,
  DirectoryListing,
  FileInfo,
  ListedFile,
  ListOptions,
  OpenOptions,
  SaveOptions,
  SignedUpload,
  SignedUploadOptions,
  SignedUrlOptions,
} from './types.js'
import { applyRules, toUploadRules } from './uploads.js'

const NO_SUCH_FILE = 'there is no such file'
/** Shared by the ESM and the CommonJS copy of this package, so that each can wrap the other's storages. */
export const DRIVER = Symbol.for('stowage.driver')

/** Whether a value is a storage, also one of another copy of this package. Does not make the default storage. */
export function isStorage(value: unknown): value is Storage {
  return typeof value === 'object' && value !== null && (value instanceof Storage || DRIVER in value)
}

/** The driver of a storage: for functions that make a storage of another one, as {@link prefixed} does. */
export function driverOf(storage: Storage): StorageDriver {
  return Reflect.get(storage, DRIVER)
}

/** The storage that a stand-in such as the default storage passes its calls on to. */
export const BEHIND = Symbol.for('stowage.behind')

/** The driver of a storage whose `method` is the one below. A subclass or a test may have put another in its place. */
export function driverBehind(storage: Storage, method: 'list' | 'open'): StorageDriver | undefined {
  const behind: Storage = (!Object.hasOwn(storage, method) && Reflect.get(storage, BEHIND)) || storage
  return behind[method] === Storage.prototype[method] ? driverOf(behind) : undefined
}

/**
 * A place for files. `Storage` holds all policy, once: names, defaults, collisions, limits, errors. Its driver does the
 * I/O: see {@link StorageDriver} for how to write a backend.
 *
 * Every method rejects with a {@link StorageError}. Only `url` is synchronous, and throws it.
 */
export abstract class Storage {
  readonly #driver: StorageDriver

  protected constructor(driver: StorageDriver) {
    this.#driver = driver
    Object.defineProperty(this, DRIVER, { value: driver })
  }

  /** Names the storage, without a secret: `R2Storage(chat-files)`. */
  toString(): string {
    return this.#driver.label
  }

  [inspect.custom](): string {
    return this.toString()
  }

  /**
   * Stores a file and returns the name that it got.
   *
   * Never overwrites unless told to: a taken name is resolved without a race, across processes and machines. All or
   * nothing: readers see the old content or the new, and a save that fails or is aborted leaves nothing behind.
   *
   * @throws {InvalidNameError} before anything is touched.
   * @throws {FileExistsError} with `ifExists: 'error'`, and on disk where a folder of the name is a file.
   * @throws {UploadRejectedError} when `maxSize` or `allowedTypes` are broken.
   * @throws {StorageError} with code `Full`, `PermissionDenied`, `Unavailable`, … An error of the content's own source
   * is thrown unchanged.
   * @example
   * const name = await storage.save('documents/42/report.pdf', file, { contentType: 'application/pdf' })
   */
  async save(name: string, content: Content, options: SaveOptions = {}): Promise<string> {
    silence(content)
    try {
      return await this.#onName('save', name, options, SAVE_OPTIONS, (target, signal, event) =>
        this.#save(target, content, options, signal, event),
      )
    } catch (error) {
      abandon(content)
      throw error
    }
  }

  /**
   * Saves a source while somebody listens to it, such as speech that is played while it is generated.
   *
   * The listener's pace is the source's pace. A listener who leaves does not stop the save, and a save that fails does
   * not stop the listener. A source that fails ends both with its error, and nothing is stored. A listener who reads
   * nothing for `sourceTimeout` counts as gone. `signal` aborts only the save. When both are gone, the source is closed.
   *
   * Throws nothing itself. Neither `saved` nor `stream` has to be waited for.
   *
   * @example
   * const { stream, saved } = storage.tee(aiSpeechPath(roomId, messageId), speech)
   * stream.pipe(response)
   * const name = await saved
   */
  tee(name: string, source: Content, options: SaveOptions = {}): Tee {
    const context = { operation: 'tee', file: String(name), storage: this.toString() }
    return tee((content, settings) => this.save(name, content, settings), source, options, context)
  }

  async #save(
    target: Name,
    content: Content,
    options: SaveOptions,
    signal: AbortSignal | undefined,
    event: OperationEvent | undefined,
  ): Promise<Name> {
    // The caller may change the options once this waits, so all of them are read before.
    const ifExists = toIfExists(options.ifExists)
    const rules = toUploadRules(options)
    const onProgress = toOnProgress(options)
    const sourceTimeout = toSourceTimeout(options)
    const attributing = toAttributes(target, options, defaultsOf(content))
    const body = toBody(content, sourceTimeout)
    const attributes = await attributing
    const judged = await applyRules(body, rules, attributes.contentType, signal)
    const progress = progressReporter(onProgress, judged.body.size)
    const staged = await this.#driver.stage({
      name: target,
      body: judged.body,
      attributes:
        judged.contentType === undefined ? attributes : { ...attributes, contentType: judged.contentType },
      signal,
      progress: progress.report,
    })
    const stored = await publish(this.#driver, staged, target, ifExists, signal)
    const bytes = progress.finish()
    if (event) event.bytes = bytes
    return stored
  }

  /**
   * Opens a file for reading. Costs one request; the content is fetched as it is read.
   *
   * @throws {FileNotFoundError} here, not later.
   * @throws {StorageError} `RangeNotSatisfiable` for a range that starts at or past the end.
   * @example const text = await (await storage.open('notes/today.txt')).text()
   */
  async open(name: string, options: OpenOptions = {}): Promise<StoredFile> {
    return this.#onName('open', name, options, OPEN_OPTIONS, async (target, signal, event) => {
      const { state, range, body } = await this.#driver.read({
        name: target,
        range: toRange(options.range),
        signal,
      })
      if (event) event.bytes = range.length
      const toPublic = (error: unknown) => explain(this.#driver, error, 'read', name, signal)
      return new StoredFile({ name: target, ...state }, range, body, toPublic, signal)
    })
  }

  /** Whether there is a file of this name. False only when the backend says so: if it cannot tell, this rejects. */
  async exists(name: string, options: AbortOptions = {}): Promise<boolean> {
    return this.#onName('exists', name, options, ABORT_OPTIONS, (target, signal) =>
      hasFile(this.#driver, target, signal),
    )
  }

  /** Everything known about a file. @throws {FileNotFoundError} */
  async stat(name: string, options: AbortOptions = {}): Promise<FileInfo> {
    return this.#stat('stat', name, options)
  }

  /** The size of a file in bytes. @throws {FileNotFoundError} */
  async size(name: string, options: AbortOptions = {}): Promise<number> {
    return (await this.#stat('size', name, options)).size
  }

  async #stat(operation: string, name: string, options: AbortOptions): Promise<FileInfo> {
    return this.#onName(operation, name, options, ABORT_OPTIONS, async (target, signal) => {
      const state = await this.#driver.head(target, signal)
      if (state === null) throw new Problem('NotFound', NO_SUCH_FILE)
      return { name: target, ...state }
    })
  }

  /**
   * The public address of a file, percent-encoded per segment. Synchronous and without I/O: it does not tell whether
   * the file is there. @throws {InvalidNameError}
   */
  url(name: string): string {
    try {
      return this.#driver.locate(this.#toName(name))
    } catch (error) {
      throw explain(this.#driver, error, 'url', name, undefined)
    }
  }

  /**
   * A private address. Anyone who has it can read the file until it expires. It does not say whether the file exists.
   *
   * @throws {StorageError} `InvalidArgument` for times out of range, `Unsupported` where the backend cannot sign.
   * @example await storage.signedUrl('documents/42/report.pdf', { expiresIn: 300, download: true })
   */
  async signedUrl(name: string, options: SignedUrlOptions = {}): Promise<string> {
    return this.#onName('signedUrl', name, options, SIGNED_URL_OPTIONS, async (target, signal) => {
      const { method = 'GET', download = false, contentType, stableFor } = options
      if (method !== 'GET' && method !== 'HEAD') {
        throw new Problem('InvalidArgument', "method must be 'GET' or 'HEAD'")
      }
      if (typeof download !== 'boolean' && (typeof download !== 'string' || download === '')) {
        throw new Problem('InvalidArgument', 'download must be true, false or a file name')
      }
      const times = toSigningTimes(options.expiresIn, stableFor)
      return this.#driver.sign({
        name: target,
        method,
        ...times,
        contentDisposition:
          download === false ? undefined : attachment(download === true ? baseName(target) : download),
        contentType: contentType ? toContentType(contentType) : undefined,
        signal,
      })
    })
  }

  /**
   * An address that lets a browser send one file straight to the backend, which refuses any other size and type and,
   * unless `ifExists` is `'overwrite'`, to replace a file. The bytes are not checked yet: see {@link accept}.
   *
   * @throws {StorageError} `InvalidArgument` for a size, a type or a time out of range, `Unsupported` where the backend
   * cannot sign.
   * @example
   * const upload = await storage.signedUpload(chatUploadPath('photo.png'), { size: file.size, contentType: file.type })
   * // in the browser:
   * await fetch(upload.url, { method: upload.method, headers: upload.headers, body: file })
   */
  async signedUpload(name: string, options: SignedUploadOptions): Promise<SignedUpload> {
    return this.#onName('signedUpload', name, options, SIGNED_UPLOAD_OPTIONS, async (target, signal) => {
      const { size, cacheControl, metadata } = options
      if (!Number.isSafeInteger(size) || size < 0) {
        throw new Problem('InvalidArgument', 'size must be the exact number of bytes that will be uploaded')
      }
      const contentType = options.contentType === '' ? undefined : toContentType(options.contentType)
      const ifExists = toIfExists(options.ifExists)
      const times = toSigningTimes(options.expiresIn, undefined)
      const attributes = await toAttributes(target, { contentType, cacheControl, metadata })
      const chosen = ifExists === 'rename' ? await freeName(this.#driver, target, signal) : target
      const createOnly = ifExists !== 'overwrite'
      const request = { name: chosen, size, ...times, createOnly, attributes, signal }
      const { url, headers, endsAt } = await this.#driver.signUpload(request)
      const expiry = times.signedAt.getTime() + times.expiresIn * 1000
      const expiresAt = new Date(Math.min(expiry, endsAt?.getTime() ?? expiry))
      return { method: 'PUT', url, headers, name: chosen, expiresAt }
    })
  }

  /** Deletes a file. A missing one is success. Never deletes a folder. */
  async delete(name: string, options: AbortOptions = {}): Promise<void> {
    return this.#onName('delete', name, options, ABORT_OPTIONS, async (target, signal) => {
      const [failure] = await this.#driver.remove([target], signal)
      if (failure) throw failure.error
    })
  }

  /**
   * Deletes any number of files, 1,000 a request on R2 and S3. Missing ones are success. The names of an array or any
   * other plain iterable are all checked before the first file is deleted; those of an async iterable as they come.
   *
   * @throws {DeleteManyError} when some could not be deleted; all the others were.
   * @throws {StorageError} when none was deleted, for a reason that concerns all of them: `Unavailable`, …
   */
  async deleteMany(
    names: Iterable<string> | AsyncIterable<string>,
    options: AbortOptions = {},
  ): Promise<void> {
    return this.perform('deleteMany', undefined, options, async (signal) => {
      checkOptions(options, ABORT_OPTIONS)
      const remove = (batch: readonly Name[]) => this.#driver.remove(batch, signal)
      const { deleted, failures } = await deleteAll(names, this.#driver.nameLimit, remove, signal)
      if (failures.length === 0) return
      const explained = failures.map(({ name, error }) => ({
        name,
        error: wrap(this.#driver, error, contextOf(this.#driver, 'deleteMany', name)),
      }))
      throw new DeleteManyError(deleted, explained, contextOf(this.#driver, 'deleteMany', undefined))
    })
  }

  /**
   * Deletes everything below a folder, never a sibling: `users/1` leaves `users/10` alone. Refuses the root.
   * With `dryRun` it only counts.
   *
   * @throws {InvalidNameError} for the root, or a folder that breaks the naming rule.
   */
  async deletePrefix(
    prefix: string,
    options: DeletePrefixOptions = {},
  ): Promise<{
    /** How many files were deleted, or would be. */
    deleted: number
  }> {
    return this.perform('deletePrefix', prefix, options, async (signal) => {
      const folder = toFolder(prefix, false)
      checkOptions(options, DELETE_PREFIX_OPTIONS)
      if (folder === '') throw new Problem('InvalidName', 'deletePrefix refuses the root')
      const { dryRun = false } = options
      if (typeof dryRun !== 'boolean') throw new Problem('InvalidArgument', 'dryRun must be true or false')
      return { deleted: await this.#driver.removeBelow(folder, dryRun, signal) }
    })
  }

  /**
   * The files below a folder, of all depths, in UTF-8 byte order, fetched as they are asked for. A missing folder has
   * none. Files whose names break the naming rule (put there by others, such as the key `a//b`) are left out;
   * `onInvalidName` is told.
   *
   * @example for await (const { name, size } of storage.list('documents/42')) console.log(name, size)
   */
  async *list(prefix = '', options: ListOptions = {}): AsyncIterable<ListedFile> {
    for await (const files of listed(this.#driver, prefix, options)) {
      for (const file of files) {
        yield file
        if (options.signal?.aborted) break // The next batch rejects.
      }
    }
  }

  /**
   * One level of a folder, as base names in UTF-8 byte order. A missing folder is empty. Names that break the naming rule
   * are left out, and `onInvalidName` is told, as for {@link list}.
   */
  async listdir(path = '', options: ListOptions = {}): Promise<DirectoryListing> {
    return this.perform('listdir', path, options, async (signal) => {
      const folder = toFolder(path, true)
      checkOptions(options, LIST_OPTIONS)
      const onInvalidName = toOnInvalidName(options)
      const listing: DirectoryListing = { directories: [], files: [] }
      for await (const batch of this.#driver.listdir(folder, signal)) {
        for (const { kind, name } of batch) {
          if (isName(name)) listing[kind === 'file' ? 'files' : 'directories'].push(baseName(name))
          else onInvalidName?.(kind === 'file' ? name : `${name}/`)
        }
        signal?.throwIfAborted()
      }
      // Entries come in the order of `name/`; users expect the order of `name`.
      listing.directories.sort(compareNames)
      return listing
    })
  }

  /**
   * Copies a file with its content type, headers and metadata, on the server where the backend can. Returns the name
   * that the copy got.
   *
   * @throws {FileNotFoundError} when the source is missing; the target is untouched then.
   * @throws {FileExistsError} with `ifExists: 'error'`.
   */
  async copy(from: string, to: string, options: CopyOptions = {}): Promise<string> {
    return this.#copy('copy', from, to, options)
  }

  /**
   * Moves a file; otherwise as {@link copy}. A move onto itself does nothing. On R2 and S3 a move is a copy and a
   * delete: if the delete fails, both files are there and the error says so.
   *
   * @throws {FileNotFoundError} when the source is missing; the target is untouched then.
   * @throws {FileExistsError} with `ifExists: 'error'`; the source stays.
   */
  async move(from: string, to: string, options: CopyOptions = {}): Promise<string> {
    return this.#copy('move', from, to, options)
  }

  /**
   * Judges a file that somebody else put there, such as a direct upload, and moves it to `to` with the type that its
   * bytes have. Its headers and metadata travel along. Reads at most 64 KiB, and only for `allowedTypes`. `from` and `to`
   * may be the same name: the file is judged in place, and only its type changes. Returns the name that the file got.
   *
   * The judged version is the moved one: if the file is replaced meanwhile, this rejects with `Unavailable`.
   *
   * @throws {UploadRejectedError} when a rule is broken; the file is deleted then.
   * @throws {FileExistsError} with `ifExists: 'error'`; the file stays.
   * @throws {FileNotFoundError} when nothing was uploaded.
   * @example
   * const { name } = await storage.signedUpload(`incoming/${id}`, { size, contentType }) // and the browser sends it
   * const avatar = await storage.accept(name, userAvatarPath(id, filename), { allowedTypes: ['image/*'], maxSize })
   */
  async accept(from: string, to: string, options: AcceptOptions): Promise<string> {
    return this.#onName('accept', from, options, ACCEPT_OPTIONS, (source, signal) => {
      const [rules, ifExists] = [toUploadRules(options), toIfExists(options.ifExists)]
      return accept(this.#driver, { from: source, to: this.#toName(to), rules, ifExists, signal })
    })
  }

  async #copy(operation: 'copy' | 'move', from: string, to: string, options: CopyOptions): Promise<string> {
    return this.#onName(operation, from, options, COPY_OPTIONS, async (source, signal) => {
      const target = this.#toName(to)
      const ifExists = toIfExists(options.ifExists)
      if (source === target && (operation === 'move' || ifExists === 'overwrite')) {
        if (!(await hasFile(this.#driver, source, signal))) throw new Problem('NotFound', NO_SUCH_FILE)
        return target
      }
      const move = operation === 'move'
      const request = { from: source, move, version: undefined, contentType: undefined, signal }
      return publish(this.#driver, await stageCopy(this.#driver, request), target, ifExists, signal)
    })
  }

  #toName(name: string): Name {
    return toName(name, this.#driver.nameLimit)
  }

  /** An operation on one file. The name is checked first, then the options. */
  #onName<T, Options extends AbortOptions>(
    operation: string,
    name: string,
    options: Options,
    known: OptionNames<Options>,
    work: (target: Name, signal: AbortSignal | undefined, event: OperationEvent | undefined) => Promise<T>,
  ): Promise<T> {
    return perform(this.#driver, operation, name, options, async (signal, event) => {
      const target = this.#toName(name)
      checkOptions(options, known)
      return work(target, signal, event)
    })
  }

  /**
   * Runs a public method: rejects with a `StorageError`, or with the very error of the caller's own source. For methods
   * that a subclass adds.
   */
  protected async perform<T>(
    operation: string,
    file: string | undefined,
    options: AbortOptions,
    work: (signal: AbortSignal | undefined) => Promise<T>,
  ): Promise<T> {
    return perform(this.#driver, operation, file, options, work)
  }
}
