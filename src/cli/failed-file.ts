import type { StorageError } from '../index.js'
import type { Cli } from './cli.js'
import { EXIT, type ExitCode } from './exit-code.js'
import { inFlags } from './flags.js'
import { printable } from './printable.js'

/** One file that a command could not work on. */
export interface FailedFile {
  readonly name: string
  readonly error: StorageError
}

/** Tells of a failed file: a line for people on stderr, a record with `--json`. */
export async function tellFailure({ terminal }: Cli, { name, error }: FailedFile): Promise<void> {
  const message = inFlags(error.message)
  if (terminal.json) await terminal.record({ name, error: { code: error.code, message } })
  else terminal.say(`${terminal.style('red', 'failed:', terminal.stderr)} ${printable(message)}`)
}

/** The exit code of a command that went on after failures. */
export function exitCodeAfter(failed: readonly FailedFile[]): ExitCode {
  if (failed.length === 0) return EXIT.ok
  return failed.every(({ error }) => error.code === 'AlreadyExists') ? EXIT.conflict : EXIT.failed
}
