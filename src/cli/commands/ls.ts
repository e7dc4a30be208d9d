import type { Command } from 'commander'
import type { ListedFile, Storage } from '../../index.js'
import type { Cli } from '../cli.js'
import { examples, type Run } from '../command.js'
import { Failure, toFailure } from '../failure.js'
import { inOrder } from '../in-order.js'
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
    .description('Lists the files and folders of a folder, or one file. Folders end in /.')
    .argument('[folder]', 'the folder, or a file; default: the root')
    .option('-l, --long', 'size, time of the last write in UTC, and name')
    .option('-r, --recursive', 'all files below the folder, with their full names')
    .addHelpText('after', examples('stowage ls documents', 'stowage ls --recursive --long documents/42'))
    .action(
      run(async (cli, folder: string | undefined, { long = false, recursive = false }: LsOptions) => {
        const listing = new Listing(cli, await cli.storage(), long)
        if (recursive) await listing.tellAll(folder)
        else await listing.tellLevel(folder)
        if (listing.isEmpty && folder !== undefined) await listing.tellFile(folder)
        return undefined
      }),
    )
}

class Listing {
  readonly #cli: Cli
  readonly #storage: Storage
  readonly #long: boolean
  /** Whether nothing was found, not even a name that cannot be listed. */
  isEmpty = true

  constructor(cli: Cli, storage: Storage, long: boolean) {
    this.#cli = cli
    this.#storage = storage
    this.#long = long
  }

  async tellAll(folder: string | undefined): Promise<void> {
    for await (const file of this.#storage.list(folder, this.#options)) await this.#tell(file, file.name)
  }

  /** Full names in JSON, base names for people. */
  async tellLevel(folder = ''): Promise<void> {
    const { directories, files } = await this.#storage.listdir(folder, this.#options)
    const start = canonical(folder)
    for (const directory of directories) await this.#tellFolder(start, directory)
    if (!this.#long) {
      for (const file of files) await this.#tell({ name: start + file }, file)
    } else if (directories.length === 0) {
      // The listing of all depths has the sizes too, for one request a page.
      for await (const file of this.#storage.list(folder, { signal: this.#cli.signal })) {
        await this.#tell(file, file.name.slice(file.name.lastIndexOf('/') + 1))
      }
    } else {
      await this.#tellEach(start, files)
    }
  }

  /** What was taken for a folder may be a file. */
  async tellFile(name: string): Promise<void> {
    const found = name.endsWith('/') ? undefined : await this.#find(name)
    if (!found) throw new Failure('NotFound', `ls ${JSON.stringify(name)}: there is no such file or folder`)
    await this.#tell(this.#long ? found : { name: found.name }, found.name)
  }

  get #options() {
    const onInvalidName = (name: string) => {
      this.isEmpty = false
      this.#cli.terminal.say(`not listed, the name breaks the naming rule: ${printable(name)}`)
    }
    return { onInvalidName, signal: this.#cli.signal }
  }

  async #tellEach(start: string, files: readonly string[]): Promise<void> {
    for await (const [file, outcome] of inOrder(files, (file) => this.#find(start + file))) {
      if ('error' in outcome) throw outcome.error
      if (outcome.result) await this.#tell(outcome.result, file)
    }
  }

  async #find(name: string): Promise<ListedFile | undefined> {
    try {
      const { size, lastModified, etag, ...rest } = await this.#storage.stat(name, {
        signal: this.#cli.signal,
      })
      return { name: rest.name, size, lastModified, etag }
    } catch (error) {
      const { code } = await toFailure(error)
      if (code === 'NotFound') return undefined // Deleted meanwhile, or never there.
      throw error
    }
  }

  async #tellFolder(start: string, directory: string): Promise<void> {
    this.isEmpty = false
    const { terminal } = this.#cli
    const line = terminal.style('blue', printable(`${directory}/`))
    await terminal.record({ name: `${start}${directory}/` }, this.#long ? `${' '.repeat(33)}${line}` : line)
  }

  async #tell(file: { readonly name: string } | ListedFile, shown: string): Promise<void> {
    this.isEmpty = false
    const line = printable(shown)
    const details = this.#long && 'size' in file ? `${sizeText(file)}  ${timeText(file.lastModified)}  ` : ''
    await this.#cli.terminal.record(file, details + line)
  }
}

/** What the names in a folder begin with, for `./docs//` too. */
function canonical(folder: string): string {
  const segments = folder.replaceAll('\\', '/').normalize('NFC').split('/')
  return segments.map((segment) => (segment === '' || segment === '.' ? '' : `${segment}/`)).join('')
}

function sizeText({ size }: ListedFile): string {
  return bytesText(size).padStart(11)
}
