import type { Command } from 'commander'
import type { ExpiryRule } from '../index.js'
import { usage } from './failure.js'

/** The options that tell rules of expiry. */
export interface ExpiryFlags {
  readonly default?: boolean
  readonly rule?: readonly ExpiryRule[]
}

/** Adds `--default` and `--rule`. */
export function addExpiryOptions(command: Command): Command {
  return command
    .option('--default', 'the usual rules: documents=90, voice_notes=30, tmp=7')
    .option('--rule <folder=days>', 'files of a folder live so many days; may be given again', toRules)
}

/** The rules that were given. `--rule` wins over `--default` for the same folder. */
export async function rulesOf(flags: ExpiryFlags): Promise<readonly ExpiryRule[]> {
  const given = flags.rule ?? []
  if (!flags.default) return given
  const { defaultExpiry } = await import('../index.js')
  return [...defaultExpiry.filter(({ prefix }) => given.every((rule) => rule.prefix !== prefix)), ...given]
}

function toRules(text: string, before: readonly ExpiryRule[] = []): readonly ExpiryRule[] {
  const [, folder = '', days] = /^(.+?)\/*=([1-9]\d{0,5})$/s.exec(text) ?? []
  if (days === undefined) throw usage(`"${text}" is not a rule such as documents=90`)
  if (before.some(({ prefix }) => prefix === folder)) throw usage(`there are two rules for ${folder}`)
  return [...before, { prefix: folder, days: Number(days) }]
}
