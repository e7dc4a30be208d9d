// npm --prefix bench/compare ci && node bench/compare/run.mjs: prints the comparison as Markdown.
// --write puts it into docs/comparison.md, --only=race,names runs some trials, --peers=stowage,flydrive some packages.
import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { CONTESTANTS } from './contestants.mjs'
import { costs } from './costs.mjs'
import { startCeph, startPlain, startR2 } from './servers.mjs'
import { toMarkdown, writeDocs } from './table.mjs'
import { TRIALS } from './trials.mjs'

const { values } = parseArgs({
  options: { write: { type: 'boolean' }, only: { type: 'string' }, peers: { type: 'string' } },
})
const wanted = ({ id }) => values.only?.split(',').some((part) => id.startsWith(part)) ?? true
const contestants = values.peers?.split(',') ?? CONTESTANTS

const once = fileURLToPath(new URL('once.mjs', import.meta.url))

/** The outcome that the child prints. A child that ends otherwise, or not at all, has its own. */
async function inChild(trial, name, server) {
  const folder = await mkdtemp(join(tmpdir(), 'stowage-compare-'))
  const child = spawn(
    process.execPath,
    ['--expose-gc', once, trial.id, name, JSON.stringify(server ?? null)],
    {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
  const output = { stdout: '', stderr: '' }
  for (const stream of ['stdout', 'stderr']) {
    child[stream].setEncoding('utf8').on('data', (text) => {
      output[stream] += text
    })
  }
  const timer = setTimeout(() => child.kill('SIGKILL'), trial.limit ?? 120_000)
  const [code, signal] = await new Promise((resolve) => child.once('close', (...ends) => resolve(ends)))
  clearTimeout(timer)
  await rm(folder, { recursive: true, force: true })
  const line = output.stdout.trim().split('\n').at(-1)
  if (code === 0 && line) return JSON.parse(line)
  if (signal) return { mark: '✗', fact: `not within ${(trial.limit ?? 120_000) / 1000} s` }
  process.stderr.write(`${trial.id} ${name}: ${output.stderr}\n`)
  return { mark: '✗', fact: 'ends the process' }
}

async function outcomeOf(trial, name, ceph) {
  if (trial.on === 'disk') return inChild(trial, name)
  if (trial.on === 'ceph' && ceph === undefined) return { mark: '?', fact: 'not run' }
  const start = {
    r2: startR2,
    plain: startPlain,
    ceph: () => ceph.newServer(`${trial.id}-${name}`),
  }
  const { server, stop } = await start[trial.on]()
  return inChild(trial, name, server).finally(stop)
}

async function measure(trial, ceph) {
  const outcomes = {}
  const one = async (name) => {
    outcomes[name] = await outcomeOf(trial, name, ceph)
    process.stderr.write(`${trial.id} ${name}: ${outcomes[name].mark} ${outcomes[name].fact}\n`)
  }
  if (trial.alongside) await Promise.all(contestants.map(one))
  else for (const name of contestants) await one(name)
  return { id: trial.id, title: trial.title, outcomes }
}

const trials = TRIALS.filter(wanted)
const ceph = trials.some(({ on }) => on === 'ceph') ? await startCeph() : undefined
const rows = []
try {
  for (const trial of trials) rows.push(await measure(trial, ceph))
} finally {
  await ceph?.stop()
}
if (wanted({ id: 'cost' })) rows.push(...(await costs(contestants)))
const markdown = toMarkdown(rows, contestants)
process.stdout.write(markdown)
if (values.write) {
  if (values.only || values.peers) throw new Error('--write needs all trials and all packages')
  writeDocs(markdown)
}
