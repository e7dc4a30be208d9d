import { batchesOf } from './batches.js'
import { abandon, silence, toBody } from './content.js'
import {
  type DeleteFailure,
  DeleteManyError,
  type ErrorContext,
  FileNotFoundError,
  isStorageError,
  Problem,
  SourceFailure,
  StorageError,
  toStorageError,
} from './errors.js'
import type {
  Entry,
  FileState,
  OpenedFile,
  ReadRequest,
  SignRequest,
  SignUploadRequest,
  StageCopyRequest,
  Staged,
  StageRequest,
} from './hooks.js'
import { attachment, toAttributes, toContentType } from './metadata.js'
import {
  alternativeName,
  baseName,
  compareNames,
  type Folder,
  isName,
  MAX_NAME_BYTES,
  type Name,
  toFolder,
  toName,
} from './names.js'
import {
  ABORT_OPTIONS,
  COPY_OPTIONS,
  checkOptions,
  DELETE_PREFIX_OPTIONS,
  LIST_OPTIONS,
  OPEN_OPTIONS,
  progressReporter,
  SAVE_OPTIONS,
  SIGNED_UPLOAD_OPTIONS,
  SIGNED_URL_OPTIONS,
  toIfExists,
  toOnInvalidName,
  toOnProgress,
  toRange,
  toSignal,
  toSigningTimes,
} from './options.js'
import { StoredFile } from './stored-file.js'
import type {
  AbortOptions,
  Content,
  CopyOptions,
  DeletePrefixOptions,
  DirectoryListing,
  FileInfo,
  IfExists,
  ListedFile,
  ListOptions,
  OpenOptions,
  SaveOptions,
  SignedUpload,
  SignedUploadOptions,
  SignedUrlOptions,
} from './types.js'
import { applyRules, toUploadRules } from './uploads.js'

/**
 * A place for files. The public methods hold all policy, once: naming, defaults, collisions, limits, errors. A backend
 * extends this class and fills in the protected hooks, which do I/O only: their input is checked and complete, they
 * throw whatever happens, and `classify` says what it means.
 *
 * Every method rejects with a `StorageError`; only `url` is synchronous and throws it.
 */
export abstract class Storage {
  /** How the storage calls itself in errors: `FileSystemStorage(/srv/uploads)`. MUST NOT hold a secret. */
  protected abstract readonly label: string
  /** Bytes a name may have; less than 1,024 where a prefix takes its share. */
  protected get nameLimit(): number {
    return MAX_NAME_BYTES
  }

  /** Takes the content in, as far as that can be done without a name. On failure it MUST leave nothing behind. */
  protected abstract stage(request: StageRequest): Promise<Staged>
  /** Prepares a copy of a file with its attributes. A missing source MUST be found here and be `NotFound`. */
  protected abstract stageCopy(request: StageCopyRequest): Promise<Staged>
  /** Opens a file; a missing one is `NotFound`, a range that starts past its end `RangeNotSatisfiable`. */
  protected abstract read(request: ReadRequest): Promise<OpenedFile>
  /** What is known about a file, or null where there is none. MUST throw when the backend cannot tell. */
  protected abstract head(name: Name, signal: AbortSignal | undefined): Promise<FileState | null>
  /** Whether there is a file; for backends that can tell that with less than `head`. */
  protected async has(name: Name, signal: AbortSignal | undefined): Promise<boolean> {
    return (await this.head(name, signal)) !== null
  }
  /** Deletes at most 1,000 files; missing ones are success. The failures are returned, a general one is thrown. */
  protected abstract remove(
    names: readonly Name[],
    signal: AbortSignal | undefined,
  ): Promise<readonly { readonly name: Name; readonly error: unknown }[]>
  /** Deletes (or with `dryRun` counts) all files below a folder, also ones that no name fits. */
  protected abstract removeBelow(
    folder: Name,
    dryRun: boolean,
    signal: AbortSignal | undefined,
  ): Promise<number>
  /** The entries below a folder in batches, in UTF-8 byte order of their full names; a missing folder has none. */
  protected abstract entries(
    folder: Folder,
    recursive: boolean,
    signal: AbortSignal | undefined,
  ): AsyncIterable<readonly Entry[]>
  /** The public address. No I/O. */
  protected abstract locate(name: Name): string
  protected abstract sign(request: SignRequest): Promise<string>
  /** The address for one upload, the headers that the uploader must send, and when what it is signed with ends, if it does. */
  protected abstract signUpload(request: SignUploadRequest): Promise<{
    readonly url: string
    readonly headers: Record<string, string>
    readonly endsAt?: Date | undefined
  }>
  /** Says what an error of the hooks means. */
  protected abstract classify(error: unknown): Problem

  /**
   * Stores a file and tells the name that it really got.
   *
   * Never overwrites unless told to: a taken name is resolved without a race, across processes and machines. All or
   * nothing: readers see the old content or the new, and a save that fails or is aborted leaves nothing behind.
   *
   * @throws {InvalidNameError} before anything is touched.
   * @throws {FileExistsError} with `ifExists: 'error'`, or when a name below a file is asked for on disk.
   * @throws {UploadRejectedError} when `maxSize` or `allowedTypes` are broken.
   * @throws {StorageError} with code `Full`, `PermissionDenied`, `Unavailable`, …; an error of the content's own source
   * is thrown as it is.
   * @example
   * const name = await storage.save('documents/42/report.pdf', file, { contentType: 'application/pdf' })
   */
  async save(name: string, content: Content, options: SaveOptions = {}): Promise<string> {
    silence(content)
    try {
      return await this.perform('save', name, options, (context, signal) =>
        this.#save(toName(name, 'save', this.nameLimit), content, options, context, signal),
      )
    } catch (error) {
      abandon(content)
      throw error
    }
  }

  async #save(
    target: Name,
    content: Content,
    options: SaveOptions,
    context: ErrorContext,
    signal: AbortSignal | undefined,
  ): Promise<Name> {
    // All options are read before anything is waited for: they are the caller's, who may go on with them.
    checkOptions(options, SAVE_OPTIONS)
    const ifExists = toIfExists(options.ifExists)
    const rules = toUploadRules(options)
    const onProgress = toOnProgress(options)
    const attributing = toAttributes(target, options)
    const body = toBody(content)
    const attributes = await attributing
    const judged = await applyRules(body, rules, attributes.contentType, context, signal)
    const progress = progressReporter(onProgress, judged.body.size)
    const staged = await this.stage({
      name: target,
      body: judged.body,
      attributes:
        judged.contentType === undefined ? attributes : { ...attributes, contentType: judged.contentType },
      signal,
      progress: progress.report,
    })
    const stored = await this.#publish(staged, target, ifExists, 'save', signal)
    progress.finish()
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
    return this.perform('open', name, options, async (context, signal) => {
      const target = toName(name, 'open', this.nameLimit)
      checkOptions(options, OPEN_OPTIONS)
      const opened = await this.read({ name: target, range: toRange(options.range), signal })
      const explain = (error: unknown) => this.#explain(error, { ...context, operation: 'read' }, signal)
      return new StoredFile({ name: target, ...opened.state }, opened.range, opened.body, explain, signal)
    })
  }

  /** Whether there is a file of this name. False only when the backend says so: if it cannot tell, this rejects. */
  async exists(name: string, options: AbortOptions = {}): Promise<boolean> {
    return this.perform('exists', name, options, async (_, signal) => {
      const target = toName(name, 'exists', this.nameLimit)
      checkOptions(options, ABORT_OPTIONS)
      return this.has(target, signal)
    })
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
    return this.perform(operation, name, options, async (context, signal) => {
      const target = toName(name, operation, this.nameLimit)
      checkOptions(options, ABORT_OPTIONS)
      const state = await this.head(target, signal)
      if (state === null) throw new FileNotFoundError({ ...context, reason: 'there is no such file' })
      return { name: target, ...state }
    })
  }

  /**
   * The public address of a file, percent-encoded per segment. Synchronous and without I/O: it does not tell whether
   * the file is there. @throws {InvalidNameError}
   */
  url(name: string): string {
    return this.locate(toName(name, 'url', this.nameLimit))
  }

  /**
   * A private address that anybody who has it may read the file at, until it expires. Does not tell whether the file
   * is there.
   *
   * @throws {StorageError} `InvalidArgument` for times out of range, `Unsupported` where the backend cannot sign.
   * @example await storage.signedUrl('documents/42/report.pdf', { expiresIn: 300, download: true })
   */
  async signedUrl(name: string, options: SignedUrlOptions = {}): Promise<string> {
    return this.perform('signedUrl', name, options, async (_, signal) => {
      const target = toName(name, 'signedUrl', this.nameLimit)
      checkOptions(options, SIGNED_URL_OPTIONS)
      const { download = false, contentType, stableFor } = options
      if (typeof download !== 'boolean' && (typeof download !== 'string' || download === '')) {
        throw new Problem('InvalidArgument', 'download must be true, false or a file name')
      }
      const times = toSigningTimes(options.expiresIn, stableFor)
      return this.sign({
        name: target,
        ...times,
        contentDisposition:
          download === false ? undefined : attachment(download === true ? baseName(target) : download),
        contentType: contentType === undefined ? undefined : toContentType(contentType),
        signal,
      })
    })
  }

  /**
   * An address that lets a browser send one file straight to the backend, which refuses any other size and type and,
   * unless `ifExists` is `'overwrite'`, to replace a file.
   *
   * @example
   * const upload = await storage.signedUpload(chatUploadPath('photo.png'), { size: file.size, contentType: file.type })
   * // in the browser:
   * await fetch(upload.url, { method: upload.method, headers: upload.headers, body: file })
   */
  async signedUpload(name: string, options: SignedUploadOptions): Promise<SignedUpload> {
    return this.perform('signedUpload', name, options, async (_, signal) => {
      const target = toName(name, 'signedUpload', this.nameLimit)
      checkOptions(options, SIGNED_UPLOAD_OPTIONS)
      const { size, cacheControl, metadata } = options
      if (!Number.isSafeInteger(size) || size < 0) {
        throw new Problem('InvalidArgument', 'size must be the exact number of bytes that will be uploaded')
      }
      const contentType = toContentType(options.contentType)
      const ifExists = toIfExists(options.ifExists)
      const times = toSigningTimes(options.expiresIn, undefined)
      const attributes = await toAttributes(target, { contentType, cacheControl, metadata })
      const chosen = ifExists === 'rename' ? await this.#freeName(target, signal) : target
      const createOnly = ifExists !== 'overwrite'
      const request = { name: chosen, size, ...times, createOnly, attributes, signal }
      const { url, headers, endsAt } = await this.signUpload(request)
      const expiry = times.signedAt.getTime() + times.expiresIn * 1000
      const expiresAt = new Date(Math.min(expiry, endsAt?.getTime() ?? expiry))
      return { method: 'PUT', url, headers, name: chosen, expiresAt }
    })
  }

  /** Deletes a file. A missing one is success. Never deletes a folder. */
  async delete(name: string, options: AbortOptions = {}): Promise<void> {
    return this.perform('delete', name, options, async (_, signal) => {
      const target = toName(name, 'delete', this.nameLimit)
      checkOptions(options, ABORT_OPTIONS)
      const [failure] = await this.remove([target], signal)
      if (failure) throw failure.error
    })
  }

  /**
   * Deletes any number of files, 1,000 a request on R2 and S3. Missing ones are success. The names of an array or any
   * other plain iterable are all checked before the first file is deleted; those of an async iterable as they come.
   *
   * @throws {DeleteManyError} when some could not be deleted; all the others were.
   * @throws {StorageError} when none was deleted, for a reason that is about none of them: `Unavailable`, …
   */
  async deleteMany(
    names: Iterable<string> | AsyncIterable<string>,
    options: AbortOptions = {},
  ): Promise<void> {
    return this.perform('deleteMany', undefined, options, async (context, signal) => {
      checkOptions(options, ABORT_OPTIONS)
      const deleted: string[] = []
      const failures: DeleteFailure[] = []
      let general: { readonly error: unknown } | undefined
      let failedInARow = 0
      for await (const { valid, invalid } of batchesOf(names, this.nameLimit)) {
        signal?.throwIfAborted()
        failures.push(...invalid)
        if (valid.length === 0) continue
        const failed = new Set<string>()
        // What fails as a whole fails for each of its names; the others are deleted all the same. After two such failures
        // in a row the server is out, and each further one would take as long as all of its tries.
        const removing =
          general && failedInARow === 2 ? Promise.reject(general.error) : this.remove(valid, signal)
        const removed = await removing.then(
          (some) => {
            failedInARow = 0
            return some
          },
          (error: unknown) => {
            if (signal?.aborted) throw error
            general ??= { error }
            failedInARow = Math.min(2, failedInARow + 1)
            return valid.map((name) => ({ name, error }))
          },
        )
        for (const { name, error } of removed) {
          failed.add(name)
          failures.push({ name, error: this.#toStorageError(error, { ...context, file: name }) })
        }
        for (const name of valid) if (!failed.has(name)) deleted.push(name)
      }
      if (general && deleted.length === 0) throw general.error
      if (failures.length > 0) throw new DeleteManyError(deleted, failures, context)
    })
  }

  /**
   * Deletes everything below a folder, never a sibling: `users/1` leaves `users/10` alone. Refuses the root.
   * With `dryRun` it only counts.
   */
  async deletePrefix(prefix: string, options: DeletePrefixOptions = {}): Promise<{ deleted: number }> {
    return this.perform('deletePrefix', prefix, options, async (_, signal) => {
      const folder = toFolder(prefix, 'deletePrefix', false)
      checkOptions(options, DELETE_PREFIX_OPTIONS)
      if (folder === '') throw new Problem('InvalidName', 'deletePrefix refuses the root')
      const { dryRun = false } = options
      if (typeof dryRun !== 'boolean') throw new Problem('InvalidArgument', 'dryRun must be true or false')
      return { deleted: await this.removeBelow(folder, dryRun, signal) }
    })
  }

  /**
   * The files below a folder, of all depths, in UTF-8 byte order, fetched as they are asked for. A missing folder has
   * none. Files that no legal name fits (put there by others, such as the key `a//b`) are left out; `onInvalidName` tells.
   *
   * @example for await (const { name, size } of storage.list('documents/42')) console.log(name, size)
   */
  async *list(prefix = '', options: ListOptions = {}): AsyncIterable<ListedFile> {
    let signal: AbortSignal | undefined
    try {
      signal = toSignal(options)
      const folder = toFolder(prefix, 'list', true)
      checkOptions(options, LIST_OPTIONS)
      const onInvalidName = toOnInvalidName(options)
      signal?.throwIfAborted()
      for await (const batch of this.entries(folder, true, signal)) {
        for (const entry of batch) {
          if (entry.kind !== 'file') continue
          const { name, size, lastModified, etag } = entry
          if (isName(name)) yield { name, size, lastModified, etag }
          else onInvalidName?.(name)
        }
        signal?.throwIfAborted()
      }
    } catch (error) {
      throw this.#explain(error, { operation: 'list', file: prefix, storage: this.label }, signal)
    }
  }

  /** One level of a folder, as base names in UTF-8 byte order. A missing folder is empty. */
  async listdir(path = '', options: AbortOptions = {}): Promise<DirectoryListing> {
    return this.perform('listdir', path, options, async (_, signal) => {
      const folder = toFolder(path, 'listdir', true)
      checkOptions(options, ABORT_OPTIONS)
      const listing: DirectoryListing = { directories: [], files: [] }
      for await (const batch of this.entries(folder, false, signal)) {
        for (const { kind, name } of batch) {
          if (isName(name)) listing[kind === 'file' ? 'files' : 'directories'].push(baseName(name))
        }
        signal?.throwIfAborted()
      }
      // As names of folders, without the `/` by which the entries are ordered.
      listing.directories.sort(compareNames)
      return listing
    })
  }

  /**
   * Copies a file with its content type, headers and metadata, on the server where the backend can. Tells the name
   * that the copy really got. @throws {FileNotFoundError} when the source is missing; the target is untouched then.
   */
  async copy(from: string, to: string, options: CopyOptions = {}): Promise<string> {
    return this.#copy('copy', from, to, options)
  }

  /**
   * Moves a file; the same as {@link copy} otherwise. Onto itself it is left alone. On R2 and S3 a move is a copy and
   * a delete: if the delete fails, both files are there and the error says so.
   */
  async move(from: string, to: string, options: CopyOptions = {}): Promise<string> {
    return this.#copy('move', from, to, options)
  }

  async #copy(operation: 'copy' | 'move', from: string, to: string, options: CopyOptions): Promise<string> {
    return this.perform(operation, from, options, async (context, signal) => {
      const source = toName(from, operation, this.nameLimit)
      const target = toName(to, operation, this.nameLimit)
      checkOptions(options, COPY_OPTIONS)
      const ifExists = toIfExists(options.ifExists)
      if (source === target && (operation === 'move' || ifExists === 'overwrite')) {
        if ((await this.head(source, signal)) === null) {
          throw new FileNotFoundError({ ...context, reason: 'there is no such file' })
        }
        return target
      }
      const staged = await this.stageCopy({ from: source, move: operation === 'move', signal })
      return this.#publish(staged, target, ifExists, operation, signal)
    })
  }

  /** The collision loop: a taken name is found out by trying, so that no other writer can come in between. */
  async #publish(
    staged: Staged,
    target: Name,
    ifExists: IfExists,
    operation: string,
    signal: AbortSignal | undefined,
  ): Promise<Name> {
    try {
      let name = target
      for (let attempt = 0; attempt < RENAME_ATTEMPTS; attempt++) {
        signal?.throwIfAborted()
        if (await staged.publish(name, ifExists !== 'overwrite')) return name
        if (ifExists === 'error')
          throw new Problem('AlreadyExists', `${JSON.stringify(target)} already exists`)
        name = alternativeName(target, operation, this.nameLimit)
      }
      throw new Problem('Unknown', `no free name was found in ${RENAME_ATTEMPTS} attempts`)
    } finally {
      await staged.discard()
    }
  }

  async #freeName(target: Name, signal: AbortSignal | undefined): Promise<Name> {
    let name = target
    for (let attempt = 0; attempt < RENAME_ATTEMPTS; attempt++) {
      if ((await this.head(name, signal)) === null) return name
      name = alternativeName(target, 'signedUpload', this.nameLimit)
    }
    throw new Problem('Unknown', `no free name was found in ${RENAME_ATTEMPTS} attempts`)
  }

  /** Where every public method runs, also a backend's own: nothing escapes but a `StorageError`, or the very error of the caller's source. */
  protected async perform<T>(
    operation: string,
    file: string | undefined,
    options: AbortOptions,
    work: (context: ErrorContext, signal: AbortSignal | undefined) => Promise<T>,
  ): Promise<T> {
    const context: ErrorContext = {
      operation,
      file: typeof file === 'string' ? file : undefined,
      storage: this.label,
    }
    let signal: AbortSignal | undefined
    try {
      signal = toSignal(options)
      signal?.throwIfAborted()
      return await work(context, signal)
    } catch (error) {
      throw this.#explain(error, context, signal)
    }
  }

  #explain(error: unknown, context: ErrorContext, signal: AbortSignal | undefined): unknown {
    // First of all: the reason of an abort may be any error, also one of another operation.
    if (isStorageError(error) && !(signal?.aborted && error === signal.reason)) return error
    if (signal?.aborted)
      return new StorageError('Aborted', {
        ...context,
        reason: 'aborted by the caller',
        cause: signal.reason,
      })
    if (error instanceof SourceFailure) return error.cause
    return this.#toStorageError(error, context)
  }

  #toStorageError(error: unknown, context: ErrorContext): StorageError {
    if (isStorageError(error)) return error
    return toStorageError(error instanceof Problem ? error : this.classify(error), context)
  }
}

const RENAME_ATTEMPTS = 100
