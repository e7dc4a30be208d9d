import type { Command } from 'commander'
import type { ExpiryRule } from '../../index.js'
import { bucketOf } from '../bucket.js'
import { examples, type Run } from '../command.js'
import { confirm } from '../confirm.js'
import { addExpiryOptions, type ExpiryFlags, rulesOf } from '../expiry-flags.js'
import { printable } from '../printable.js'
import type { Style } from '../terminal.js'
import { countText } from '../units.js'

interface LifecycleFlags extends ExpiryFlags {
  readonly dryRun?: boolean
  readonly yes?: boolean
}

/** `stowage lifecycle` */
export function addLifecycle(program: Command, run: Run): void {
  addExpiryOptions(program.command('lifecycle'))
    .summary('let the bucket delete old files by itself')
    .description(
      'Shows the expiry rules that stowage has written into the bucket. With rules, shows the difference, asks, and writes them. Rules of other folders and of other programs stay as they are.',
    )
    .option('-n, --dry-run', 'show the difference only')
    .option('-y, --yes', 'write without asking')
    .addHelpText(
      'after',
      examples(
        'stowage lifecycle',
        'stowage lifecycle --default --dry-run',
        'stowage lifecycle --rule documents=90 --rule exports=2 --yes',
      ),
    )
    .action(
      run(async (cli, flags: LifecycleFlags) => {
        const storage = await bucketOf(cli, 'lifecycle rules')
        const { signal } = cli
        const rules = await rulesOf(flags)
        const before = await storage.getLifecycle({ signal })
        if (rules.length === 0) {
          for (const rule of before) await cli.terminal.record(rule, lineOf(rule))
          if (before.length === 0) cli.terminal.say(`${storage} has no expiry rules of stowage`)
          return undefined
        }
        const changes = changesOf(before, rules)
        for (const { change, ...rule } of changes) {
          const style = STYLES[change]
          await cli.terminal.record(
            { change, ...rule },
            cli.terminal.style(style, `${change} ${lineOf(rule)}`),
          )
        }
        const isSame = changes.every(({ change }) => change === '=')
        const isWanted = !isSame && !flags.dryRun
        if (isWanted && (flags.yes || (await confirm(cli, `Change the rules of ${storage}?`)))) {
          await storage.setLifecycle(rules, { signal })
          const count = changes.filter(({ change }) => change !== '-').length
          cli.terminal.say(printable(`${storage} deletes files by ${countText(count, 'rule')} now`))
        } else cli.terminal.say(isSame ? 'nothing to change' : 'nothing was changed')
        return undefined
      }),
    )
}

/** A rule that is added, removed, or stays. */
interface Change extends ExpiryRule {
  readonly change: '+' | '-' | '='
}

const STYLES: Readonly<Record<Change['change'], Style>> = { '+': 'green', '-': 'red', '=': 'reset' }

function changesOf(before: readonly ExpiryRule[], rules: readonly ExpiryRule[]): Change[] {
  const kept = before.filter(({ prefix }) => rules.every((rule) => rule.prefix !== prefix))
  const changed = rules.flatMap((rule): Change[] => {
    const old = before.filter(({ prefix }) => prefix === rule.prefix)
    if (old.length === 1 && old[0]?.days === rule.days) return [{ change: '=', ...rule }]
    return [...old.map((each): Change => ({ change: '-', ...each })), { change: '+', ...rule }]
  })
  return [...kept.map((rule): Change => ({ change: '=', ...rule })), ...changed]
}

function lineOf({ prefix, days }: ExpiryRule): string {
  return `${printable(prefix)}: ${countText(days, 'day')}`
}
