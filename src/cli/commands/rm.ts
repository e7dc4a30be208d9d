import type { Command } from 'commander'
import type { Storage } from '../../index.js'
import type { Cli } from '../cli.js'
import { examples, type Run } from '../command.js'
import { confirm } from '../confirm.js'
import { EXIT, type ExitCode, graver } from '../exit-code.js'
import { Failure, toFailure, usage } from '../failure.js'
import { countText } from '../units.js'

interface RmOptions {
  readonly prefix?: string
  readonly dryRun?: boolean
  readonly yes?: boolean
}

/** `stowage rm NAME…`, `stowage rm --prefix FOLDER` */
export function addRm(program: Command, run: Run): void {
  program
    .command('rm')
    .summary('delete files')
    .description('Deletes files by their names, or everything below a folder.')
    .argument('[name...]', 'the names of the files')
    .option('--prefix <folder>', 'delete everything below this folder; asks first')
    .option('-n, --dry-run', 'only say what would be deleted')
    .option('-y, --yes', 'do not ask')
    .addHelpText(
      'after',
      examples(
        'stowage rm documents/42/report.pdf',
        'stowage rm --prefix tmp --dry-run',
        'stowage rm --prefix tmp --yes',
      ),
    )
    .action(
      run(async (cli, names: string[], options: RmOptions) => {
        if (options.prefix === undefined) {
          if (names.length === 0) throw usage('give the names of files, or --prefix and a folder')
          return removeNames(cli, await cli.storage(), names, options)
        }
        if (names.length > 0) throw usage('give either names or --prefix')
        return removeBelow(cli, await cli.storage(), options.prefix, options)
      }),
    )
}

/** The files are looked for first, because the deletion of a missing one is a success. */
async function removeNames(
  cli: Cli,
  storage: Storage,
  names: readonly string[],
  { dryRun = false }: RmOptions,
): Promise<ExitCode> {
  const { terminal, signal } = cli
  const found = new Set<string>()
  const look = (name: string) => storage.exists(name, { signal })
  let exitCode = await cli.lookUp(names, look, async (name, isThere) => {
    if (!isThere) throw new Failure('NotFound', `rm ${JSON.stringify(name)}: there is no such file`)
    found.add(name)
  })
  if (!dryRun) exitCode = graver(exitCode, await removeAll(cli, storage, found))
  for (const name of found) await terminal.record({ name, deleted: !dryRun })
  if (found.size > 0) terminal.say(`${countText(found.size, 'file')} ${dryRun ? 'would be ' : ''}deleted`)
  return exitCode
}

/** Takes the names that could not be deleted out of the set. */
async function removeAll(cli: Cli, storage: Storage, names: Set<string>): Promise<ExitCode> {
  const { DeleteManyError } = await import('../../index.js')
  cli.doneSoFar = () => `some of ${countText(names.size, 'file')} may be deleted`
  try {
    await storage.deleteMany([...names], { signal: cli.signal })
    return EXIT.ok
  } catch (error) {
    if (!(error instanceof DeleteManyError)) throw error
    let exitCode: ExitCode = EXIT.ok
    for (const { name, error: cause } of error.failures) {
      const failure = await toFailure(cause)
      cli.terminal.complain(failure.code, failure.message)
      exitCode = graver(exitCode, failure.exitCode)
      names.delete(name)
    }
    return exitCode
  }
}

async function removeBelow(
  cli: Cli,
  storage: Storage,
  prefix: string,
  { dryRun = false, yes = false }: RmOptions,
): Promise<ExitCode> {
  const { terminal, signal } = cli
  if (!dryRun && !yes && !terminal.canAsk) {
    throw usage('rm --prefix deletes many files: give --yes, or --dry-run to look first')
  }
  if (dryRun || !yes) {
    const { deleted: count } = await storage.deletePrefix(prefix, { dryRun: true, signal })
    if (count === 0) throw nothingBelow(prefix)
    if (dryRun) {
      await terminal.record({ prefix, files: count, deleted: false })
      terminal.say(`${countText(count, 'file')} would be deleted`)
      return EXIT.ok
    }
    if (!(await confirm(cli, `Delete ${countText(count, 'file')} below ${prefix}?`))) {
      terminal.say('nothing was deleted')
      return EXIT.ok
    }
  }
  cli.doneSoFar = () => `some files below ${prefix} may be deleted; run it again for the others`
  const { deleted } = await storage.deletePrefix(prefix, { signal })
  if (deleted === 0) throw nothingBelow(prefix)
  await terminal.record({ prefix, files: deleted, deleted: true })
  terminal.say(`${countText(deleted, 'file')} deleted`)
  return EXIT.ok
}

function nothingBelow(prefix: string): Failure {
  return new Failure('NotFound', `there are no files below ${JSON.stringify(prefix)}`)
}
