import { once } from 'node:events'
import type { Cli } from './cli.js'
import { usage } from './failure.js'
import { printable } from './printable.js'

/**
 * Asks a question on the terminal; only `y` and `yes` are a yes. Without somebody who can answer it is a mistake in the
 * command line, which says to give `--yes`.
 */
export async function confirm({ terminal, signal }: Cli, question: string): Promise<boolean> {
  if (!terminal.canAsk)
    throw usage(`nobody can be asked "${question}": give --yes, or --dry-run to look first`)
  terminal.stderr.write(`${printable(question)} [y/N] `)
  const { stdin } = terminal
  stdin.setEncoding('utf8')
  const answered = new AbortController()
  const either = AbortSignal.any([signal, answered.signal])
  let answer = ''
  try {
    const data = once(stdin, 'data', { signal: either }).then(([text]) => String(text))
    const end = once(stdin, 'end', { signal: either }).then(() => '')
    data.catch(() => {})
    end.catch(() => {})
    answer = await Promise.race([data, end])
    return /^\s*y(?:es)?\s*$/i.test(answer)
  } finally {
    answered.abort()
    if (!answer.endsWith('\n')) terminal.stderr.write('\n') // After Ctrl-C and Ctrl-D the cursor is still behind the question.
    stdin.destroy()
  }
}
