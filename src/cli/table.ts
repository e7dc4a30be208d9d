import type { Terminal } from './terminal.js'

/** One column of a table. */
export interface Column {
  readonly title: string
  readonly align?: 'left' | 'right'
}

/**
 * The lines of a table. On a terminal they have titles and are padded. Elsewhere tabs separate the cells, for `cut` and
 * `awk`.
 */
export async function tableLines(
  terminal: Terminal,
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
): Promise<string[]> {
  if (!terminal.isInteractive) return rows.map((row) => row.join('\t'))
  const { stringWidth } = await import('../vendor/cli-progress.js')
  const widths = columns.map(({ title }, index) =>
    Math.max(stringWidth(title), ...rows.map((row) => stringWidth(row[index] ?? ''))),
  )
  const line = (cells: readonly string[]) =>
    columns
      .map(({ align }, index) => {
        const cell = cells[index] ?? ''
        const space = ' '.repeat(Math.max(0, (widths[index] ?? 0) - stringWidth(cell)))
        return align === 'right' ? space + cell : index === columns.length - 1 ? cell : cell + space
      })
      .join('  ')
  return [terminal.style('bold', line(columns.map(({ title }) => title))), ...rows.map(line)]
}
