// npm --prefix bench run profile -- <case> [s3|fs] [contestant] [seconds]
// Runs one case of one contestant (default: stowage) under --cpu-prof, and prints the time by function. The .cpuprofile
// in results/ opens in Chrome's DevTools and in VS Code.
import { fork, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import os from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = fileURLToPath(new URL('.', import.meta.url))
const [, , call = 'save', kind = 's3', contestant = 'stowage', seconds = '3'] = process.argv
const folder = mkdtempSync(join(os.tmpdir(), 'stowage-bench-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))

const server = fork(join(here, 'server.mjs'))
const { endpoint } = await new Promise((resolve) => server.once('message', resolve))
const file = `${kind}-${call}-${contestant.replace(/\W+/g, '-')}.cpuprofile`
mkdirSync(join(here, 'results'), { recursive: true })
const settings = {
  endpoint,
  folder,
  cases: [call],
  contestants: [contestant],
  turnMs: 200,
  rounds: Math.ceil(Number(seconds) * 5),
}
const run = spawn(
  process.execPath,
  [
    '--no-warnings',
    '--expose-gc',
    '--cpu-prof',
    '--cpu-prof-interval=200',
    '--cpu-prof-dir=results',
    `--cpu-prof-name=${file}`,
    'small.mjs',
    kind,
    JSON.stringify(settings),
  ],
  { cwd: here, stdio: ['ignore', 'ignore', 'inherit'] },
)
await new Promise((resolve) => run.on('close', resolve))
server.disconnect()

const { nodes, samples, timeDeltas } = JSON.parse(readFileSync(join(here, 'results', file), 'utf8'))
const byId = new Map(nodes.map((node) => [node.id, node]))
const self = new Map()
let total = 0
for (const [index, id] of samples.entries()) {
  const { functionName, url, lineNumber } = byId.get(id).callFrame
  if (functionName === '(idle)' || functionName === '(program)') continue
  const where = `${functionName || '(anonymous)'}  ${basename(url)}:${lineNumber + 1}`
  self.set(where, (self.get(where) ?? 0) + timeDeltas[index])
  total += timeDeltas[index]
}
process.stdout.write(`bench/results/${file}: self time on the main thread\n`)
for (const [where, time] of [...self].sort((a, b) => b[1] - a[1]).slice(0, 30)) {
  process.stdout.write(`${((100 * time) / total).toFixed(1).padStart(5)} %  ${where}\n`)
}
