import { Problem } from './errors.js'
import { toFolder } from './names.js'
import { checkOptions } from './options.js'

/** Files of one folder that live for some days. */
export interface ExpiryRule {
  /** The folder: `documents` is `documents/…`, never `documents2`. */
  readonly prefix: string
  /** Days after its last write that a file expires, 1 or more. */
  readonly days: number
}

/** The usual lifetimes of a chat: documents 90 days, voice notes 30 days, temporary files 7 days. */
export const defaultExpiry: readonly ExpiryRule[] = Object.freeze([
  Object.freeze({ prefix: 'documents', days: 90 }),
  Object.freeze({ prefix: 'voice_notes', days: 30 }),
  Object.freeze({ prefix: 'tmp', days: 7 }),
])

/** Longer than any file lives, and short enough for every server: a thousand years. */
const MOST_DAYS = 365_000
const KNOWN: { readonly [Field in keyof ExpiryRule]: true } = { prefix: true, days: true }

/** Checks rules. Their prefixes are folders then. */
export function toExpiryRules(rules: readonly ExpiryRule[]): readonly ExpiryRule[] {
  if (!Array.isArray(rules))
    throw new Problem('InvalidArgument', 'rules must be an array of { prefix, days }')
  const seen = new Set<string>()
  return rules.map((rule: unknown) => {
    if (typeof rule !== 'object' || rule === null) {
      throw new Problem('InvalidArgument', 'a rule must be an object: { prefix, days }')
    }
    checkOptions(rule, KNOWN)
    const { prefix: given, days }: Partial<ExpiryRule> = rule
    const prefix = toFolder(given, false)
    if (typeof days !== 'number' || !Number.isSafeInteger(days) || days < 1 || days > MOST_DAYS) {
      throw new Problem(
        'InvalidArgument',
        `days of ${JSON.stringify(prefix)} must be a whole number from 1 to ${MOST_DAYS}`,
      )
    }
    if (seen.has(prefix)) {
      throw new Problem('InvalidArgument', `there are two rules for ${JSON.stringify(prefix)}`)
    }
    seen.add(prefix)
    return { prefix, days }
  })
}
