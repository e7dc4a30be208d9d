import { InvalidNameError, isStorageError, StorageError } from '../errors.js'

/** The public function that an error is about. */
export type Operation = 'migrate' | 'mirror' | 'compare'

/** One file that was not copied. */
export interface MigrateFailure {
  /** Its name in the source. */
  readonly name: string
  /** Why it was not copied. */
  readonly error: StorageError
}

export function invalid(operation: Operation, reason: string): StorageError {
  return new StorageError('InvalidArgument', { operation, reason })
}

export function aborted(operation: Operation, signal: AbortSignal): StorageError {
  return new StorageError('Aborted', { operation, reason: 'aborted by the caller', cause: signal.reason })
}

export function corrupt(operation: Operation, file: string, reason: string, cause?: unknown): StorageError {
  return new StorageError('Corrupt', { operation, file, reason, cause })
}

/** A listed name that no method takes. */
export function refusedName(operation: Operation, file: string, place: 'source' | 'target'): StorageError {
  const reason = `the naming rule refuses this name: rename the file at the ${place}`
  return new InvalidNameError({ operation, file, reason })
}

/** Whatever was thrown while one file was worked on. */
export function toFailure(operation: Operation, error: unknown, file: string): StorageError {
  if (isStorageError(error)) return error
  const reason = error instanceof Error ? error.message : String(error)
  return new StorageError('Unknown', { operation, file, reason, cause: error })
}

export function hasCode(error: unknown, code: StorageError['code']): boolean {
  return isStorageError(error) && error.code === code
}
