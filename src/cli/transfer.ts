import type { Command } from 'commander'
import type { MigrateProgress, Storage, StorageError, TransferOptions } from '../index.js'
import type { Cli, TwoStorages } from './cli.js'
import { type FailedFile, tellFailure } from './failed-file.js'
import { Failure } from './failure.js'
import { Progress } from './progress.js'
import { bytesText, countText, durationText, toCount } from './units.js'

/** The options that `migrate`, `mirror` and `compare` have in common. */
export interface TransferFlags extends TwoStorages {
  readonly prefix?: string
  readonly targetPrefix?: string
  readonly verify?: boolean
  readonly concurrency?: number
}

/** Adds the options that `migrate`, `mirror` and `compare` have in common. */
export function addTransferOptions(command: Command): Command {
  return command
    .option('--from <address>', 'the source; default: the storage of the environment')
    .option('--to <address>', 'the target; default: the storage of the environment')
    .option('--prefix <folder>', 'one folder of the source; default: all files')
    .option('--target-prefix <folder>', 'the folder of the target; default: the root')
    .option('--verify', 'read both sides, also where ETags could tell')
    .option('--concurrency <number>', 'files at a time, 1 to 1000; default: 16', toCount)
}

export function toTransferOptions({ signal }: Cli, flags: TransferFlags): TransferOptions {
  const { prefix, targetPrefix, verify, concurrency } = flags
  return { prefix, targetPrefix, verify, concurrency, signal }
}

/** What `migrate` and `mirror` have done until now. */
interface Done extends Pick<MigrateProgress, 'copied' | 'skipped' | 'failed' | 'bytes'> {
  readonly deleted?: number
}

/** Tells of files while they are copied: a bar, and each failure. */
export class CopyReport {
  readonly #cli: Cli
  readonly #progress: Progress
  readonly #begun = performance.now()
  #told: Promise<void> = Promise.resolve()
  #total = 0
  #isDone = false
  #done: Done = { copied: 0, skipped: 0, failed: 0, bytes: 0 }

  private constructor(cli: Cli, progress: Progress) {
    this.#cli = cli
    this.#progress = progress
    cli.doneSoFar = () => `${this.#sentence()}; the same command goes on from there`
  }

  /** `parts`: how many machines share the files. */
  static async start(cli: Cli, source: Storage, { prefix = '', parts = 1 }): Promise<CopyReport> {
    const progress = await Progress.start(cli.terminal, { label: 'copying', unit: 'files' })
    const report = new CopyReport(cli, progress)
    if (cli.terminal.hasBars) void report.#count(source, prefix, parts)
    return report
  }

  /** Counts the source beside the work, for the total of the bar. */
  async #count(source: Storage, prefix: string, parts: number): Promise<void> {
    let files = 0
    try {
      for await (const _ of source.list(prefix, { signal: this.#cli.signal })) {
        files += 1
        if (this.#isDone) return
      }
    } catch {
      return // The work itself tells of it.
    }
    this.#total = Math.round(files / parts)
    if (!this.#isDone) this.#progress.expect(this.#total)
  }

  /** For `onProgress`. */
  readonly onFile = ({ name, error, ...done }: Done & { name: string; error?: StorageError }): void => {
    this.#done = done
    const { copied, skipped, failed } = done
    const handled = copied + skipped + failed
    if (this.#total > 0 && handled > this.#total) this.#progress.expect(handled)
    this.#progress.update(handled)
    if (error) this.#tell({ name, error })
  }

  /** One after the other, also when the reader is slow. */
  #tell(failure: FailedFile): void {
    this.#progress.clear()
    this.#told = this.#told.then(() => tellFailure(this.#cli, failure))
    this.#told.catch(() => {}) // `end` waits for it.
  }

  /** Ends the bar. May be called again. */
  stop(): void {
    this.#isDone = true
    this.#progress.stop()
  }

  /** Writes the summary. */
  async end(isDry: boolean): Promise<void> {
    this.stop()
    await this.#told
    const seconds = (performance.now() - this.#begun) / 1000
    const summary = { ...this.#done, seconds: Math.round(seconds * 1000) / 1000 }
    await this.#cli.terminal.record(
      isDry ? { dryRun: true, ...summary } : summary,
      isDry ? `would have ${this.#sentence()}` : `${this.#sentence()}, in ${durationText(seconds)}`,
    )
  }

  #sentence(): string {
    const { copied, bytes, skipped, deleted, failed } = this.#done
    return [
      `copied ${countText(copied, 'file')} (${bytesText(bytes)})`,
      ...(deleted === undefined ? [] : [`deleted ${deleted.toLocaleString('en-US')}`]),
      `skipped ${skipped.toLocaleString('en-US')} that were there`,
      `failed ${failed.toLocaleString('en-US')}`,
    ].join(', ')
  }
}

/** Refuses a source that has nothing: its address is wrong most of the time. */
export function refuseEmpty(source: Storage, { copied, skipped, failed }: EmptyOrNot, prefix = ''): void {
  if (copied + skipped + failed.length > 0) return
  throw new Failure('NotFound', `there are no files in ${prefix === '' ? '' : `${prefix} of `}${source}`)
}

interface EmptyOrNot {
  readonly copied: number
  readonly skipped: number
  readonly failed: readonly unknown[]
}
