import { clipped, printable } from './printable.js'
import type { Terminal } from './terminal.js'
import { bytesText, countText } from './units.js'

/** One line of a chart. */
export interface Charted {
  readonly name: string
  readonly files: number
  readonly bytes: number
}

const MOST_LINES = 20
const MOST_BAR = 30
const LEAST_BAR = 6

/**
 * The lines of a bar chart, for a terminal of any width: `documents  ██████  1.2 GiB  840 files`. Of many lines those at
 * one end are shown, and the others are summed up.
 */
export async function chartLines(
  terminal: Terminal,
  all: readonly Charted[],
  shown: 'first' | 'last' = 'first',
): Promise<string[]> {
  const { stringWidth } = await import('../vendor/cli-progress.js')
  const rows = shown === 'first' ? all.slice(0, MOST_LINES) : all.slice(-MOST_LINES)
  const rest = shown === 'first' ? all.slice(MOST_LINES) : all.slice(0, -MOST_LINES)
  const numbers = columnsOf(rows)
  const room = terminal.columns - 3 - (numbers[0]?.length ?? 0)
  const names = rows.map(({ name }) => printable(name))
  const longest = Math.max(0, ...names.map((name) => stringWidth(name)))
  const clippedTo = (width: number) => names.map((name) => clipped(name, width, stringWidth))
  const besideBar = Math.min(longest, Math.max(8, room - LEAST_BAR - 4))
  // Types begin alike: in a narrow window, names that can be told apart are worth more than bars.
  const isTelling = new Set(clippedTo(besideBar)).size === new Set(names).size
  const nameWidth = isTelling ? besideBar : Math.min(longest, Math.max(8, room - 2))
  const shownNames = clippedTo(nameWidth)
  const barWidth = Math.min(MOST_BAR, room - nameWidth - 4)
  const most = Math.max(1, ...rows.map(({ bytes }) => bytes))
  const lines = rows.map(({ bytes }, index) => {
    const name = shownNames[index] ?? ''
    const space = ' '.repeat(Math.max(0, nameWidth - stringWidth(name)))
    const full = Math.round((bytes / most) * barWidth)
    const bar = barWidth < LEAST_BAR ? '' : `${'█'.repeat(full)}${' '.repeat(barWidth - full)}  `
    return `  ${name}${space}  ${terminal.style('cyan', bar)}${numbers[index]}`
  })
  if (rest.length > 0) {
    const bytes = rest.reduce((sum, row) => sum + row.bytes, 0)
    lines.push(
      `  ${shown === 'first' ? 'and' : 'before:'} ${rest.length.toLocaleString('en-US')} more (${bytesText(bytes)})`,
    )
  }
  return lines
}

/** Size and number of files, right-aligned. */
function columnsOf(rows: readonly Charted[]): string[] {
  const sizes = rows.map(({ bytes }) => bytesText(bytes))
  const counts = rows.map(({ files }) => countText(files, 'file'))
  const pad = (texts: readonly string[]) => {
    const width = Math.max(...texts.map(({ length }) => length))
    return texts.map((text) => text.padStart(width))
  }
  const padded = pad(counts)
  return pad(sizes).map((size, index) => `${size}  ${padded[index]}`)
}
