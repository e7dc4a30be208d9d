import { constants, createReadStream, openAsBlob } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import { basename } from 'node:path'
import type { Command } from 'commander'
import type { Content, IfExists } from '../../index.js'
import { refuseAddressedTarget } from '../addresses.js'
import { examples, ifExistsOption, type Run } from '../command.js'
import { EXIT } from '../exit-code.js'
import { Failure, localFailure, usage } from '../failure.js'
import { printable } from '../printable.js'
import { Progress } from '../progress.js'

interface PutOptions {
  readonly ifExists?: IfExists
  readonly type?: string
  readonly cacheControl?: string
}

/** `stowage put FILE|- NAME` */
export function addPut(program: Command, run: Run): void {
  program
    .command('put')
    .summary('store a file')
    .description('Stores a local file, or standard input, and prints the name that it really got.')
    .argument('<file>', 'a local file, or - for standard input')
    .argument('<name>', 'its name in the storage; after a folder ending in / the file keeps its own name')
    .addOption(ifExistsOption(program))
    .option('--type <type>', 'the content type; default: by the extension')
    .option('--cache-control <value>', 'how caches may keep the file')
    .addHelpText(
      'after',
      examples('stowage put report.pdf documents/42/', 'tar c ./data | stowage put - backups/data.tar'),
    )
    .action(
      run(async (cli, file: string, name: string, options: PutOptions) => {
        refuseAddressedTarget(name)
        const target = toName(file, name)
        const { content, size } = await openSource(cli.terminal.stdin, file)
        const storage = await cli.storage()
        cli.doneSoFar = () => 'nothing was stored'
        const progress = await Progress.start(cli.terminal, {
          label: printable(file === '-' ? basename(target) : basename(file)),
          unit: 'bytes',
          total: size,
        })
        try {
          const stored = await storage.save(target, content, {
            ifExists: options.ifExists,
            contentType: options.type,
            cacheControl: options.cacheControl,
            sourceTimeout: 0, // Whoever types into it may think for a while.
            onProgress: ({ bytes }) => progress.update(bytes),
            signal: cli.signal,
          })
          progress.stop()
          await cli.terminal.record({ name: stored }, printable(stored))
        } catch (error) {
          throw sourceFailure(file, error)
        } finally {
          progress.stop()
        }
        return undefined
      }),
    )
}

function toName(file: string, name: string): string {
  if (!name.endsWith('/')) return name
  if (file === '-') throw usage(`standard input has no name of its own: give one after ${name}`)
  return name + basename(file)
}

/** A regular file is given with its size, and may be read again if a server wants it twice. */
async function openSource(
  stdin: NodeJS.ReadStream,
  file: string,
): Promise<{ readonly content: Content; readonly size?: number }> {
  if (file === '-') return { content: stdin }
  try {
    const stats = await stat(file)
    if (stats.isDirectory()) {
      throw usage(`${file} is a folder: stowage migrate --from fs:${file} stores all files of one`)
    }
    await access(file, constants.R_OK)
    // The files of /proc say that they are empty.
    if (!stats.isFile() || stats.size === 0) return { content: createReadStream(file) }
    return { content: await openAsBlob(file), size: stats.size }
  } catch (error) {
    throw localFailure(file, error)
  }
}

function sourceFailure(file: string, error: unknown): unknown {
  if (error instanceof Error && error.name === 'NotReadableError') {
    return new Failure('Changed', `${file} changed while it was read, or can be read no more`, EXIT.failed)
  }
  return localFailure(file === '-' ? 'standard input' : file, error)
}
