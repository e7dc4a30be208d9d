import type { Command } from 'commander'
import { examples, type Run } from '../command.js'
import { writeContent } from '../content.js'

/** `stowage cat NAME…` */
export function addCat(program: Command, run: Run): void {
  program
    .command('cat')
    .summary('print files')
    .description('Writes the contents of files to standard output, one after the other.')
    .argument('<name...>', 'the names of the files')
    .addHelpText('after', examples('stowage cat notes/today.txt', 'stowage cat logs/1.gz logs/2.gz | zcat'))
    .action(
      run(async (cli, names: string[]) => {
        const storage = await cli.storage()
        return cli.forEach(names, (name) => writeContent(cli, storage, name))
      }),
    )
}
