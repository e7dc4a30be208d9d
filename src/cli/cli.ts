import type { Environment, Storage } from '../index.js'
import { setTimeout } from '../timers.js'
import { EXIT, type ExitCode, graver } from './exit-code.js'
import { Failure, localFailure, toFailure, usage } from './failure.js'
import { inOrder } from './in-order.js'
import type { Terminal } from './terminal.js'

/** The options that every command has. */
export interface GlobalOptions {
  readonly storage?: string
  readonly envFile?: string
  readonly json?: boolean
}

/** The options of commands with two storages. */
export interface TwoStorages {
  readonly from?: string
  readonly to?: string
}

/** One run of one command: where it reads, writes and stores. */
export class Cli {
  readonly terminal: Terminal
  /** Aborted by Ctrl-C, and when stdout fails or nobody reads it any more. */
  readonly signal: AbortSignal
  readonly #options: GlobalOptions
  /** What was done until now, for one who interrupts: `12 files copied`. */
  doneSoFar: () => string = () => 'nothing was changed'

  constructor(terminal: Terminal, options: GlobalOptions, signal: AbortSignal) {
    this.terminal = terminal
    this.signal = signal
    this.#options = options
    if (options.envFile !== undefined) loadEnvironment(options.envFile)
  }

  /** Whether `--storage` was given. */
  get hasAddress(): boolean {
    return this.#options.storage !== undefined
  }

  /** The storage of `--storage`, else of the environment. */
  async storage(env: Environment = process.env): Promise<Storage> {
    return this.#open(this.#options.storage, env)
  }

  /** The storages of `--from` and `--to`. One of them may be missing: it is the storage of `storage()`. */
  async storages({ from, to }: TwoStorages): Promise<{ source: Storage; target: Storage }> {
    if (from === undefined && to === undefined) {
      throw usage(
        'give --from or --to, such as --from fs:./uploads; the other one is the storage of the environment',
      )
    }
    if (from !== undefined && to !== undefined && this.hasAddress) {
      throw usage('--storage stands for a missing --from or --to: leave it out')
    }
    return {
      source: await this.#open(from ?? this.#options.storage),
      target: await this.#open(to ?? this.#options.storage),
    }
  }

  /**
   * Does a work for each of the names. A failure of one name is told, and the others go on; any other failure ends the
   * command. Resolves to the greatest exit code.
   */
  async forEach(names: readonly string[], work: (name: string) => Promise<void>): Promise<ExitCode> {
    return this.lookUp(names, async () => {}, work)
  }

  /** The same for a work with what `look` has found; it looks up several names at a time. */
  async lookUp<Found>(
    names: readonly string[],
    look: (name: string) => Promise<Found>,
    work: (name: string, found: Found) => Promise<void>,
  ): Promise<ExitCode> {
    let exitCode: ExitCode = EXIT.ok
    for await (const [name, outcome] of inOrder(names, look)) {
      try {
        if ('error' in outcome) throw outcome.error
        await work(name, outcome.result)
      } catch (error) {
        exitCode = graver(exitCode, await this.tellOfOne(error))
      }
    }
    return exitCode
  }

  /** Tells a failure that is about one name, and resolves to its exit code. Rejects with any other failure. */
  async tellOfOne(error: unknown): Promise<ExitCode> {
    const failure = await toFailure(error)
    if (this.signal.aborted || !OF_ONE_NAME.has(failure.code)) throw error
    this.terminal.complain(failure.code, failure.message)
    return failure.exitCode
  }

  async #open(address: string | undefined, env: Environment = process.env): Promise<Storage> {
    const { createDefaultStorage, createStorage } = await import('../index.js')
    const storage = address === undefined ? createDefaultStorage(env) : createStorage(address, env)
    this.#sayIfSlow(storage)
    return storage
  }

  /** A server that does not answer is tried again, for up to a minute. */
  #sayIfSlow(storage: Storage): void {
    const { terminal } = this
    if (!terminal.hasBars) return
    setTimeout(() => {
      if (terminal.isSilent) terminal.say(`waiting for ${storage} …`)
      terminal.isSilent = false
    }, PATIENCE).unref()
  }
}

/** Milliseconds without a word to the person at the terminal. */
const PATIENCE = 3000

/** Codes of failures that are about one name. */
const OF_ONE_NAME: ReadonlySet<string> = new Set(['NotFound', 'AlreadyExists', 'InvalidName'])

/** By Node's own loader. Variables that are set already win. */
function loadEnvironment(path: string): void {
  try {
    process.loadEnvFile(path)
  } catch (error) {
    const failure = localFailure(path, error)
    throw failure instanceof Failure ? failure : usage(`${path} is not a file of variables`)
  }
}
