import type { Command } from 'commander'
import { examples, type Run } from '../command.js'
import { Failure, usage as misused } from '../failure.js'
import { printable } from '../printable.js'
import { countText, toCount } from '../units.js'
import { usageChart, usageRows } from '../usage-report.js'

interface DuFlags {
  readonly depth?: number
  readonly reads: number
  readonly writes: number
  readonly egress: number
}

/** `stowage du [FOLDER]` */
export function addDu(program: Command, run: Run): void {
  program
    .command('du')
    .summary('what is stored, and what it costs')
    .description(
      'Sums up files and bytes by folder, type and month, names the largest and the oldest files, and estimates the monthly cost on R2 and S3.',
    )
    .argument('[folder]', 'the folder; default: all files')
    .option('--depth <levels>', 'levels of folders that are listed; default: 1', toCount)
    .option('--reads <number>', 'requests a month that read', toCount, 0)
    .option('--writes <number>', 'requests a month that write or list', toCount, 0)
    .option('--egress <GB>', 'gigabytes a month that are sent to the Internet', toGigabytes, 0)
    .addHelpText(
      'after',
      examples(
        'stowage du',
        'stowage du documents --depth 2',
        'stowage du --reads 2000000 --writes 100000 --egress 500',
        'stowage du | grep ^largest',
      ),
    )
    .action(
      run(async (cli, folder: string | undefined, { depth, reads, writes, egress }: DuFlags) => {
        const { monthlyCost, usage } = await import('../../index.js')
        const { terminal } = cli
        const storage = await cli.storage()
        const found = await usage(storage, { prefix: folder, depth, signal: cli.signal })
        if (found.files === 0 && folder) {
          const isFile = !folder.endsWith('/') && (await storage.exists(folder, { signal: cli.signal }))
          if (isFile) throw misused(`${folder} is a file: stowage stat says its size`)
          throw new Failure('NotFound', `there are no files in ${folder}`)
        }
        const cost = monthlyCost(found, { reads, writes, egressGb: egress })
        const title = printable(folder ? `${folder} of ${storage}` : `${storage}`)
        const lines = terminal.isInteractive
          ? await usageChart(terminal, title, found, cost)
          : usageRows(found, cost)
        await terminal.record({ ...found, cost }, ...lines)
        if (found.invalidNames > 0) {
          terminal.say(
            `not counted: ${countText(found.invalidNames, 'file')} whose names break the naming rule`,
          )
        }
        return undefined
      }),
    )
}

function toGigabytes(text: string): number {
  if (!/^\d{1,12}(?:\.\d{1,9})?$/.test(text)) throw misused(`"${text}" is not a number of gigabytes`)
  return Number(text)
}
