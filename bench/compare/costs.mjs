// The rows about what a package costs: its start, its size, its CPU.
import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { load } from './contestants.mjs'
import { figure, none } from './outcome.mjs'
import { startR2 } from './servers.mjs'

const run = promisify(execFile)
const here = fileURLToPath(new URL('.', import.meta.url))
const ROUNDS = 9
const MiB = 2 ** 20

const median = (numbers) => numbers.sort((a, b) => a - b)[Math.floor(numbers.length / 2)]

export async function costs(contestants) {
  return [
    await startRow(contestants, 'disk'),
    await startRow(contestants, 's3'),
    await sizeRow(contestants),
    cpuRow(contestants),
  ]
}

/** Import and first save in a new process, above a process that does nothing: medians of rounds in turns. */
async function startRow(contestants, backend) {
  const starters = []
  for (const name of contestants) if ((await load(name))[backend]) starters.push(name)
  const { server, stop } = await startR2()
  const folder = await mkdtemp(join(tmpdir(), 'stowage-compare-'))
  const samples = new Map(['', ...starters].map((name) => [name, { ms: [], memory: [] }]))
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, { ms, memory }] of samples) {
      const options = name ? [name, backend, JSON.stringify(server)] : []
      const { stdout } = await run(process.execPath, [join(here, 'start.mjs'), ...options], { cwd: folder })
      const [microseconds, bytes] = stdout.split(' ').map(Number)
      ms.push(microseconds / 1000)
      memory.push(bytes / MiB)
    }
  }
  await stop()
  await rm(folder, { recursive: true })
  const bare = samples.get('')
  const outcomes = {}
  for (const name of contestants) {
    const { ms, memory } = samples.get(name) ?? {}
    outcomes[name] = ms
      ? figure(
          `${Math.round(median(ms) - median(bare.ms))} ms of CPU, ${Math.round(median(memory) - median(bare.memory))} MiB`,
        )
      : none()
  }
  return {
    id: `cost-${backend}`,
    title: `Import and first save, ${backend === 'disk' ? 'disk' : 'S3'}`,
    outcomes,
  }
}

/** The package's own files and those of all that npm installs with it. */
async function sizeRow(contestants) {
  const outcomes = {}
  for (const name of contestants) {
    const { packages } = await load(name)
    const closure = new Set()
    let bytes = 0
    for (const each of packages) {
      if (each === 'stowage') bytes += await addStowage(closure)
      else addTo(closure, each, here)
    }
    for (const folder of closure) bytes += await sizeOf(folder)
    const count = closure.size + (packages.includes('stowage') ? 1 : 0)
    outcomes[name] = figure(`${(bytes / 1e6).toFixed(0)} MB, ${count} packages`)
  }
  return { id: 'cost-size', title: 'Installed with its S3 part', outcomes }
}

async function addStowage(closure) {
  const root = join(here, '../..')
  const { dependencies } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
  for (const name of Object.keys(dependencies)) addTo(closure, name, here)
  const { stdout } = await run('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: root })
  return JSON.parse(stdout)[0].unpackedSize
}

/** Adds the folder of a package and those of its dependencies, found as Node finds them. */
function addTo(closure, name, from) {
  let parent = from
  while (!existsSync(join(parent, 'node_modules', name, 'package.json'))) {
    if (parent === dirname(parent)) throw new Error(`${name} is not installed for ${from}`)
    parent = dirname(parent)
  }
  const folder = join(parent, 'node_modules', name)
  if (closure.has(folder)) return
  closure.add(folder)
  const { dependencies = {} } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  for (const each of Object.keys(dependencies)) addTo(closure, each, folder)
}

async function sizeOf(folder) {
  let bytes = 0
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) bytes += entry.name === 'node_modules' ? 0 : await sizeOf(path)
    else bytes += (await stat(path)).size
  }
  return bytes
}

/** From the benchmark: CPU of a save and of an open of 16 KiB on S3, in multiples of stowage's. */
function cpuRow(contestants) {
  const results = readFileSync(join(here, '../RESULTS.md'), 'utf8')
  const [, table] = /\*\*S3, 16 KiB objects[^\n]*CPU[^\n]*\n\n([\s\S]*?)\n\n/.exec(results) ?? []
  const cpu = (name) => {
    const row = table.split('\n').find((line) => line.replaceAll('*', '').startsWith(`| ${name} |`))
    const [save, , open] = row.replaceAll('*', '').split('|').slice(2).map(Number.parseFloat)
    return { save, open }
  }
  const own = cpu('stowage')
  const outcomes = {}
  for (const name of contestants) {
    const { save, open } = cpu(name === 'aws-sdk' ? '@aws-sdk' : name)
    outcomes[name] = figure(
      name === 'stowage' ? '1' : `${(save / own.save).toFixed(1)} ×, ${(open / own.open).toFixed(1)} ×`,
    )
  }
  return { id: 'cost-cpu', title: 'CPU of a save and an open of 16 KiB, S3', outcomes }
}
