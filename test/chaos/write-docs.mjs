// npm run test:chaos:docs        writes the figures of the last `npm run test:chaos` between their marks in docs/robustness.md.
// npm run test:chaos:docs quick  writes those of the last `npm run test:chaos:quick` between theirs.
import { readFileSync, writeFileSync } from 'node:fs'

const form = process.argv[2] === 'quick' ? 'quick' : 'long'
const [open, close] = [`<!-- ${form} form -->`, `<!-- /${form} form -->`]
const page = new URL('../../docs/robustness.md', import.meta.url)
const text = readFileSync(page, 'utf8')
const [start, end] = [text.indexOf(open), text.indexOf(close)]
if (start === -1 || end < start) throw new Error(`docs/robustness.md has no ${open} … ${close}`)

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
const lines = readFileSync(new URL(`results/${form}.jsonl`, import.meta.url), 'utf8')
  .trim()
  .split('\n')
const cell = (value) => String(value).replaceAll('|', '\\|').replaceAll('\n', ' ')
const rows = lines.map((line) => JSON.parse(line)).map(({ trial, tried, outcome }) => [trial, tried, outcome])
const table = [['test', 'amount', 'result'], ['---', '---', '---'], ...rows]
  .map((row) => `| ${row.map(cell).join(' | ')} |`)
  .join('\n')
const origin = `Version ${version}, ${new Date().toISOString().slice(0, 10)}, Node ${process.version}.`
writeFileSync(page, `${text.slice(0, start + open.length)}\n${origin}\n\n${table}\n${text.slice(end)}`)
