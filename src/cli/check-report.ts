import type { CheckResult, CheckStatus } from '../index.js'
import { printable } from './printable.js'
import type { Style, Terminal } from './terminal.js'
import { countText } from './units.js'

const SIGNS: Readonly<Record<CheckStatus, readonly [sign: string, style: Style]>> = {
  ok: ['[✓]', 'green'],
  warning: ['[!]', 'yellow'],
  failed: ['[✗]', 'red'],
  skipped: ['[-]', 'dim'],
}
const INDENT = '      '

/** Writes the records of `diagnose` as they come: by groups for people, a line each with `--json`. */
export class CheckReport {
  readonly #terminal: Terminal
  readonly #problemsOnly: boolean
  readonly #counts: Record<CheckStatus, number> = { ok: 0, warning: 0, failed: 0, skipped: 0 }
  #group = ''
  #told = ''
  /** The checks that failed, in order. */
  readonly failed: CheckResult[] = []

  constructor(terminal: Terminal, problemsOnly: boolean) {
    this.#terminal = terminal
    this.#problemsOnly = problemsOnly
  }

  async add(result: CheckResult): Promise<void> {
    const { group, status, message, remedy } = result
    this.#counts[status] += 1
    if (status === 'failed') this.failed.push(result)
    if (this.#problemsOnly && status !== 'failed' && status !== 'warning') return
    // Several checks may be skipped for one reason.
    const isTold = this.#told === `${group} ${message}` && !this.#terminal.json
    this.#told = `${group} ${message}`
    if (isTold) return
    const [sign, style] = SIGNS[status]
    const [first = '', ...rest] = this.#wrapped(message)
    const lines = [`  ${this.#terminal.style(style, sign)} ${first}`, ...rest.map((line) => INDENT + line)]
    if (remedy !== undefined) lines.push(...this.#wrapped(`→ ${remedy}`).map((line) => INDENT + line))
    if (group !== this.#group) lines.unshift(this.#terminal.style('bold', printable(group)))
    this.#group = group
    await this.#terminal.record(result, ...lines)
  }

  /** The closing sentence. */
  async end(): Promise<void> {
    const { warning, failed, skipped } = this.#counts
    if (this.#terminal.json || (this.#problemsOnly && warning + failed === 0)) return
    const rest = skipped === 0 ? '' : `, ${countText(skipped, 'check')} skipped`
    const warnings = warning === 0 ? '' : `, ${countText(warning, 'warning')}`
    const sentence =
      failed > 0
        ? `${countText(failed, 'problem')} found${warnings}${rest}.`
        : `No problems found${warnings}${rest}.`
    const text = this.#wrapped(sentence).join('\n')
    await this.#terminal.write(`\n${this.#terminal.style(failed > 0 ? 'red' : 'green', text)}\n`)
  }

  /** The lines of a sentence, with room for the indent. A pipe gets one line. */
  #wrapped(sentence: string): string[] {
    const text = printable(sentence)
    if (!this.#terminal.isInteractive) return [text]
    const room = Math.max(20, this.#terminal.columns - INDENT.length - 1)
    const lines: string[] = []
    for (const word of text.split(' ')) {
      const last = lines.at(-1)
      if (last === undefined || last.length + 1 + word.length > room) lines.push(word)
      else lines[lines.length - 1] = `${last} ${word}`
    }
    return lines
  }
}
