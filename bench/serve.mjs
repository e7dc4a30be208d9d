// npm --prefix bench run serve [-- --rounds=9] [--only=stowage,send] [--files=small,large]
// Files from the disk over HTTP: serveFile beside what serves static files in Express 5 and Fastify 5. One server process
// a contestant, all on the same files, measured in turns in a rotated order. CPU is that of the server.
import { fork } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import http from 'node:http'
import os from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { median } from './rounds.mjs'
import { stowage } from './stowage.mjs'

const here = fileURLToPath(new URL('.', import.meta.url))
const option = (name) =>
  process.argv.find((argument) => argument.startsWith(`--${name}=`))?.slice(name.length + 3)
const rounds = Number(option('rounds') ?? 9)
const NAMES = ['floor', 'stowage', 'stowage handler', 'send', 'express.static', '@fastify/static']
const names = option('only')?.split(',') ?? NAMES
const PEERS = ['send', 'express.static', '@fastify/static']

const CASES = {
  small: { title: '16 KiB', bytes: 16 * 2 ** 10, requests: 2000, concurrency: 16 },
  large: { title: '64 MiB', bytes: 64 * 2 ** 20, requests: 12, concurrency: 4 },
}
const cases = option('files')?.split(',') ?? Object.keys(CASES)

const folder = mkdtempSync(join(os.tmpdir(), 'stowage-bench-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(130))

const { FileSystemStorage } = await stowage()
const storage = new FileSystemStorage({ location: folder, fsync: false })
for (const each of cases) await storage.save(`${each}.bin`, Buffer.alloc(CASES[each].bytes, 'stowage '))

const servers = {}
for (const name of names) servers[name] = await start(name)

for (const each of cases) {
  const { title, bytes, requests, concurrency } = CASES[each]
  const results = Object.fromEntries(names.map((name) => [name, { cpu: [], wall: [] }]))
  for (let round = -2; round < rounds; round++) {
    for (let place = 0; place < names.length; place++) {
      const name = names[(place + round + names.length * 2) % names.length]
      const { cpu, wall } = await turn(servers[name], `/${each}.bin`, bytes, requests, concurrency)
      // The first two rounds warm up.
      if (round < 0) continue
      results[name].cpu.push(cpu)
      results[name].wall.push(wall)
    }
  }
  print(title, concurrency, results)
}
for (const { child } of Object.values(servers)) child.disconnect()

function print(title, concurrency, results) {
  const peers = names.filter((name) => PEERS.includes(name))
  const best = (measure, round) => Math.min(...peers.map((name) => results[name][measure][round]))
  const line = (name) => {
    const shown = ['cpu', 'wall'].map((measure) => {
      const figures = results[name][measure]
      const ratios = figures.map((figure, round) => figure / best(measure, round))
      const ratio = peers.length > 0 ? ` (${median(ratios).toFixed(2)})` : ''
      return `${Math.round(median(figures))}${ratio}`
    })
    const bold = name.startsWith('stowage') ? '**' : ''
    return `| ${[name, ...shown].map((cell) => `${bold}${cell}${bold}`).join(' | ')} |`
  }
  process.stdout.write(
    [
      `\n**${title} from the disk over HTTP, ${concurrency} at a time: µs a request (× the best peer of the round)**\n`,
      '|  | CPU of the server | time |',
      '|---|--:|--:|',
      ...names.map(line),
      '',
    ].join('\n'),
  )
}

function start(name) {
  return new Promise((resolve, reject) => {
    const child = fork(join(here, 'serve-server.mjs'), [name, folder], {
      execArgv: ['--no-warnings', '--expose-gc', ...(process.env.SERVE_ARGS?.split(' ') ?? [])],
    })
    child.once('error', reject)
    child.once('exit', (code) => code && reject(new Error(`${name} ended with ${code}`)))
    child.once('message', ({ port }) => {
      const agent = new http.Agent({ keepAlive: true })
      resolve({ child, port, agent })
    })
  })
}

async function turn({ child, port, agent }, path, bytes, requests, concurrency) {
  const get = () =>
    new Promise((resolve, reject) => {
      const request = http.get({ port, host: '127.0.0.1', path, agent }, (response) => {
        let received = 0
        response.on('data', (chunk) => {
          received += chunk.length
        })
        response.on('end', () =>
          received === bytes && response.statusCode === 200
            ? resolve()
            : reject(new Error(`${path}: ${response.statusCode}, ${received} bytes`)),
        )
        response.on('error', reject)
      })
      request.on('error', reject)
    })
  const usage = (when) =>
    new Promise((resolve) => {
      child.once('message', ({ cpu }) => resolve(cpu))
      child.send(when)
    })
  const run = async (count) => {
    let left = count
    const worker = async () => {
      while (left-- > 0) await get()
    }
    await Promise.all(Array.from({ length: concurrency }, worker))
  }
  const before = await usage('start')
  const started = process.hrtime.bigint()
  await run(requests)
  const wall = Number(process.hrtime.bigint() - started) / 1000
  return { cpu: ((await usage('end')) - before) / requests, wall: wall / requests }
}
