import type { Command } from 'commander'
import { examples, ifExistsOption, type Run } from '../command.js'
import { printable } from '../printable.js'
import { addStorageOptions, type CopyOptions, copyFile } from '../two-storages.js'

/** `stowage mv FROM TO` */
export function addMv(program: Command, run: Run): void {
  addStorageOptions(program.command('mv'))
    .summary('move a file')
    .description(
      'Moves a file with its type, headers and metadata, and prints the name that it got. Between two storages the source is deleted once the copy is complete.',
    )
    .argument('<from>', 'the name of the file')
    .argument('<to>', 'its new name; after a folder ending in / it keeps its own')
    .addOption(ifExistsOption(program, 'rename'))
    .addHelpText(
      'after',
      examples(
        'stowage mv documents/42/report.pdf archive/',
        'stowage mv --from fs:./uploads --to r2:chat-files a.png photos/a.png',
      ),
    )
    .action(
      run(async (cli, from: string, to: string, options: CopyOptions) => {
        const stored = await copyFile(cli, { from, to, options, move: true })
        await cli.terminal.record({ name: stored, from }, printable(stored))
        return undefined
      }),
    )
}
