import type { Command } from 'commander'
import type { ExpiryRule, LifecycleRule } from '../../index.js'
import { bucketOf } from '../bucket.js'
import type { Cli } from '../cli.js'
import { examples, type Run } from '../command.js'
import { confirm } from '../confirm.js'
import { addExpiryOptions, type ExpiryFlags, rulesOf } from '../expiry-flags.js'
import { Failure, usage } from '../failure.js'
import { printable } from '../printable.js'
import type { Style } from '../terminal.js'
import { countText } from '../units.js'

interface LifecycleFlags extends ExpiryFlags {
  readonly remove?: readonly string[]
  readonly dryRun?: boolean
  readonly yes?: boolean
}

/** `stowage lifecycle` */
export function addLifecycle(program: Command, run: Run): void {
  addExpiryOptions(program.command('lifecycle'))
    .summary('let the bucket delete old files by itself')
    .description(
      'Shows all lifecycle rules of the bucket. With rules or --remove, shows the difference, asks, and writes it. Rules of other folders and of other programs stay as they are.',
    )
    .option('--remove <folders...>', 'take the rules of these folders away that stowage has written')
    .option('-n, --dry-run', 'show the difference only')
    .option('-y, --yes', 'write without asking')
    .addHelpText(
      'after',
      examples(
        'stowage lifecycle',
        'stowage lifecycle --default --dry-run',
        'stowage lifecycle --rule documents=90 --rule exports=2 --yes',
        'stowage lifecycle --remove exports tmp',
      ),
    )
    .action(
      run(async (cli, flags: LifecycleFlags) => {
        const storage = await bucketOf(cli, 'lifecycle rules')
        const { signal } = cli
        const rules = await rulesOf(flags)
        const remove = (flags.remove ?? []).map(withoutSlash)
        if (rules.length + remove.length === 0) {
          await showAll(cli, await storage.getLifecycleRules({ signal }))
          return undefined
        }
        const before = await storage.getLifecycle({ signal })
        for (const folder of remove) {
          if (rules.some(({ prefix }) => prefix === folder))
            throw usage(`there is a rule for ${folder}, and --remove`)
          if (before.some(({ prefix }) => prefix === folder)) continue
          throw new Failure('NotFound', `${storage} has no rule of stowage for ${folder}`)
        }
        const changes = changesOf(before, rules, remove)
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
          await storage.setLifecycle(rules, { remove, signal })
          const count = changes.filter(({ change }) => change !== '-').length
          cli.terminal.say(printable(`${storage} deletes files by ${countText(count, 'rule')} now`))
        } else cli.terminal.say(isSame ? 'nothing to change' : 'nothing was changed')
        return undefined
      }),
    )
}

/** The rules of this storage as `--rule` takes them, then all others of the bucket. */
async function showAll({ terminal }: Cli, all: readonly LifecycleRule[]): Promise<void> {
  for (const { folder: prefix, days } of all) {
    if (prefix === undefined) continue
    const rule = { prefix, days: Number(days) }
    await terminal.record({ own: true, ...rule }, lineOf(rule))
  }
  for (const rule of all) if (rule.folder === undefined) await terminal.record(rule, otherLineOf(rule))
  if (all.length === 0) terminal.say('the bucket has no lifecycle rules')
}

/** `logs/: 3 days, unfinished uploads 7 days, Transition (rule "archive" of another program)` */
function otherLineOf({ id, prefix, own, enabled, days, abortDays, others }: LifecycleRule): string {
  const actions = [
    ...(days === undefined ? [] : [countText(days, 'day')]),
    ...(abortDays === undefined ? [] : [`unfinished uploads ${countText(abortDays, 'day')}`]),
    ...others,
    ...(enabled ? [] : ['switched off']),
  ]
  const whose = own ? '' : ` (rule ${JSON.stringify(id)} of another program)`
  return printable(`${prefix || 'the whole bucket'}: ${actions.join(', ')}${whose}`)
}

/** A rule that is added, removed, or stays. */
interface Change extends ExpiryRule {
  readonly change: '+' | '-' | '='
}

const STYLES: Readonly<Record<Change['change'], Style>> = { '+': 'green', '-': 'red', '=': 'reset' }

function changesOf(
  before: readonly ExpiryRule[],
  rules: readonly ExpiryRule[],
  removed: readonly string[],
): Change[] {
  const isTouched = (folder: string) =>
    removed.includes(folder) || rules.some(({ prefix }) => prefix === folder)
  const kept = before.filter(({ prefix }) => !isTouched(prefix))
  const gone = before.filter(({ prefix }) => removed.includes(prefix))
  const changed = rules.flatMap((rule): Change[] => {
    const old = before.filter(({ prefix }) => prefix === rule.prefix)
    if (old.length === 1 && old[0]?.days === rule.days) return [{ change: '=', ...rule }]
    return [...old.map((each): Change => ({ change: '-', ...each })), { change: '+', ...rule }]
  })
  return [
    ...kept.map((rule): Change => ({ change: '=', ...rule })),
    ...gone.map((rule): Change => ({ change: '-', ...rule })),
    ...changed,
  ]
}

function lineOf({ prefix, days }: ExpiryRule): string {
  return `${printable(prefix)}: ${countText(days, 'day')}`
}

function withoutSlash(folder: string): string {
  return folder.replace(/\/+$/, '')
}
