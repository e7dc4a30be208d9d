// The outcomes as Markdown, and their place in docs/comparison.md.
import { readFileSync, writeFileSync } from 'node:fs'
import { sources } from './sources.mjs'

const TITLES = { 'aws-sdk': 'AWS SDK' }

/** Heading to the rows below it. */
const GROUPS = {
  'Are files safe?': ['race-disk', 'race-s3', 'atomic-source', 'atomic-kill', 'truncated', 'escape'],
  'Uploads and private files': ['bytes', 'limit', 'stream', 'signed-r2', 'signed-ceph', 'signed-disk'],
  'The same on disk and S3?': ['attributes-disk', 'attributes-s3', 'names-disk', 'names-s3', 'list'],
  'When something is wrong': ['causes', 'silence'],
  'What it costs': ['cost-disk', 'cost-s3', 'cost-size', 'cost-cpu'],
}

const cell = ({ mark = '', fact = '' }) => [mark, fact].filter(Boolean).join(' ')

function tableOf(title, rows, contestants) {
  if (rows.length === 0) return []
  const lines = rows.map((row) => [row.title, ...contestants.map((name) => cell(row.outcomes[name]))])
  const cells = [
    ['', ...contestants.map((name) => TITLES[name] ?? name)],
    ['---', ...contestants.map(() => '---')],
    ...lines,
  ]
  return [`### ${title}`, cells.map((line) => `| ${line.join(' | ')} |`).join('\n')]
}

/** `stowage 0.1.0, flydrive 2.1.0, …` as they are pinned. */
export function versions() {
  const read = (file) => JSON.parse(readFileSync(new URL(file, import.meta.url), 'utf8'))
  const { version } = read('../../package.json')
  const peers = Object.entries(read('package.json').dependencies)
  return [['stowage', version], ...peers].map((pair) => pair.join(' ')).join(', ')
}

/** A part of the rows makes a part of the tables. */
export function toMarkdown(rows, contestants) {
  const found = (ids) => ids.flatMap((id) => rows.filter((row) => row.id === id))
  const date = new Date().toISOString().slice(0, 10)
  return `${[
    `Measured on ${date} with Node ${process.versions.node} on ${process.platform}: ${versions()}.`,
    ...Object.entries(GROUPS).flatMap(([title, ids]) => tableOf(title, found(ids), contestants)),
    ...tableOf('Around it', sources(), contestants),
  ].join('\n\n')}\n`
}

const OPEN = '<!-- comparison -->'
const CLOSE = '<!-- /comparison -->'

export function writeDocs(markdown) {
  const page = new URL('../../docs/comparison.md', import.meta.url)
  const text = readFileSync(page, 'utf8')
  const [start, end] = [text.indexOf(OPEN), text.indexOf(CLOSE)]
  if (start === -1 || end < start) throw new Error(`docs/comparison.md has no ${OPEN} … ${CLOSE}`)
  writeFileSync(page, `${text.slice(0, start + OPEN.length)}\n${markdown}${text.slice(end)}`)
}
