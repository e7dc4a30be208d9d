import { createInterface } from 'node:readline/promises'
import type { Cli } from './cli.js'
import { usage } from './failure.js'

/**
 * Whether to go on. `--yes` says so, or a person on the terminal. Where nobody can be asked, a missing `--yes` is a
 * mistake in the command line.
 */
export async function confirm(
  { terminal, signal }: Cli,
  what: string,
  { yes = false }: { readonly yes?: boolean },
): Promise<boolean> {
  if (yes) return true
  if (!terminal.canAsk || terminal.json) throw usage(`${what}: give --yes to do so`)
  // Without `terminal` the line is read as it is typed, and Ctrl-C stays a signal.
  const asking = createInterface({ input: terminal.stdin, output: terminal.stderr, terminal: false })
  try {
    const ended = new Promise<string>((resolve) => asking.once('close', () => resolve('')))
    const answer = await Promise.race([asking.question(`${what}. Go on? [y/N] `, { signal }), ended])
    const agreed = /^y(?:es)?$/i.test(answer.trim())
    if (!agreed) terminal.say('nothing was changed')
    return agreed
  } finally {
    asking.close()
  }
}
