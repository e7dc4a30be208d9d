import type { Params, SingleBar } from 'cli-progress'
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
    const { SingleBar } = await import('../vendor/cli-progress.js')
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
        return lineOf({ label, unit, columns: terminal.stderr.columns ?? 80, rate }, params)
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
}

/** `report.pdf  ████░░░░  50%  1.0 MiB  512.0 KiB/s  2 s left`. What does not fit is left out, the bar first. */
function lineOf({ label, unit, columns, rate }: Line, { value, total, progress }: Params): string {
  const amount = unit === 'bytes' ? bytesText : (count: number) => Math.round(count).toLocaleString('en-US')
  const isKnown = total > 0
  const left = isKnown && rate > 0 ? `${durationText((total - value) / rate)} left` : ''
  const done = unit === 'bytes' ? amount(value) : `${amount(value)} ${unit}`
  const parts = [isKnown ? `${Math.floor(progress * 100)}%`.padStart(4) : '', done, `${amount(rate)}/s`, left]
  const numbers = parts.filter((part) => part !== '').join('  ')
  const room = columns - 1 - numbers.length
  const name = room >= 12 ? `${clipped(label, Math.min(30, room - 2))}  ` : ''
  const width = Math.min(24, room - name.length - 2)
  const full = Math.round(width * progress)
  const bar = isKnown && width >= 6 ? `${'█'.repeat(full)}${'░'.repeat(width - full)}  ` : ''
  return (name + bar + numbers).slice(0, columns - 1)
}

function clipped(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`
}
