import type { Command } from 'commander'
import { refuseAddresses } from './addresses.js'
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
      writeErr: (text) => terminal.json || streams.stderr.write(text), // The help of a missing command.
      outputError: () => {}, // Told below, as every other error.
      getOutHelpWidth: () => streams.stdout.columns ?? 80,
      getErrHelpWidth: () => streams.stderr.columns ?? 80,
    })
  addCommands(program, (work) => async (...given) => {
    refuseAddresses(namesIn(given))
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
      const message = error.message.replace(/^error: /, '')
      if (error.code !== 'commander.help') return fail(usage(message + adviceFor(error)))
      return terminal.json ? fail(usage('there is no command; stowage --help shows them')) : EXIT.usage
    }
    const reason: unknown = signal.aborted ? signal.reason : error
    if (reason === CLOSED_PIPE) return EXIT.ok
    if (!(reason instanceof Interruption)) return fail(await toFailure(reason))
    terminal.complain('Interrupted', `interrupted: ${cli?.doneSoFar() ?? 'nothing was changed'}`)
    return reason.exitCode
  }
}

/** Arguments, and options that are folders. Commander gives the arguments, then the options and the command. */
function namesIn(given: readonly unknown[]): readonly unknown[] {
  const options: unknown = given.at(-2)
  const folders = ['prefix', 'targetPrefix'].map((option): unknown =>
    typeof options === 'object' && options !== null ? Reflect.get(options, option) : undefined,
  )
  return [...given.slice(0, -2), ...folders]
}

/** What people try who know `aws s3 sync` or `rclone sync`. */
function adviceFor({ code, message }: { readonly code: string; readonly message: string }): string {
  const hasTwo = code === 'commander.excessArguments' && /'(?:migrate|mirror|compare)'/.test(message)
  return hasTwo ? ' Give --from and --to.' : ''
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
