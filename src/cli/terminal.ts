import { styleText } from 'node:util'
import { printable, toJsonLine } from './printable.js'
import { outputFailure } from './stop.js'
import type { Streams } from './streams.js'

export type Style = Parameters<typeof styleText>[0]

/** The columns of a file or a pipe, which has none. */
const NO_TERMINAL = 80

/** Where results and talk go: data to stdout, talk to stderr. */
export class Terminal {
  readonly #streams: Streams
  /** One JSON line a record. */
  readonly json: boolean
  /** Whether the person at the terminal has seen nothing yet. */
  isSilent = true

  constructor(streams: Streams, json: boolean) {
    this.#streams = streams
    this.json = json
  }

  /** Whether a person reads the data. */
  get isInteractive(): boolean {
    return this.#streams.stdout.isTTY === true && !this.json
  }

  /** Whether a person reads the talk, so that a bar may move there. */
  get hasBars(): boolean {
    return this.#streams.stderr.isTTY === true && process.env.TERM !== 'dumb' && !this.json
  }

  /** Whether a person can answer a question. */
  get canAsk(): boolean {
    return this.#streams.stdin.isTTY === true && this.#streams.stderr.isTTY === true && !this.json
  }

  get columns(): number {
    return this.#streams.stdout.columns ?? NO_TERMINAL
  }

  get stdin(): NodeJS.ReadStream {
    return this.#streams.stdin
  }

  get stdout(): NodeJS.WriteStream {
    return this.#streams.stdout
  }

  get stderr(): NodeJS.WriteStream {
    return this.#streams.stderr
  }

  /** One record of the result: JSON with `--json`, else the lines. Waits for a slow reader. */
  async record(value: object, ...lines: readonly string[]): Promise<void> {
    const text = this.json ? [toJsonLine(value)] : lines
    for (const line of text) await this.write(`${line}\n`)
  }

  /** Writes data, and waits for a slow reader. Rejects when it cannot be written, or nobody reads it any more. */
  async write(data: string | Uint8Array): Promise<void> {
    this.isSilent = false
    await new Promise<void>((resolve, reject) => {
      this.#streams.stdout.write(data, (error) => (error ? reject(outputFailure(error)) : resolve()))
    })
  }

  /** Waits until everything is written. */
  async flush(): Promise<void> {
    await this.write('')
  }

  /** A line for people, on stderr. Silent with `--json`. */
  say(text: string): void {
    if (!this.json) this.#streams.stderr.write(`${text}\n`)
  }

  /** An error, on stderr: one JSON line with `--json`. */
  complain(code: string, message: string): void {
    const text = this.json
      ? toJsonLine({ error: { code, message } })
      : `${this.style('red', 'error:', this.#streams.stderr)} ${message.split('\n').map(printable).join('\n')}`
    this.#streams.stderr.write(`${text}\n`)
  }

  /** A text in a colour, where the stream has colours. `NO_COLOR` and `FORCE_COLOR` count as in Node. */
  style(style: Style, text: string, stream: NodeJS.WriteStream = this.#streams.stdout): string {
    // By the stream, not by stdout, as newer versions of Node would have it.
    return !this.json && hasColours(stream) ? styleText(style, text, { validateStream: false }) : text
  }
}

function hasColours(stream: NodeJS.WriteStream): boolean {
  const forced = process.env.FORCE_COLOR
  if (forced !== undefined) return forced !== '0' && forced !== 'false'
  return stream.isTTY === true && stream.hasColors()
}
