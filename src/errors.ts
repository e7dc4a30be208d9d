/**
 * Every way in which an operation can fail, by cause.
 * The HTTP status is the one a web handler may answer with.
 */
const STATUS = {
  NotFound: 404,
  AlreadyExists: 409,
  InvalidName: 400,
  Rejected: 415,
  Misconfigured: 500,
  PartialDelete: 500,
  PermissionDenied: 403,
  RangeNotSatisfiable: 416,
  InvalidArgument: 400,
  Unsupported: 501,
  Aborted: 499,
  Unavailable: 503,
  Full: 507,
  Corrupt: 500,
  Unknown: 500,
} as const

/** The cause of a {@link StorageError}; stable, for `switch` and for logs. */
export type StorageErrorCode = keyof typeof STATUS

/** Where an error happened. */
export interface ErrorContext {
  /** The public method: `save`, `open`, `signedUrl`, … */
  readonly operation?: string | undefined
  /** The name that the operation was about. */
  readonly file?: string | undefined
  /** The storage, as it calls itself in messages: `FileSystemStorage(/srv/uploads)`. Never a secret. */
  readonly storage?: string | undefined
}

/** What a {@link StorageError} is made of. */
export interface StorageErrorInit extends ErrorContext {
  /** What is wrong and what to do about it, without the operation and the name, which are put in front. */
  readonly reason: string
  /** The error underneath: the vendor's, the system's, or an abort signal's `reason`. */
  readonly cause?: unknown
}

const BRAND = Symbol.for('stowage.StorageError')

/**
 * The one error type of this package. `code` says why, never how: ask `code`, or the subclass.
 *
 * - `retryable` is true for `Unavailable` alone: the same call may succeed later.
 * - `status` is a fitting HTTP status.
 * - `cause` is the underlying error, free of credentials and signed addresses.
 */
export class StorageError extends Error {
  readonly code: StorageErrorCode
  readonly status: number
  readonly retryable: boolean
  readonly operation: string | undefined
  readonly file: string | undefined
  readonly storage: string | undefined

  constructor(code: StorageErrorCode, init: StorageErrorInit) {
    super(compose(init), init.cause === undefined ? undefined : { cause: init.cause })
    this.code = code
    this.status = STATUS[code]
    this.retryable = code === 'Unavailable'
    this.operation = init.operation
    this.file = init.file
    this.storage = init.storage
    Object.defineProperty(this, BRAND, { value: true })
  }
}
setName(StorageError, 'StorageError')

/** The file is not there (or, with its own message, the bucket is not). */
export class FileNotFoundError extends StorageError {
  constructor(init: StorageErrorInit) {
    super('NotFound', init)
  }
}
setName(FileNotFoundError, 'FileNotFoundError')

/** The name is taken and the caller asked not to replace or rename. */
export class FileExistsError extends StorageError {
  constructor(init: StorageErrorInit) {
    super('AlreadyExists', init)
  }
}
setName(FileExistsError, 'FileExistsError')

/** The name breaks the naming rule; nothing was touched. */
export class InvalidNameError extends StorageError {
  constructor(init: StorageErrorInit) {
    super('InvalidName', init)
  }
}
setName(InvalidNameError, 'InvalidNameError')

/** Options or environment variables are missing or malformed; the message names all of them. */
export class ConfigurationError extends StorageError {
  constructor(init: StorageErrorInit) {
    super('Misconfigured', init)
  }
}
setName(ConfigurationError, 'ConfigurationError')

/** What an upload rule refused, and why. */
export type Rejection =
  | { readonly reason: 'size'; readonly limit: number; readonly found: number }
  | { readonly reason: 'type'; readonly allowed: readonly string[]; readonly found: string }

/** An upload broke `maxSize` or `allowedTypes`; nothing was stored. */
export class UploadRejectedError extends StorageError {
  /** Which rule: `'size'` (status 413) or `'type'` (status 415). */
  readonly reason: 'size' | 'type'
  /** The limit in bytes, when `reason` is `'size'`. */
  readonly limit: number | undefined
  /** The allowed types, when `reason` is `'type'`. */
  readonly allowed: readonly string[] | undefined
  /** The bytes seen (at least; reading stops at the limit) or the type that the bytes have. */
  readonly found: number | string
  override readonly status: 413 | 415

  constructor(rejection: Rejection, context: ErrorContext) {
    const reason =
      rejection.reason === 'size'
        ? `the content is larger than the allowed ${rejection.limit} bytes (${rejection.found} bytes seen)`
        : `the content is ${rejection.found}, allowed are ${rejection.allowed.join(', ')}`
    super('Rejected', { ...context, reason })
    this.reason = rejection.reason
    this.limit = rejection.reason === 'size' ? rejection.limit : undefined
    this.allowed = rejection.reason === 'type' ? rejection.allowed : undefined
    this.found = rejection.found
    this.status = rejection.reason === 'size' ? 413 : 415
  }
}
setName(UploadRejectedError, 'UploadRejectedError')

/** One name that could not be deleted, and why. */
export interface DeleteFailure {
  readonly name: string
  readonly error: StorageError
}

/** Some of many names could not be deleted; all the others were. */
export class DeleteManyError extends StorageError {
  /** The names that are gone now (missing ones count as deleted). */
  readonly deleted: readonly string[]
  readonly failures: readonly DeleteFailure[]

  constructor(deleted: readonly string[], failures: readonly DeleteFailure[], context: ErrorContext) {
    const first = failures[0]
    const reason = `${failures.length} of ${failures.length + deleted.length} files could not be deleted${
      first ? `; the first: ${first.error.message}` : ''
    }`
    super('PartialDelete', { ...context, reason, cause: first?.error })
    this.deleted = deleted
    this.failures = failures
  }
}
setName(DeleteManyError, 'DeleteManyError')

/**
 * Tells whether `error` is a {@link StorageError}, also one made by another copy of this package
 * (the ESM and the CommonJS build in one process), where `instanceof` fails.
 */
export function isStorageError(error: unknown): error is StorageError {
  return typeof error === 'object' && error !== null && BRAND in error
}

/**
 * What a backend found out about a failure: its code and a plain reason. `Storage` adds the operation and the
 * name and turns it into the public error. Backends throw it, or return it from `classify`.
 */
export class Problem extends Error {
  readonly code: StorageErrorCode

  constructor(code: StorageErrorCode, reason: string, options?: { cause?: unknown }) {
    super(reason, options?.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
  }
}
setName(Problem, 'Problem')

/** Carries an error of the caller's own source through the backends, so that the save rejects with that very error. */
export class SourceFailure extends Error {
  constructor(cause: unknown) {
    super('the source of the content failed', { cause })
  }
}
setName(SourceFailure, 'SourceFailure')

const CLASSES: { readonly [Code in StorageErrorCode]?: new (init: StorageErrorInit) => StorageError } = {
  NotFound: FileNotFoundError,
  AlreadyExists: FileExistsError,
  InvalidName: InvalidNameError,
  Misconfigured: ConfigurationError,
}

/** Makes the public error for a {@link Problem}. */
export function toStorageError(problem: Problem, context: ErrorContext): StorageError {
  const init = { ...context, reason: problem.message, cause: problem.cause }
  const Class = CLASSES[problem.code]
  return Class ? new Class(init) : new StorageError(problem.code, init)
}

/** `save "a/b.txt": the reason` */
function compose({ operation, file, reason }: StorageErrorInit): string {
  const subject = [operation, file === undefined ? undefined : quote(file)].filter(Boolean).join(' ')
  return subject ? `${subject}: ${reason}` : reason
}

/** A name as it may stand in a message or a log line: on one line, whatever is in it, and not endless. */
export function quote(text: string): string {
  const shown = text.length > 200 ? `${text.slice(0, 200)}…` : text
  return JSON.stringify(shown.toWellFormed()).replace(
    /[\x7f-\x9f\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

function setName(Class: { readonly prototype: Error }, name: string): void {
  Object.defineProperty(Class.prototype, 'name', { value: name, configurable: true, writable: true })
}

/** What was thrown as an error: anything can be thrown. */
export function toError(value: unknown): Error {
  return value instanceof Error ? value : new Error(String(value))
}
