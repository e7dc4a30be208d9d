import type { Params, SingleBar } from 'cli-progress'
import { clipped } from './printable.js'
import type { Terminal } from './terminal.js'
import { bytesText, durationText } from './units.js'

/** What a bar counts. */
export interface Counted {
  /** In front of the bar: `report.pdf`. */
  readonly label: string
  /** `bytes`, or things in the plural: `files`. */
  readonly unit: string
  /** All of them, where that is known. */
  readonly total?: number | undefined
}

/** A bar with rate and time left on the terminal of stderr. Without a terminal it is silent. */
export class Progress {
  readonly #bar: SingleBar | undefined
  readonly #stream: NodeJS.WriteStream

  private constructor(bar: SingleBar | undefined, stream: NodeJS.WriteStream) {
    this.#bar = bar
    this.#stream = stream
  }

  static async start(terminal: Terminal, { label, unit, total }: Counted): Promise<Progress> {
    if (!terminal.hasBars) return new Progress(undefined, terminal.stderr)
    terminal.isSilent = false
    const { SingleBar, stringWidth: widthOf } = await import('../vendor/cli-progress.js')
    const begun = performance.now()
    const bar = new SingleBar({
      stream: terminal.stderr,
      fps: 10,
      hideCursor: true,
      clearOnComplete: true, // The result says more.
      gracefulExit: false, // Ctrl-C is ours.
      etaAsynchronousUpdate: true,
      format: (_, params) => {
        const rate = params.value / ((performance.now() - begun) / 1000)
        return lineOf({ label, unit, columns: terminal.stderr.columns || 80, rate, widthOf }, params)
      },
    })
    bar.start(total ?? 0, 0)
    return new Progress(bar, terminal.stderr)
  }

  update(value: number): void {
    this.#bar?.update(value)
  }

  /** The total became known, or grew. */
  expect(total: number): void {
    this.#bar?.setTotal(total)
  }

  /** Makes room for a line above the bar, which comes back below that line. */
  clear(): void {
    if (this.#bar?.isActive) this.#stream.write('\r\u001B[K')
  }

  /** Clears the line. May be called again. */
  stop(): void {
    this.#bar?.stop()
  }
}

interface Line {
  readonly label: string
  readonly unit: string
  readonly columns: number
  readonly rate: number
  readonly widthOf: (text: string) => number
}

/**
 * `report.pdf  ████░░░░  50%  1.0 MiB  512.0 KiB/s  2 s left`. What does not fit is left out: the bar first, then the name,
 * the rate, the time left.
 */
function lineOf({ label, unit, columns, rate, widthOf }: Line, { value, total, progress }: Params): string {
  const amount = unit === 'bytes' ? bytesText : (count: number) => Math.round(count).toLocaleString('en-US')
  const isKnown = total > 0
  const left = isKnown && rate > 0 ? `${durationText((total - value) / rate)} left` : ''
  const done = unit === 'bytes' ? amount(value) : `${amount(value)} ${unit}`
  const percent = isKnown ? `${Math.floor(progress * 100)}%`.padStart(4) : ''
  const lines = [
    [percent, done, `${amount(rate)}/s`, left],
    [percent, done, left],
    [percent, done],
  ].map((parts) => parts.filter((part) => part !== '').join('  '))
  const numbers = lines.find(({ length }) => length < columns) ?? percent
  const room = columns - 1 - numbers.length
  const name = room >= 12 ? `${clipped(label, Math.min(30, room - 2), widthOf)}  ` : ''
  const width = Math.min(24, room - widthOf(name) - 2)
  const full = Math.round(width * progress)
  const bar = isKnown && width >= 6 ? `${'█'.repeat(full)}${'░'.repeat(width - full)}  ` : ''
  return (name + bar + numbers).slice(0, columns - 1)
}
