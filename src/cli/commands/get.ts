import { basename } from 'node:path'
import type { Command } from 'commander'
import type { Storage } from '../../index.js'
import type { Cli } from '../cli.js'
import { examples, type Run } from '../command.js'
import { writeContent } from '../content.js'
import { placeFor, writeLocalFile } from '../local-file.js'
import { printable } from '../printable.js'
import { Progress } from '../progress.js'

interface GetOptions {
  readonly ifExists: 'error' | 'overwrite'
}

/** `stowage get NAME [FILE|-]` */
export function addGet(program: Command, run: Run): void {
  program
    .command('get')
    .summary('fetch a file')
    .description('Writes a stored file to a local one, which appears when it is whole, and prints its path.')
    .argument('<name>', 'the name in the storage')
    .argument(
      '[file]',
      'a local file, a folder, or - for standard output; default: its own name in the working folder',
    )
    .addOption(
      program
        .createOption('--if-exists <choice>', 'what to do when the local file exists')
        .choices(['error', 'overwrite'])
        .default('error'),
    )
    .addHelpText(
      'after',
      examples(
        'stowage get documents/42/report.pdf',
        'stowage get documents/42/report.pdf /tmp/',
        'stowage get backups/data.tar - | tar x',
      ),
    )
    .action(
      run(async (cli, name: string, file: string | undefined, { ifExists }: GetOptions) => {
        const storage = await cli.storage()
        if (file === '-') {
          await writeContent(cli, storage, name)
          return undefined
        }
        const path = await placeFor(file ?? '.', name)
        cli.doneSoFar = () => `${path} was not written`
        await fetchTo(cli, storage, name, path, ifExists === 'overwrite')
        return undefined
      }),
    )
}

async function fetchTo(
  cli: Cli,
  storage: Storage,
  name: string,
  path: string,
  overwrite: boolean,
): Promise<void> {
  const progress = await Progress.start(cli.terminal, { label: printable(basename(name)), unit: 'bytes' })
  let size = 0
  try {
    const chunks = readWith(cli, storage, name, (bytes, total) => {
      size = bytes
      progress.expect(total)
      progress.update(bytes)
    })
    await writeLocalFile(path, chunks, { overwrite, signal: cli.signal })
  } finally {
    progress.stop()
  }
  await cli.terminal.record({ name, file: path, size }, printable(path))
}

/** Opened with the first byte, so not for a local file that is taken. */
async function* readWith(
  cli: Cli,
  storage: Storage,
  name: string,
  onProgress: (bytes: number, total: number) => void,
): AsyncIterable<Uint8Array> {
  const file = await storage.open(name, { signal: cli.signal })
  let bytes = 0
  for await (const chunk of file) {
    bytes += chunk.byteLength
    onProgress(bytes, file.size)
    yield chunk
  }
}
