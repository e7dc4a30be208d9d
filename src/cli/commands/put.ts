import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { basename } from 'node:path'
import type { Command } from 'commander'
import type { IfExists } from '../../index.js'
import { examples, ifExistsOption, type Run } from '../command.js'
import { localFailure, usage } from '../failure.js'
import { printable } from '../printable.js'
import { Progress } from '../progress.js'

interface PutOptions {
  readonly ifExists: IfExists
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
    .addOption(ifExistsOption(program, 'rename'))
    .option('--type <type>', 'the content type; default: by the extension')
    .option('--cache-control <value>', 'how caches may keep the file')
    .addHelpText(
      'after',
      examples('stowage put report.pdf documents/42/', 'tar c ./data | stowage put - backups/data.tar'),
    )
    .action(
      run(async (cli, file: string, name: string, options: PutOptions) => {
        const storage = await cli.storage()
        const { stream, size } = await openSource(cli.terminal.stdin, file)
        const progress = await Progress.start(cli.terminal, {
          label: printable(file === '-' ? 'stdin' : basename(file)),
          unit: 'bytes',
          total: size,
        })
        try {
          const stored = await storage.save(toName(file, name), stream, {
            ifExists: options.ifExists,
            contentType: options.type,
            cacheControl: options.cacheControl,
            sourceTimeout: 0, // Whoever types into it may think for a while.
            onProgress: ({ bytes }) => progress.update(bytes),
            signal: cli.signal,
          })
          progress.stop()
          await cli.terminal.record({ name: stored }, printable(stored))
        } finally {
          stream.destroy()
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

async function openSource(stdin: NodeJS.ReadStream, file: string) {
  if (file === '-') return { stream: stdin, size: undefined }
  try {
    const handle = await open(file)
    const stats = await handle.stat()
    if (stats.isDirectory()) {
      await handle.close()
      throw usage(`${file} is a folder: stowage migrate --from fs:${file} stores all files of one`)
    }
    return { stream: createReadStream(file, { fd: handle }), size: stats.isFile() ? stats.size : undefined }
  } catch (error) {
    throw localFailure(file, error)
  }
}
