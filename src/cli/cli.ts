import type { Environment, Storage } from '../index.js'
import { Failure, localFailure, usage } from './failure.js'
import { type Streams, Terminal } from './terminal.js'

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
  /** Aborted by Ctrl-C, and when nobody reads the output any more. */
  readonly signal: AbortSignal
  readonly #options: GlobalOptions
  /** What was done until now, for one who interrupts: `12 files copied`. */
  doneSoFar: () => string = () => 'nothing was changed'

  constructor(streams: Streams, options: GlobalOptions, signal: AbortSignal) {
    this.terminal = new Terminal(streams, options.json === true)
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
    return {
      source: await this.#open(from ?? this.#options.storage),
      target: await this.#open(to ?? this.#options.storage),
    }
  }

  async #open(address: string | undefined, env: Environment = process.env): Promise<Storage> {
    const { createDefaultStorage, createStorage } = await import('../index.js')
    return address === undefined ? createDefaultStorage(env) : createStorage(address, env)
  }
}

/** By Node's own loader. Variables that are set already win. */
function loadEnvironment(path: string): void {
  try {
    process.loadEnvFile(path)
  } catch (error) {
    const failure = localFailure(path, error)
    throw failure instanceof Failure ? failure : usage(`${path} is not a file of variables`)
  }
}
