import { types } from 'node:util'

/**
 * Every way in which an operation can fail, by cause.
 * The HTTP status is the one a web handler may answer with.
 */
const STATUS = {
  NotFound: 404,
  AlreadyExists: 409,
  InvalidName: 400,
  Rejected: 415,
  BadRequest: 400,
  Misconfigured: 500,
  PartialDelete: 500,
  PermissionDenied: 500,
  RangeNotSatisfiable: 416,
  InvalidArgument: 500,
  Unsupported: 501,
  Aborted: 499,
  Unavailable: 503,
  Full: 507,
  Corrupt: 500,
  Unknown: 500,
} as const

/**
 * The cause of a {@link StorageError}; stable, for `switch` and for logs.
 * @useDeclaredType
 */
export type StorageErrorCode = keyof typeof STATUS

/** Where an error happened. */
export interface ErrorContext {
  /** The public method or function: `save`, `open`, `signedUrl`, `documentPath`, … */
  readonly operation?: string | undefined
  /** The name that the operation was about. */
  readonly file?: string | undefined
  /** The storage, by its `toString()`: `R2Storage(chat-files)`. Never a secret. */
  readonly storage?: string | undefined
}

/** The fields of a new {@link StorageError}. */
export interface StorageErrorInit extends ErrorContext {
  /** What is wrong and how to fix it. The operation and the name are put in front. */
  readonly reason: string
  /** The error underneath: the vendor's, the system's, or an abort signal's `reason`. */
  readonly cause?: unknown
  /** Size of the file in bytes, with `RangeNotSatisfiable`. */
  readonly size?: number | undefined
  /** The HTTP status, where it is not the usual one of the code: 413 for a form with too much in it. */
  readonly status?: number | undefined
}

const BRAND = Symbol.for('stowage.StorageError')

/**
 * The one error type of this package. Ask `code`, or the subclass, for the cause.
 */
export class StorageError extends Error {
  /** The cause. */
  readonly code: StorageErrorCode
  /** A fitting HTTP status, such as 404 or 503. */
  readonly status: number
  /** Whether the same call may succeed later: true for `Unavailable` only. */
  readonly retryable: boolean
  /** The public method or function that failed: `save`, `open`, … */
  readonly operation: string | undefined
  /**
   * The name that the operation was about, as the caller gave it. An address that somebody takes for a name loses its query,
   * which may be a signature.
   */
  readonly file: string | undefined
  /** The storage, by its `toString()`. */
  readonly storage: string | undefined
  /** Size of the file in bytes, with `RangeNotSatisfiable` where the backend knows it. */
  declare readonly size?: number

  /** Applications rarely make one; tests of error handlers do. */
  constructor(code: StorageErrorCode, init: StorageErrorInit) {
    const file = withoutQuery(init.file)
    super(compose({ ...init, file }), init.cause === undefined ? undefined : { cause: init.cause })
    this.code = code
    this.status = init.status ?? STATUS[code]
    this.retryable = code === 'Unavailable'
    this.operation = init.operation
    this.file = file
    this.storage = init.storage
    if (init.size !== undefined) this.size = init.size
    Object.defineProperty(this, BRAND, { value: true })
  }
}
setName(StorageError, 'StorageError')

/** The file is missing. A missing bucket has this code as well, with its own message. */
export class FileNotFoundError extends StorageError {
  constructor(init: StorageErrorInit) {
    super('NotFound', init)
  }
}
setName(FileNotFoundError, 'FileNotFoundError')

/** The name is taken, and the caller asked for an error in that case. */
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

/** The upload rule that was broken, and by how much. */
export type Rejection =
  | {
      /** The content is too large. */
      readonly reason: 'size'
      /** The most that is allowed, in bytes. */
      readonly limit: number
      /** Bytes seen before reading stopped. */
      readonly found: number
    }
  | {
      /** The bytes are of another type. */
      readonly reason: 'type'
      /** The allowed types. */
      readonly allowed: readonly string[]
      /** The type that the bytes have. */
      readonly found: string
      /** Whether there was no byte at all, as of a form without a file. */
      readonly empty?: boolean
    }

/** An upload broke `maxSize` or `allowedTypes`; nothing was stored. */
export class UploadRejectedError extends StorageError {
  /** The broken rule: `'size'` (status 413) or `'type'` (status 415). */
  readonly reason: 'size' | 'type'
  /** The limit in bytes, when `reason` is `'size'`. */
  readonly limit: number | undefined
  /** The allowed types, when `reason` is `'type'`. */
  readonly allowed: readonly string[] | undefined
  /** Bytes seen before reading stopped, or the type that the bytes have. */
  readonly found: number | string
  override readonly status: 413 | 415

  constructor(rejection: Rejection, context: ErrorContext) {
    super('Rejected', { ...context, reason: describeRejection(rejection) })
    this.reason = rejection.reason
    this.limit = rejection.reason === 'size' ? rejection.limit : undefined
    this.allowed = rejection.reason === 'type' ? rejection.allowed : undefined
    this.found = rejection.found
    this.status = rejection.reason === 'size' ? 413 : 415
  }
}
setName(UploadRejectedError, 'UploadRejectedError')

function describeRejection(rejection: Rejection): string {
  return rejection.reason === 'size'
    ? `the content is larger than the allowed ${rejection.limit} bytes (${rejection.found} bytes seen)`
    : `the content is ${rejection.empty ? 'empty' : rejection.found}, allowed are ${rejection.allowed.join(', ')}`
}

/** One name that could not be deleted, and why. */
export interface DeleteFailure {
  /** The name, as the caller gave it. */
  readonly name: string
  /** Why it could not be deleted. */
  readonly error: StorageError
}

/** Some of many names could not be deleted; all the others were. */
export class DeleteManyError extends StorageError {
  /** The names that are gone now. Missing files count as deleted. */
  readonly deleted: readonly string[]
  /** The names that could not be deleted. */
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
 * Whether `error` is a {@link StorageError}. Use it instead of `instanceof`, which fails for errors of another copy of
 * this package, such as the ESM and the CommonJS build in one process.
 */
export function isStorageError(error: unknown): error is StorageError {
  return typeof error === 'object' && error !== null && BRAND in error
}

/** Details of a {@link Problem}. */
export interface ProblemDetails {
  /** The vendor's or the system's error. */
  readonly cause?: unknown
  /** Size of the file in bytes, with `RangeNotSatisfiable`. */
  readonly size?: number | undefined
  /** The name it is about, where that may be another than the operation's. */
  readonly file?: string | undefined
  /** The HTTP status, where it is not the usual one of the code. */
  readonly status?: number | undefined
}

/**
 * A failure without its context: a code and a plain reason. Drivers throw it, or return it from `classify`. `Storage`
 * adds the operation, the name and itself, and turns it into the public error.
 */
export class Problem extends Error {
  /** The cause. */
  readonly code: StorageErrorCode
  /** Size of the file in bytes, with `RangeNotSatisfiable`. */
  readonly size: number | undefined
  /** The name it is about, where that may be another than the operation's. */
  readonly file: string | undefined
  /** The HTTP status, where it is not the usual one of the code. */
  readonly status: number | undefined

  constructor(code: StorageErrorCode, reason: string, { cause, size, file, status }: ProblemDetails = {}) {
    super(reason, cause === undefined ? undefined : { cause })
    this.code = code
    this.size = size
    this.file = file
    this.status = status
    Object.defineProperty(this, PROBLEM, { value: true })
  }
}
setName(Problem, 'Problem')

const PROBLEM = Symbol.for('stowage.Problem')

/** Whether `error` is a {@link Problem}, also of another copy of this package. */
export function isProblem(error: unknown): error is Problem {
  return typeof error === 'object' && error !== null && PROBLEM in error
}

/** An upload rule was broken. */
export class RejectedUpload extends Problem {
  readonly rejection: Rejection

  constructor(rejection: Rejection) {
    super('Rejected', describeRejection(rejection))
    this.rejection = rejection
  }
}
setName(RejectedUpload, 'RejectedUpload')

/** Carries an error of the caller's own source through the driver, so that the save rejects with that very error. */
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

/** Makes the public error of a {@link Problem}. */
export function toStorageError(problem: Problem, context: ErrorContext): StorageError {
  if (problem instanceof RejectedUpload) return new UploadRejectedError(problem.rejection, context)
  const { message: reason, cause, size, status, file = context.file } = problem
  const init = { ...context, file, reason, cause, size, status }
  const Class = CLASSES[problem.code]
  return Class ? new Class(init) : new StorageError(problem.code, init)
}

/** Runs `work` and throws its {@link Problem}s as public errors: for functions that belong to no storage. */
export function inContext<T>(context: ErrorContext, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw isProblem(error) ? toStorageError(error, context) : error
  }
}

/** What looks like an address, or like the path of one, without its query: that may be a signature. */
export function withoutQuery(name: string | undefined): string | undefined {
  return name !== undefined && /^\s*(?:https?:|[/\\])/i.test(name) ? name.replace(/\?.*/s, '') : name
}

/** `save "a/b.txt": the reason` */
function compose({
  operation,
  file,
  reason,
}: Pick<StorageErrorInit, 'operation' | 'file' | 'reason'>): string {
  const subject = [operation, file && quote(file)].filter(Boolean).join(' ')
  return subject ? `${subject}: ${reason}` : reason
}

/** The reason of an error, without the operation and the name in front of it. */
export function reasonOf(error: StorageError): string {
  const { operation, file } = error
  const start = compose({ operation, file, reason: '' })
  return start !== '' && error.message.startsWith(start) ? error.message.slice(start.length) : error.message
}

/** A name for a message or a log line: one line, bounded length. */
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

/** Anything can be thrown; this makes an `Error` of it. */
export function toError(value: unknown): Error {
  // By Node's own look: under Jest, the system's errors are of another realm.
  return types.isNativeError(value) ? value : new Error(String(value))
}
