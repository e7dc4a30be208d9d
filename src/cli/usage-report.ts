import type { Cost, ListedFile, MonthlyCost, Usage } from '../index.js'
import { chartLines } from './chart.js'
import { printable } from './printable.js'
import { tableLines } from './table.js'
import type { Terminal } from './terminal.js'
import { bytesText, countText, timeText } from './units.js'

const ITEMS: readonly (keyof Cost)[] = ['storage', 'reads', 'writes', 'egress', 'total']

/** The files beside the folders. No folder has this name. */
const HERE = '.'

/** The report of `du` for programs: cells between tabs. The first one is the kind of the line. */
export function usageRows(usage: Usage, cost: MonthlyCost): string[] {
  const counted = (kind: string, name: string, { files, bytes }: { files: number; bytes: number }) => {
    return [kind, name, String(files), String(bytes)]
  }
  const single = (kind: string) => (file: ListedFile) => {
    return [kind, printable(file.name), String(file.size), file.lastModified.toISOString()]
  }
  return [
    counted('total', '', usage),
    ...usage.folders.map((folder) => counted('folder', printable(folder.name || HERE), folder)),
    ...usage.types.map((type) => counted('type', type.name, type)),
    ...usage.months.map((month) => counted('month', month.month, month)),
    ...usage.largest.map(single('largest')),
    ...usage.oldest.map(single('oldest')),
    ...(['r2', 's3'] as const).flatMap((provider) =>
      ITEMS.map((item) => ['cost', provider, item, String(cost[provider][item])]),
    ),
    ['prices', cost.pricesOf],
  ].map((cells) => cells.join('\t'))
}

/** What `du` says to a person. */
export async function usageChart(
  terminal: Terminal,
  title: string,
  usage: Usage,
  cost: MonthlyCost,
): Promise<string[]> {
  const head = (text: string) => ['', terminal.style('bold', text)]
  const lines = [
    `${terminal.style('bold', title)}: ${countText(usage.files, 'file')}, ${bytesText(usage.bytes)}`,
  ]
  if (usage.files > 0) {
    const folders = usage.folders.map((folder) => ({ ...folder, name: folder.name || HERE }))
    const months = usage.months.map((month) => ({ ...month, name: month.month }))
    lines.push(...head('Folders'), ...(await chartLines(terminal, folders)))
    lines.push(...head('Types'), ...(await chartLines(terminal, usage.types)))
    lines.push(...head('Last written'), ...(await chartLines(terminal, months, 'last')))
    lines.push(...head('Largest'), ...usage.largest.map(fileLine))
    lines.push(...head('Oldest'), ...usage.oldest.map(oldLine))
  }
  const prices = await tableLines(
    terminal,
    [{ title: '  dollars a month' }, { title: 'R2', align: 'right' }, { title: 'S3', align: 'right' }],
    ITEMS.map((item) => [`  ${item}`, dollars(cost.r2[item]), dollars(cost.s3[item])]),
  )
  return [...lines, ...head('Cost'), ...prices, `  before taxes, prices of ${cost.pricesOf}`]
}

function fileLine({ name, size }: ListedFile): string {
  return `${bytesText(size).padStart(12)}  ${printable(name)}`
}

function oldLine({ name, lastModified }: ListedFile): string {
  return `  ${timeText(lastModified).slice(0, 10)}  ${printable(name)}`
}

/** A price below a cent is not nothing. */
function dollars(amount: number): string {
  return amount > 0 && amount < 0.005 ? '<0.01' : amount.toFixed(2)
}
