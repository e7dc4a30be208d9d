import type { Command } from 'commander'
import { examples, type Run } from '../command.js'

/** `stowage url NAME…` */
export function addUrl(program: Command, run: Run): void {
  program
    .command('url')
    .summary('print public addresses')
    .description('Prints the public address of each name. Does not look whether the file is there.')
    .argument('<name...>', 'the names of the files')
    .addHelpText('after', examples('stowage url avatars/7.png'))
    .action(
      run(async (cli, names: string[]) => {
        const storage = await cli.storage()
        return cli.forEach(names, async (name) => {
          const url = storage.url(name)
          await cli.terminal.record({ name, url }, url)
        })
      }),
    )
}
