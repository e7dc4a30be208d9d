// npm --prefix bench run docs: writes the tables of the last run into RESULTS.md, and the main ones between the marks in
// docs/performance.md.
import { readFileSync, writeFileSync } from 'node:fs'
import { toMarkdown } from './report.mjs'

const OPEN = '<!-- benchmarks -->'
const CLOSE = '<!-- /benchmarks -->'
const page = new URL('../docs/performance.md', import.meta.url)
const text = readFileSync(page, 'utf8')
const [start, end] = [text.indexOf(OPEN), text.indexOf(CLOSE)]
if (start === -1 || end < start) throw new Error(`docs/performance.md has no ${OPEN} … ${CLOSE}`)
const results = JSON.parse(readFileSync(new URL('results/latest.json', import.meta.url), 'utf8'))
const all = new URL('RESULTS.md', import.meta.url)
// The last sections are of benchmarks of their own: serve.mjs and migrate.mjs.
const [, others] = /(## Files over HTTP.*)$/s.exec(readFileSync(all, 'utf8')) ?? []
writeFileSync(all, `# Results\n\n${toMarkdown(results)}${others ? `\n${others}` : ''}`)
writeFileSync(page, `${text.slice(0, start + OPEN.length)}\n${toMarkdown(results, true)}${text.slice(end)}`)
