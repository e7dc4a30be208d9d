import type { Command } from 'commander'
import { Cli } from './cli.js'
import { addCommands } from './commands.js'
import { EXIT, type ExitCode } from './exit-code.js'
import { type Failure, toFailure, usage } from './failure.js'
import { type Streams, Terminal } from './terminal.js'

/** Runs a command line. Resolves to the exit code of the process; results and errors have been written. */
export async function main(args: readonly string[], streams: Streams = process): Promise<ExitCode> {
  const { Command, CommanderError } = await import('../vendor/commander.js')
  const stop = new AbortController()
  onInterrupt(stop)
  onClosedPipe(streams, stop)
  let cli: Cli | undefined
  let exitCode: ExitCode = EXIT.ok
  const program: Command = new Command('stowage').exitOverride().configureOutput({
    writeOut: (text) => streams.stdout.write(text),
    writeErr: (text) => streams.stderr.write(text),
    outputError: () => {}, // Told below, as every other error.
    getOutHelpWidth: () => streams.stdout.columns ?? 80,
    getErrHelpWidth: () => streams.stderr.columns ?? 80,
  })
  addCommands(program, (work) => async (...given) => {
    cli = new Cli(streams, program.opts(), stop.signal)
    exitCode = (await work(cli, ...given)) ?? EXIT.ok
  })
  const fail = ({ code, message, exitCode }: Failure): ExitCode => {
    new Terminal(streams, args.includes('--json')).complain(code, message)
    return exitCode
  }
  try {
    await program.parseAsync([...args], { from: 'user' })
    return exitCode
  } catch (error) {
    if (stop.signal.reason === CLOSED_PIPE) return EXIT.ok
    if (stop.signal.aborted) {
      new Terminal(streams, args.includes('--json')).complain(
        'Interrupted',
        `interrupted: ${cli?.doneSoFar() ?? 'nothing was changed'}`,
      )
      return EXIT.interrupted
    }
    if (!(error instanceof CommanderError)) return fail(await toFailure(error))
    if (error.exitCode === 0) return EXIT.ok // The help was asked for.
    return error.code === 'commander.help' ? EXIT.usage : fail(usage(error.message.replace(/^error: /, '')))
  }
}

/** Ctrl-C: the first one ends the command in order, the second one at once. */
function onInterrupt(stop: AbortController): void {
  process.once('SIGINT', () => {
    process.once('SIGINT', () => process.exit(EXIT.interrupted))
    stop.abort(new Error('interrupted'))
  })
}

const CLOSED_PIPE = new Error('nobody reads the output')

/** `stowage ls | head`: the reader has gone, so nothing more is to be done. */
function onClosedPipe({ stdout, stderr }: Streams, stop: AbortController): void {
  for (const stream of [stdout, stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error
      stop.abort(CLOSED_PIPE)
    })
  }
}
