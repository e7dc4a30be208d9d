import type { Command } from 'commander'
import type { MigrateOptions, Shard } from '../../index.js'
import { examples, type Run } from '../command.js'
import { exitCodeAfter } from '../failed-file.js'
import { usage } from '../failure.js'
import {
  addTransferOptions,
  CopyReport,
  refuseEmpty,
  type TransferFlags,
  toTransferOptions,
} from '../transfer.js'

interface MigrateFlags extends TransferFlags {
  readonly ifExists: NonNullable<MigrateOptions['ifExists']>
  readonly dryRun?: boolean
  readonly shard?: Shard
}

/** `stowage migrate` */
export function addMigrate(program: Command, run: Run): void {
  addTransferOptions(program.command('migrate'))
    .summary('copy all files of a storage to another')
    .description(
      'Copies what the target does not have yet. Deletes nothing. After an interruption the same command goes on, and ends with an exact copy.',
    )
    .addOption(
      program
        .createOption(
          '--if-exists <choice>',
          'for a name that the target has: skip the same content and fail other content, replace it, or fail',
        )
        .choices(['skip', 'overwrite', 'error'])
        .default('skip'),
    )
    .option('-n, --dry-run', 'say what would be done')
    .option('--shard <part>', 'one part of the names, such as 1/4: four machines copy four parts', toShard)
    .addHelpText(
      'after',
      examples(
        'stowage migrate --from fs:./uploads',
        'stowage migrate --from fs:./uploads --to r2:chat-files --prefix documents --dry-run',
        'stowage migrate --from s3:old-files --to r2:chat-files --shard 1/4',
      ),
    )
    .action(
      run(async (cli, flags: MigrateFlags) => {
        const { migrate } = await import('../../index.js')
        const { ifExists, dryRun = false, shard, prefix } = flags
        const { source, target } = await cli.storages(flags)
        const report = await CopyReport.start(cli, source, { prefix, parts: shard?.of })
        try {
          const options = {
            ...toTransferOptions(cli, flags),
            ifExists,
            dryRun,
            shard,
            onProgress: report.onFile,
          }
          const result = await migrate(source, target, options)
          if (shard === undefined) refuseEmpty(source, result, prefix)
          await report.end(dryRun)
          return exitCodeAfter(result.failed)
        } finally {
          report.stop()
        }
      }),
    )
}

/** `1/4` is the first of four parts. */
function toShard(text: string): Shard {
  const [, part = '', of = ''] = /^(\d{1,9})\/(\d{1,9})$/.exec(text) ?? []
  if (Number(part) < 1 || Number(part) > Number(of) || of === '') {
    throw usage(`"${text}" is not a part such as 1/4`)
  }
  return { index: Number(part) - 1, of: Number(of) }
}
