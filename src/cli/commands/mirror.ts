import type { Command } from 'commander'
import type { MirrorOptions, MirrorProgress, Storage } from '../../index.js'
import type { Cli } from '../cli.js'
import { examples, type Run } from '../command.js'
import { confirm } from '../confirm.js'
import { exitCodeAfter } from '../failed-file.js'
import { Progress } from '../progress.js'
import {
  addTransferOptions,
  CopyReport,
  refuseEmpty,
  type TransferFlags,
  toTransferOptions,
} from '../transfer.js'
import { countText, toCount } from '../units.js'

interface MirrorFlags extends TransferFlags {
  readonly dryRun?: boolean
  readonly force?: boolean
  readonly maxDeletes?: number
  readonly yes?: boolean
}

/** `stowage mirror` */
export function addMirror(program: Command, run: Run): void {
  addTransferOptions(program.command('mirror'))
    .summary('make a storage equal to another, as a backup')
    .description(
      'Copies what is missing, replaces what differs, and deletes what the source does not have. Asks before it deletes. Deletes nothing after a failed listing or a failed copy.',
    )
    .option('-n, --dry-run', 'say what would be done')
    .option('--force', 'accept an empty source, which deletes everything in the target')
    .option('--max-deletes <number>', 'the most files that may be deleted; default: 1000', toCount)
    .option('-y, --yes', 'delete without asking')
    .addHelpText(
      'after',
      examples(
        'stowage mirror --to fs:/backup/chat-files',
        'stowage mirror --to fs:/backup/chat-files --yes --max-deletes 100',
      ),
    )
    .action(
      run(async (cli, flags: MirrorFlags) => {
        const { source, target } = await cli.storages(flags)
        const { dryRun = false, force, maxDeletes, prefix } = flags
        const options: MirrorOptions = { ...toTransferOptions(cli, flags), force, maxDeletes }
        if (!dryRun && !flags.yes && !(await mayDelete(cli, source, target, options))) return undefined
        const { mirror } = await import('../../index.js')
        const report = await CopyReport.start(cli, source, { prefix })
        try {
          const settings = { ...options, dryRun, onProgress: report.onFile }
          const result = await mirror(source, target, settings)
          if (!force) refuseEmpty(source, result, prefix)
          await report.end(dryRun)
          return exitCodeAfter(result.failed)
        } finally {
          report.stop()
        }
      }),
    )
}

/** Finds out how many files would be deleted, and asks. */
async function mayDelete(
  cli: Cli,
  source: Storage,
  target: Storage,
  options: MirrorOptions,
): Promise<boolean> {
  const { mirror } = await import('../../index.js')
  const progress = await Progress.start(cli.terminal, { label: 'comparing', unit: 'files' })
  let deleted: number
  try {
    const onProgress = ({ copied, skipped, failed }: MirrorProgress) => {
      progress.update(copied + skipped + failed)
    }
    const dry = { ...options, dryRun: true, onProgress }
    deleted = (await mirror(source, target, dry)).deleted
  } finally {
    progress.stop()
  }
  if (deleted === 0) return true
  const verb = deleted === 1 ? 'is' : 'are'
  const question = `Delete ${countText(deleted, 'file')} of ${target} that ${verb} not in the source?`
  if (await confirm(cli, question)) return true
  cli.terminal.say('nothing was changed')
  return false
}
