// npm --prefix bench run readme: puts the tables of the last run into RESULTS.md, and some between the marks in the README.
import { readFileSync, writeFileSync } from 'node:fs'
import { toMarkdown } from './report.mjs'

const OPEN = '<!-- benchmarks -->'
const CLOSE = '<!-- /benchmarks -->'
const readme = new URL('../README.md', import.meta.url)
const text = readFileSync(readme, 'utf8')
const [start, end] = [text.indexOf(OPEN), text.indexOf(CLOSE)]
if (start === -1 || end < start) throw new Error(`README.md has no ${OPEN} … ${CLOSE}`)
const results = JSON.parse(readFileSync(new URL('results/latest.json', import.meta.url), 'utf8'))
writeFileSync(new URL('RESULTS.md', import.meta.url), `# Results\n\n${toMarkdown(results)}`)
writeFileSync(readme, `${text.slice(0, start + OPEN.length)}\n${toMarkdown(results, true)}${text.slice(end)}`)
