// npm run test:chaos:docs        writes the figures of the last `npm run test:chaos` between the marks in docs/robustness.md.
// npm run test:chaos:docs quick  writes those of the last `npm run test:chaos:quick`.
import { readFileSync, writeFileSync } from 'node:fs'

const OPEN = '<!-- robustness -->'
const CLOSE = '<!-- /robustness -->'
const form = process.argv[2] === 'quick' ? 'quick' : 'long'
const page = new URL('../../docs/robustness.md', import.meta.url)
const text = readFileSync(page, 'utf8')
const [start, end] = [text.indexOf(OPEN), text.indexOf(CLOSE)]
if (start === -1 || end < start) throw new Error(`docs/robustness.md has no ${OPEN} … ${CLOSE}`)

const lines = readFileSync(new URL(`results/${form}.jsonl`, import.meta.url), 'utf8')
  .trim()
  .split('\n')
const cell = (value) => String(value).replaceAll('|', '\\|').replaceAll('\n', ' ')
const rows = lines.map((line) => JSON.parse(line)).map(({ trial, tried, outcome }) => [trial, tried, outcome])
const table = [['test', 'amount', 'result'], ['---', '---', '---'], ...rows]
  .map((row) => `| ${row.map(cell).join(' | ')} |`)
  .join('\n')
const command =
  form === 'quick'
    ? 'Run it with `npm run test:chaos:quick`, the short form, which CI runs. `npm run test:chaos` tries several times as much.'
    : 'Run it with `npm run test:chaos && npm run test:chaos:docs`.'
writeFileSync(page, `${text.slice(0, start + OPEN.length)}\n${table}\n\n${command}\n${text.slice(end)}`)
