import type { Command } from 'commander'
import type { Compared } from '../../index.js'
import { examples, type Run } from '../command.js'
import { EXIT, type ExitCode } from '../exit-code.js'
import { Failure } from '../failure.js'
import { printable } from '../printable.js'
import { Progress } from '../progress.js'
import type { Style } from '../terminal.js'
import { addTransferOptions, type TransferFlags, toTransferOptions } from '../transfer.js'

interface CompareFlags extends TransferFlags {
  readonly differences?: boolean
}

/** The signs of `rclone check --combined`. */
const SIGNS: Readonly<Record<Compared['status'], readonly [sign: string, style: Style]>> = {
  same: ['=', 'dim'],
  missing: ['+', 'green'],
  extra: ['-', 'red'],
  differs: ['*', 'yellow'],
  error: ['!', 'red'],
}

/** `stowage compare` */
export function addCompare(program: Command, run: Run): void {
  addTransferOptions(program.command('compare'))
    .summary('compare the files of two storages')
    .description(
      'Prints a line for each file: = same, + missing at the target, - only at the target, * differs, ! could not be compared. Exits with 4 where there are differences.',
    )
    .option('-d, --differences', 'leave out the files that are the same')
    .addHelpText(
      'after',
      examples(
        'stowage compare --from fs:./uploads --differences',
        'stowage compare --to fs:/backup/chat-files --prefix documents --verify',
      ),
    )
    .action(
      run(async (cli, flags: CompareFlags) => {
        const { compare } = await import('../../index.js')
        const { terminal } = cli
        const { source, target } = await cli.storages(flags)
        const counts: Record<Compared['status'], number> = {
          same: 0,
          missing: 0,
          extra: 0,
          differs: 0,
          error: 0,
        }
        const progress = await Progress.start(terminal, { label: 'comparing', unit: 'files' })
        let files = 0
        try {
          for await (const { name, status, error } of compare(
            source,
            target,
            toTransferOptions(cli, flags),
          )) {
            counts[status] += 1
            progress.update(++files)
            if (status === 'same' && flags.differences) continue
            progress.clear()
            const [sign, style] = SIGNS[status]
            const failure = error && { error: { code: error.code, message: error.message } }
            await terminal.record(
              { name, status, ...failure },
              `${terminal.style(style, sign)} ${printable(name)}`,
            )
            if (error) terminal.say(`failed: ${printable(error.message)}`)
          }
        } finally {
          progress.stop()
        }
        if (files === 0) throw new Failure('NotFound', `there are no files in ${source} and ${target}`)
        terminal.say(summaryOf(counts))
        return exitCodeOf(counts)
      }),
    )
}

function summaryOf({ same, missing, extra, differs, error }: Record<Compared['status'], number>): string {
  const amount = (count: number) => count.toLocaleString('en-US')
  return `${amount(same)} same, ${amount(missing)} missing at the target, ${amount(extra)} only at the target, ${amount(differs)} different, ${amount(error)} not compared`
}

function exitCodeOf({ missing, extra, differs, error }: Record<Compared['status'], number>): ExitCode {
  if (error > 0) return EXIT.failed
  return missing + extra + differs > 0 ? EXIT.conflict : EXIT.ok
}
