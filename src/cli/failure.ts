import { getSystemErrorMap } from 'node:util'
import { EXIT, type ExitCode, exitCodeOf } from './exit-code.js'
import { inFlags } from './flags.js'

/** A failure in the words of the command line. Nothing in it is a secret. */
export class Failure extends Error {
  /** The code of a `StorageError`, `Usage`, `Missing` or a system's code such as `EACCES`. */
  readonly code: string
  /** The exit code of the process. */
  readonly exitCode: ExitCode

  constructor(code: string, message: string, exitCode: ExitCode = exitCodeOf(code)) {
    super(message)
    this.code = code
    this.exitCode = exitCode
  }
}

/** A mistake in the command line. */
export function usage(message: string): Failure {
  return new Failure('Usage', message, EXIT.usage)
}

/** An error of the machine's own files: the path is the user's own, so it may be told. */
export function localFailure(path: string, error: unknown): unknown {
  const code = error instanceof Failure ? undefined : systemCodeOf(error)
  return code === undefined ? error : new Failure(code, `${path}: ${descriptionOf(code)}`)
}

/** Anything that was thrown, as a failure. */
export async function toFailure(error: unknown): Promise<Failure> {
  if (error instanceof Failure) return error
  const { isStorageError } = await import('../index.js')
  if (isStorageError(error)) return new Failure(error.code, inFlags(error.message))
  const code = systemCodeOf(error)
  if (code !== undefined) return new Failure(code, descriptionOf(code))
  return new Failure('Unknown', error instanceof Error ? error.message : String(error))
}

function systemCodeOf(error: unknown): string | undefined {
  const code: unknown = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' && /^E[A-Z0-9]+$/.test(code) ? code : undefined
}

/** `no such file or directory`. */
function descriptionOf(code: string): string {
  for (const [name, description] of getSystemErrorMap().values()) if (name === code) return description
  return code
}
