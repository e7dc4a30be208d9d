import type { Command } from 'commander'
import type { ListedFile, Storage } from '../../index.js'
import type { Cli } from '../cli.js'
import { examples, type Run } from '../command.js'
import { Failure } from '../failure.js'
import { printable } from '../printable.js'
import { bytesText, timeText } from '../units.js'

interface LsOptions {
  readonly long?: boolean
  readonly recursive?: boolean
}

/** `stowage ls [FOLDER]` */
export function addLs(program: Command, run: Run): void {
  program
    .command('ls')
    .summary('list files')
    .description('Lists the files and folders of a folder. Folders end in /.')
    .argument('[folder]', 'the folder; default: the root')
    .option('-l, --long', 'size, time of the last write in UTC, and name')
    .option('-r, --recursive', 'all files below the folder, with their full names')
    .addHelpText('after', examples('stowage ls documents', 'stowage ls --recursive --long documents/42'))
    .action(
      run(async (cli, folder: string | undefined, { long = false, recursive = false }: LsOptions) => {
        const storage = await cli.storage()
        const found = recursive
          ? await listAll(cli, storage, folder, long)
          : await listOne(cli, storage, folder, long)
        if (!found && folder !== undefined) throw new Failure('NotFound', `there are no files in ${folder}`)
        return undefined
      }),
    )
}

async function listAll(
  cli: Cli,
  storage: Storage,
  folder: string | undefined,
  long: boolean,
): Promise<boolean> {
  let found = false
  const onInvalidName = (name: string) => {
    cli.terminal.say(`not listed, the name breaks the naming rule: ${printable(name)}`)
  }
  for await (const file of storage.list(folder, { onInvalidName, signal: cli.signal })) {
    found = true
    await cli.terminal.record(file, long ? longLine(file) : printable(file.name))
  }
  return found
}

/** Full names in JSON, base names for people. */
async function listOne(cli: Cli, storage: Storage, folder = '', long: boolean): Promise<boolean> {
  const { terminal, signal } = cli
  const { directories, files } = await storage.listdir(folder, { signal })
  const start = folder === '' || folder.endsWith('/') ? folder : `${folder}/`
  for (const directory of directories) {
    const line = terminal.style('blue', printable(`${directory}/`))
    await terminal.record({ name: `${start}${directory}/` }, long ? `${' '.repeat(33)}${line}` : line)
  }
  for (const file of files) {
    if (!long) {
      await terminal.record({ name: start + file }, printable(file))
      continue
    }
    const info = await storage.stat(start + file, { signal })
    await terminal.record(info, longLine({ ...info, name: file }))
  }
  return directories.length + files.length > 0
}

function longLine({ name, size, lastModified }: ListedFile): string {
  return `${bytesText(size).padStart(11)}  ${timeText(lastModified)}  ${printable(name)}`
}
