import type { Command } from 'commander'
import { Cli } from './cli.js'
import { addCommands } from './commands.js'
import { EXIT, type ExitCode } from './exit-code.js'
import { type Failure, toFailure, usage } from './failure.js'
import { CLOSED_PIPE, Interruption, stopOn } from './stop.js'
import type { Streams } from './streams.js'
import { Terminal } from './terminal.js'

/** Runs a command line. Resolves to the exit code of the process; results and errors have been written. */
export async function main(
  args: readonly string[],
  version: string,
  streams: Streams = process,
): Promise<ExitCode> {
  const { Command, CommanderError } = await import('../vendor/commander.js')
  const terminal = new Terminal(streams, hasJson(args))
  const signal = stopOn(streams)
  onSurprise(terminal)
  const fail = ({ code, message, exitCode }: Failure): ExitCode => {
    terminal.complain(code, message)
    return exitCode
  }
  let cli: Cli | undefined
  let exitCode: ExitCode = EXIT.ok
  const program: Command = new Command('stowage')
    .version(version, '--version', 'show the version')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => streams.stdout.write(text),
      writeErr: (text) => streams.stderr.write(text),
      outputError: () => {}, // Told below, as every other error.
      getOutHelpWidth: () => streams.stdout.columns ?? 80,
      getErrHelpWidth: () => streams.stderr.columns ?? 80,
    })
  addCommands(program, (work) => async (...given) => {
    cli = new Cli(terminal, program.opts(), signal)
    exitCode = (await work(cli, ...given)) ?? EXIT.ok
  })
  try {
    await program.parseAsync([...args], { from: 'user' }).catch((error: unknown) => {
      const isAnswered = error instanceof CommanderError && error.exitCode === 0 // By the help or the version.
      if (!isAnswered) throw error
    })
    await terminal.flush()
    return exitCode
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.code === 'commander.help') return EXIT.usage
      return fail(usage(error.message.replace(/^error: /, '')))
    }
    const reason: unknown = signal.aborted ? signal.reason : error
    if (reason === CLOSED_PIPE) return EXIT.ok
    if (!(reason instanceof Interruption)) return fail(await toFailure(reason))
    terminal.complain('Interrupted', `interrupted: ${cli?.doneSoFar() ?? 'nothing was changed'}`)
    return reason.exitCode
  }
}

/** Errors of the command line itself are told in the form that `--json` asks for. */
function hasJson(args: readonly string[]): boolean {
  const end = args.indexOf('--')
  return args.slice(0, end === -1 ? args.length : end).includes('--json')
}

/** Prints warnings of the storage as plain sentences, and unexpected errors without a stack trace. */
function onSurprise(terminal: Terminal): void {
  process.removeAllListeners('warning')
  process.on('warning', (warning: NodeJS.ErrnoException) => {
    if (warning.code?.startsWith('STOWAGE_')) terminal.say(`warning: ${warning.message}`)
  })
  process.on('uncaughtException', (error) => {
    terminal.complain('Unknown', `unexpected: ${error.message}`)
    process.exit(EXIT.failed)
  })
}
