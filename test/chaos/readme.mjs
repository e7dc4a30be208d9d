// npm run test:chaos:readme: puts the figures of the last `npm run test:chaos` between the marks in the README;
// npm run test:chaos:readme quick: those of the last `npm run test:chaos:quick`.
import { readFileSync, writeFileSync } from 'node:fs'

const OPEN = '<!-- robustness -->'
const CLOSE = '<!-- /robustness -->'
const form = process.argv[2] === 'quick' ? 'quick' : 'long'
const readme = new URL('../../README.md', import.meta.url)
const text = readFileSync(readme, 'utf8')
const [start, end] = [text.indexOf(OPEN), text.indexOf(CLOSE)]
if (start === -1 || end < start) throw new Error(`README.md has no ${OPEN} … ${CLOSE}`)

const lines = readFileSync(new URL(`results/${form}.jsonl`, import.meta.url), 'utf8')
  .trim()
  .split('\n')
const cell = (value) => String(value).replaceAll('|', '\\|').replaceAll('\n', ' ')
const rows = lines.map((line) => JSON.parse(line)).map(({ trial, tried, outcome }) => [trial, tried, outcome])
const table = [['what was tried', 'how often', 'what came of it'], ['---', '---', '---'], ...rows]
  .map((row) => `| ${row.map(cell).join(' | ')} |`)
  .join('\n')
const command =
  form === 'quick'
    ? 'Measured by `npm run test:chaos:quick`, the short form, which CI runs; `npm run test:chaos` tries several times as much.'
    : 'Measured by `npm run test:chaos && npm run test:chaos:readme`, which measures it again.'
writeFileSync(readme, `${text.slice(0, start + OPEN.length)}\n${table}\n\n${command}\n${text.slice(end)}`)
