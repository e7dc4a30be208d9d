import type { StorageDriver } from './driver.js'
import {
  type ErrorContext,
  isProblem,
  isStorageError,
  Problem,
  SourceFailure,
  StorageError,
  toStorageError,
} from './errors.js'
import { toSignal } from './options.js'
import { begin, eventOf, finish, isObserved, type OperationEvent } from './telemetry.js'
import type { AbortOptions } from './types.js'

/**
 * Runs a public operation: rejects with a `StorageError`, or with the very error of the caller's own source. Subscribers
 * of the channel `stowage:operation` are told.
 */
export function perform<T>(
  driver: StorageDriver,
  operation: string,
  file: string | undefined,
  options: AbortOptions,
  work: Work<T>,
): Promise<T> {
  if (!isObserved()) return performNow(driver, operation, file, options, work, undefined)
  return begin(eventOf(operation, driver.label, file), (event) =>
    performNow(driver, operation, file, options, work, event),
  )
}

type Work<T> = (signal: AbortSignal | undefined, event: OperationEvent | undefined) => Promise<T>

async function performNow<T>(
  driver: StorageDriver,
  operation: string,
  file: string | undefined,
  options: AbortOptions,
  work: Work<T>,
  event: OperationEvent | undefined,
): Promise<T> {
  let signal: AbortSignal | undefined
  try {
    signal = toSignal(options)
    signal?.throwIfAborted()
    const result = await work(signal, event)
    if (event) finish(event)
    return result
  } catch (error) {
    const told = explain(driver, error, operation, file, signal)
    if (event) finish(event, { error: told })
    throw told
  }
}

/** The error that the caller gets. */
export function explain(
  driver: StorageDriver,
  error: unknown,
  operation: string,
  file: string | undefined,
  signal: AbortSignal | undefined,
): unknown {
  const context = contextOf(driver, operation, file)
  const aborted = signal?.aborted === true
  // The reason of an abort may be a StorageError, too.
  if (isStorageError(error) && !(aborted && error === signal.reason)) return error
  if (aborted) {
    const reason = 'aborted by the caller'
    return new StorageError('Aborted', { ...context, reason, cause: signal.reason })
  }
  if (error instanceof SourceFailure) return error.cause
  return wrap(driver, error, context)
}

/** The one place that wraps errors. */
export function wrap(driver: StorageDriver, error: unknown, context: ErrorContext): StorageError {
  if (isStorageError(error)) return error
  const problem = isProblem(error) ? error : driver.classify(error)
  return toStorageError(isAddress(context.file) ? adviseName(problem) : problem, context)
}

/** The context of an error. */
export function contextOf(driver: StorageDriver, operation: string, file: string | undefined): ErrorContext {
  return { operation, file: typeof file === 'string' ? file : undefined, storage: driver.label }
}

/** `https://cdn.example.com/a.png` is a legal name, and hardly ever meant as one. */
function isAddress(file: string | undefined): boolean {
  return file !== undefined && /^https?:\/\//i.test(file)
}

function adviseName({ code, message, cause, size, file }: Problem): Problem {
  const advice = code === 'NotFound' ? ': this looks like an address; pass the name that save() returned' : ''
  return new Problem(code, message + advice, { cause, size, file })
}
