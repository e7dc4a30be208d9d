import type { Command } from 'commander'
import type { ExpireResult } from '../../index.js'
import type { Cli } from '../cli.js'
import { examples, type Run } from '../command.js'
import { confirm } from '../confirm.js'
import { addExpiryOptions, type ExpiryFlags, rulesOf } from '../expiry-flags.js'
import { exitCodeAfter, tellFailure } from '../failed-file.js'
import { usage } from '../failure.js'
import { printable } from '../printable.js'
import { tableLines } from '../table.js'
import { bytesText, countText } from '../units.js'

interface ExpireFlags extends ExpiryFlags {
  readonly dryRun?: boolean
  readonly yes?: boolean
}

/** `stowage expire` */
export function addExpire(program: Command, run: Run): void {
  addExpiryOptions(program.command('expire'))
    .summary('delete files that are older than so many days')
    .description(
      'Deletes files whose last write is so many days ago, by folder. Asks first. For a nightly job on every backend; a bucket can do it by itself, see stowage lifecycle.',
    )
    .option('-n, --dry-run', 'say what would be deleted')
    .option('-y, --yes', 'delete without asking')
    .addHelpText(
      'after',
      examples('stowage expire --default --dry-run', 'stowage expire --rule exports=2 --rule tmp=7 --yes'),
    )
    .action(
      run(async (cli, flags: ExpireFlags) => {
        const { expire } = await import('../../index.js')
        const rules = await rulesOf(flags)
        if (rules.length === 0) throw usage('give --default, or rules such as --rule documents=90')
        const storage = await cli.storage()
        const { signal } = cli
        const now = new Date() // What was shown is what is deleted.
        if (flags.dryRun || !flags.yes) {
          const found = await expire(storage, rules, { dryRun: true, now, signal })
          if (flags.dryRun) return report(cli, found, true)
          if (found.deleted > 0) {
            for (const line of await linesOf(cli, found)) cli.terminal.say(line)
            if (!(await confirm(cli, `Delete ${filesOf(found)} of ${storage}?`))) {
              cli.terminal.say('nothing was changed')
              return undefined
            }
          }
        }
        cli.doneSoFar = () => 'some files may be deleted; the same command goes on from there'
        const result = await expire(storage, rules, { now, signal })
        return report(cli, result, false)
      }),
    )
}

async function report(cli: Cli, result: ExpireResult, isDry: boolean) {
  const { rules, failed, deleted, bytes, invalidNames } = result
  for (const failure of failed) await tellFailure(cli, failure)
  await cli.terminal.record(
    { ...(isDry && { dryRun: true }), deleted, bytes, rules, failed: failed.length, invalidNames },
    ...(await linesOf(cli, result)),
  )
  const verb = isDry ? 'would be deleted' : deleted === 1 ? 'was deleted' : 'were deleted'
  cli.terminal.say(`${filesOf(result)} ${verb}`)
  if (invalidNames > 0) {
    cli.terminal.say(`left alone: ${countText(invalidNames, 'file')} whose names break the naming rule`)
  }
  return exitCodeAfter(failed)
}

/** A line for each rule. */
function linesOf({ terminal }: Cli, { rules }: ExpireResult): Promise<string[]> {
  return tableLines(
    terminal,
    [
      { title: 'folder' },
      { title: 'days', align: 'right' },
      { title: 'files', align: 'right' },
      { title: 'size', align: 'right' },
    ],
    rules.map(({ prefix, days, deleted, bytes }) => [
      printable(prefix),
      String(days),
      String(deleted),
      terminal.isInteractive ? bytesText(bytes) : String(bytes),
    ]),
  )
}

function filesOf({ deleted, bytes }: ExpireResult): string {
  return `${countText(deleted, 'file')} (${bytesText(bytes)})`
}
