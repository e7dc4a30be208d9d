import type { Command } from 'commander'
import type { IfExists, Storage } from '../index.js'
import { refuseAddressedTarget } from './addresses.js'
import type { Cli, TwoStorages } from './cli.js'
import { examples, ifExistsOption, type Run } from './command.js'
import { Failure } from './failure.js'
import { printable } from './printable.js'
import { Progress } from './progress.js'

/** The options of `cp` and `mv`. */
interface CopyOptions extends TwoStorages {
  readonly ifExists?: IfExists
}

interface CopyRequest {
  readonly from: string
  readonly to: string
  readonly options: CopyOptions
  readonly move: boolean
}

/** What `cp` and `mv` do not have in common. */
interface CopyCommand {
  readonly name: string
  readonly summary: string
  readonly description: string
  readonly move: boolean
}

/** Adds `cp` or `mv`. */
export function addCopyCommand(
  program: Command,
  run: Run,
  { name, summary, description, move }: CopyCommand,
): void {
  program
    .command(name)
    .option('--from <address>', 'the storage of FROM; default: the one of --storage or the environment')
    .option('--to <address>', 'the storage of TO; the same default')
    .summary(summary)
    .description(description)
    .argument('<from>', 'the name of the file')
    .argument('<to>', 'its new name; after a folder ending in / it keeps its own')
    .addOption(ifExistsOption(program))
    .addHelpText(
      'after',
      examples(
        `stowage ${name} documents/42/report.pdf archive/`,
        `stowage ${name} --from fs:./uploads --to r2:chat-files a.png photos/a.png`,
      ),
    )
    .action(
      run(async (cli, from: string, to: string, options: CopyOptions) => {
        refuseAddressedTarget(to)
        const stored = await copyFile(cli, { from, to, options, move })
        await cli.terminal.record({ name: stored, from }, printable(stored))
        return undefined
      }),
    )
}

/** Copies or moves one file, in a storage or between two. Resolves to the name that it got. */
async function copyFile(cli: Cli, { from, to, options, move }: CopyRequest): Promise<string> {
  const target = to.endsWith('/') ? to + from.slice(from.lastIndexOf('/') + 1) : to
  const { ifExists } = options
  const { signal } = cli
  if (options.from === undefined && options.to === undefined) {
    const storage = await cli.storage()
    return move
      ? storage.move(from, target, { ifExists, signal })
      : storage.copy(from, target, { ifExists, signal })
  }
  const storages = await cli.storages(options)
  return copyBetween(cli, storages, { from, to: target, options, move })
}

async function copyBetween(
  cli: Cli,
  { source, target }: { readonly source: Storage; readonly target: Storage },
  { from, to, options: { ifExists }, move }: CopyRequest,
): Promise<string> {
  const { signal } = cli
  const file = await source.open(from, { signal })
  const progress = await Progress.start(cli.terminal, {
    label: printable(from.slice(from.lastIndexOf('/') + 1)),
    unit: 'bytes',
    total: file.size,
  })
  const onProgress = ({ bytes }: { readonly bytes: number }) => progress.update(bytes)
  let stored: string
  try {
    // Type, headers and metadata of an opened file are the defaults of a save.
    stored = await target.save(to, file, { ifExists, onProgress, signal })
  } finally {
    progress.stop()
    await file.close()
  }
  if (move) {
    cli.doneSoFar = () => `${printable(stored)} is copied, and ${printable(from)} may still be there`
    await removeSource(cli, source, file, { target, stored })
  }
  return stored
}

/** Deletes the source of a complete copy. Two addresses may lead to one and the same file, which stays. */
async function removeSource(
  { signal }: Cli,
  source: Storage,
  opened: { readonly name: string; readonly etag: string },
  { target, stored }: { readonly target: Storage; readonly stored: string },
): Promise<void> {
  const { name, etag } = opened
  const [now, copy] = await Promise.all([source.stat(name, { signal }), target.stat(stored, { signal })])
  const isSame = now.etag === copy.etag && now.lastModified.getTime() === copy.lastModified.getTime()
  if (isSame) {
    const reason = 'it looks like the source itself, so the source was not deleted'
    throw new Failure('AlreadyExists', `mv ${JSON.stringify(name)}: the copy is complete, but ${reason}`)
  }
  if (now.etag !== etag) {
    const reason = 'the source was replaced meanwhile, so it was not deleted'
    throw new Failure('AlreadyExists', `mv ${JSON.stringify(name)}: the copy is complete, but ${reason}`)
  }
  await source.delete(name, { signal })
}
