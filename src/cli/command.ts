import type { Command, Option } from 'commander'
import type { Cli } from './cli.js'
import type { ExitCode } from './exit-code.js'

/** The work of a command. `given` are its arguments, then its options. Resolves to the exit code; nothing means 0. */
export type Work<Given extends unknown[]> = (cli: Cli, ...given: Given) => Promise<ExitCode | undefined>

/** Makes the action of a command out of its work. */
export type Run = <Given extends unknown[]>(work: Work<Given>) => (...given: Given) => Promise<void>

/** Adds a command to the program. */
export type AddCommand = (program: Command, run: Run) => void

/** The end of a help text. */
export function examples(...lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  $ ${line}`).join('\n')}`
}

/** `--if-exists`, with the default of `save`. */
export function ifExistsOption(program: Command, condition = ''): Option {
  return program
    .createOption('--if-exists <choice>', `${condition}what to do when the name is taken; default: rename`)
    .choices(['rename', 'overwrite', 'error'])
}
