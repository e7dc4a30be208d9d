import type { Command } from 'commander'
import { examples, type Run } from '../command.js'
import { exitCodeAfter, tellFailure } from '../failed-file.js'
import { Failure } from '../failure.js'
import { printable } from '../printable.js'
import { Progress } from '../progress.js'
import { bytesText, countText, toCount } from '../units.js'

interface WarmFlags {
  readonly concurrency?: number
}

/** `stowage warm [FOLDER]` */
export function addWarm(program: Command, run: Run): void {
  program
    .command('warm')
    .summary('fetch the public addresses, so that the CDN has the files')
    .description(
      'Fetches the public address of every file of a folder, and says what the cache answered. A CDN caches by place: this fills the one near this machine.',
    )
    .argument('[folder]', 'the folder; default: all files')
    .option('--concurrency <number>', 'files at a time, 1 to 100; default: 8', toCount)
    .addHelpText('after', examples('stowage warm user_avatars'))
    .action(
      run(async (cli, folder: string | undefined, { concurrency }: WarmFlags) => {
        const { warm } = await import('../../index.js')
        const { terminal, signal } = cli
        const storage = await cli.storage()
        const progress = await Progress.start(terminal, { label: 'fetching', unit: 'files' })
        let fetched = 0
        const onFile = () => progress.update(++fetched)
        cli.doneSoFar = () => `${countText(fetched, 'file')} were fetched`
        try {
          const result = await warm(storage, { prefix: folder, concurrency, onFile, signal })
          progress.stop()
          const { files, bytes, cacheStatus, failed } = result
          if (files + failed.length === 0) {
            throw new Failure('NotFound', `there are no files in ${folder ?? storage}`)
          }
          for (const failure of failed) await tellFailure(cli, failure)
          await terminal.record(
            { files, bytes, cacheStatus, failed: failed.length },
            `fetched ${countText(files, 'file')} (${bytesText(bytes)}), failed ${failed.length.toLocaleString('en-US')}`,
            ...statusLines(cacheStatus),
          )
          return exitCodeAfter(failed)
        } finally {
          progress.stop()
        }
      }),
    )
}

/** What the cache said, the most frequent first. */
function statusLines(cacheStatus: Readonly<Record<string, number>>): string[] {
  return Object.entries(cacheStatus)
    .sort(([, one], [, other]) => other - one)
    .map(([status, files]) => `  ${printable(status)}: ${files.toLocaleString('en-US')}`)
}
