import { EXIT, type ExitCode } from './exit-code.js'
import { localFailure } from './failure.js'
import type { Streams } from './streams.js'

/** The signal that ended a command before its work was done. */
export class Interruption extends Error {
  readonly exitCode: ExitCode

  constructor(exitCode: ExitCode) {
    super('interrupted')
    this.exitCode = exitCode
  }
}

/** Nobody reads the output any more, as in `stowage ls | head`. So the command is done. */
export const CLOSED_PIPE = new Error('nobody reads the output')

/** Why a write to stdout failed: a reader that has gone, or a failure to tell. */
export function outputFailure(error: NodeJS.ErrnoException): unknown {
  return error.code === 'EPIPE' ? CLOSED_PIPE : localFailure('standard output', error)
}

const SIGNALS = [
  ['SIGINT', EXIT.interrupted],
  ['SIGTERM', EXIT.terminated],
  ['SIGHUP', EXIT.hungUp],
] as const

/** Ends a command early: on the first Ctrl-C in order, on the second one at once, and when stdout fails. */
export function stopOn(streams: Streams): AbortSignal {
  const stop = new AbortController()
  for (const [name, exitCode] of SIGNALS) {
    process.on(name, () => {
      if (stop.signal.aborted) process.exit(exitCode)
      stop.abort(new Interruption(exitCode))
    })
  }
  streams.stdout.on('error', (error: NodeJS.ErrnoException) => stop.abort(outputFailure(error)))
  streams.stderr.on('error', () => {}) // There is nowhere to tell it, and the work may go on.
  return stop.signal
}
