// npm --prefix bench run readme: puts the tables of the last run between the marks in the README.
import { readFileSync, writeFileSync } from 'node:fs'

const OPEN = '<!-- benchmarks -->'
const CLOSE = '<!-- /benchmarks -->'
const readme = new URL('../README.md', import.meta.url)
const text = readFileSync(readme, 'utf8')
const [start, end] = [text.indexOf(OPEN), text.indexOf(CLOSE)]
if (start === -1 || end < start) throw new Error(`README.md has no ${OPEN} … ${CLOSE}`)
const tables = readFileSync(new URL('results/latest.md', import.meta.url), 'utf8')
writeFileSync(readme, `${text.slice(0, start + OPEN.length)}\n${tables}${text.slice(end)}`)
