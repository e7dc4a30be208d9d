// npm run bench [-- --only=s3,fs,streams,bulk,start] [--rounds=9]      everything, several minutes
// npm run bench:quick                                                  fewer rounds and contestants, within a minute
// Runs the floor, the peers and the built package in turns. Prints tables, and writes results/latest.json and .md.
import { fork, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { judge } from './figures.mjs'
import { toMarkdown, toText } from './report.mjs'
import { argumentsOf, STARTS } from './start.mjs'

const here = fileURLToPath(new URL('.', import.meta.url))
const option = (name) =>
  process.argv.find((argument) => argument.startsWith(`--${name}=`))?.slice(name.length + 3)
const quick = process.argv.includes('--quick')
const only = option('only')?.split(',')
const rounds = Number(option('rounds') ?? (quick ? 3 : 9))
const MIB = 2 ** 20

/** The settings of a run: the whole set, or the part that fits into a minute. */
const plan = quick
  ? {
      turnMs: 20,
      minimum: 50,
      contestants: ['floor', 'stowage', '@aws-sdk'],
      streamBytes: 64 * MIB,
      streamRounds: 1,
      listed: 20_000,
      deleted: 2_000,
      bulkRounds: 1,
      starts: ['node -e 0', 'import stowage', 'stowage, first save'],
      startRounds: 5,
    }
  : {
      turnMs: 150,
      minimum: 200,
      streamBytes: 512 * MIB,
      streamRounds: 3,
      listed: 100_000,
      deleted: 10_000,
      bulkRounds: 3,
      starts: Object.keys(STARTS),
      startRounds: 15,
    }
const S3 = [
  'floor',
  'stowage',
  'stowage fastPath:false',
  '@aws-sdk',
  'flydrive',
  'files-sdk',
  'flystorage',
  's3mini',
  'minio',
].filter((name) => !plan.contestants || plan.contestants.includes(name))

const folder = mkdtempSync(join(os.tmpdir(), 'stowage-bench-'))
const clean = () => rmSync(folder, { recursive: true, force: true })
process.on('exit', clean)
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(130))

const { server, endpoint } = await startServer()
const results = { quick, rounds, machine: machine(), versions: versions(), notes: notes(), plan }
const sections = { s3: runS3, fs: runFs, streams: runStreams, bulk: runBulk, start: runStart }
try {
  for (const [name, run] of Object.entries(sections)) {
    if (only && !only.includes(name)) continue
    say(`${name} …`)
    Object.assign(results, await run())
  }
} finally {
  server.disconnect()
}
results.verdicts = judge(results)
mkdirSync(join(here, 'results'), { recursive: true })
writeFileSync(join(here, 'results', 'latest.json'), `${JSON.stringify(results, null, 1)}\n`)
writeFileSync(join(here, 'results', 'latest.md'), toMarkdown(results))
process.stdout.write(toText(results))

async function runS3() {
  const { turnMs, minimum, contestants } = plan
  const settings = { endpoint, rounds, turnMs, minimum, contestants }
  return { s3: await child(['--expose-gc', 'small.mjs', 's3', JSON.stringify(settings)]) }
}

/** 16 at a time measure the throughput; one at a time measures how long one caller waits. */
async function runFs() {
  const { turnMs, minimum } = plan
  const settings = { folder, rounds, turnMs, minimum }
  const run = (more) => child(['--expose-gc', 'small.mjs', 'fs', JSON.stringify({ ...settings, ...more })])
  return { fs: await run({}), ...(!quick && { fsSingle: await run({ concurrency: 1 }) }) }
}

async function runStreams() {
  const file = join(folder, 'hole')
  writeFileSync(file, '')
  truncateSync(file, plan.streamBytes)
  const settings = { endpoint, file, bytes: plan.streamBytes }
  return {
    up: await onceEach('up', settings, plan.streamRounds),
    down: await onceEach('down', settings, plan.streamRounds),
  }
}

async function runBulk() {
  return {
    list: await onceEach('list', { endpoint, count: plan.listed }, plan.bulkRounds),
    deleteMany: await onceEach('deleteMany', { endpoint, count: plan.deleted }, plan.bulkRounds),
  }
}

/** Each contestant in a fresh process, in a rotated order. Leaves out contestants without the call, or that fail. */
async function onceEach(task, settings, times) {
  const found = {}
  for (let round = 0; round < times; round++) {
    for (let place = 0; place < S3.length; place++) {
      const name = S3[(place + round) % S3.length]
      if (found[name] === null) continue
      const line = await child(['--expose-gc', 'once.mjs', task, name, JSON.stringify(settings)]).catch(
        (error) => {
          say(`${name} fails at ${task}: ${error.message}`)
          return null
        },
      )
      if (line === null || line.missing || !line.right) {
        if (line && !line.missing) say(`${name} does ${task} wrongly`)
        found[name] = null
        continue
      }
      found[name] ??= {}
      for (const [key, value] of Object.entries(line)) {
        found[name][key] ??= []
        found[name][key].push(value)
      }
    }
  }
  say(`  ${task}`)
  return Object.fromEntries(S3.filter((name) => found[name]).map((name) => [name, found[name]]))
}

async function runStart() {
  const start = {}
  for (const name of plan.starts) {
    const counted = await child(['start.mjs', name, join(folder, 'start')])
    start[name] = { ...counted, wall: [] }
  }
  for (let round = 0; round < plan.startRounds; round++) {
    for (let place = 0; place < plan.starts.length; place++) {
      const name = plan.starts[(place + round) % plan.starts.length]
      rmSync(join(folder, 'start'), { recursive: true, force: true })
      const before = process.hrtime.bigint()
      await ended(
        spawn(process.execPath, ['--no-warnings', ...argumentsOf(name, join(folder, 'start'))], {
          stdio: 'ignore',
        }),
      )
      start[name].wall.push(Number(process.hrtime.bigint() - before) / 1e6)
    }
  }
  return { start }
}

/** Runs a program of this folder and reads the line that it prints. */
async function child(args) {
  const running = spawn(process.execPath, ['--no-warnings', ...args], {
    cwd: here,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  let complaint = ''
  running.stdout.on('data', (chunk) => {
    output += chunk
  })
  running.stderr.on('data', (chunk) => {
    complaint += chunk
    if (args.includes('small.mjs')) process.stderr.write(chunk)
  })
  const stop = setTimeout(() => running.kill('SIGKILL'), args.includes('small.mjs') ? 1_800_000 : 120_000)
  const code = await ended(running)
  clearTimeout(stop)
  if (code !== 0) {
    const why = /^(?:Uncaught )?(\w*(?:Error|Exception)\b.*|\w+: .*)$/m.exec(complaint)?.[1]
    throw new Error(code === 13 ? 'it never ends' : (why ?? `it ended with ${code}`))
  }
  return JSON.parse(output)
}

function ended(running) {
  return new Promise((resolve, reject) => running.on('error', reject).on('close', resolve))
}

function startServer() {
  return new Promise((resolve, reject) => {
    const started = fork(join(here, 'server.mjs'), { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    started.once('error', reject)
    started.once('message', (message) => resolve({ server: started, endpoint: message.endpoint }))
  })
}

function machine() {
  const cpus = os.cpus()
  return {
    cpu: cpus[0]?.model.trim() ?? 'unknown',
    cores: cpus.length,
    memory: `${Math.round(os.totalmem() / 2 ** 30)} GiB`,
    system: `${os.type()} ${os.arch()}`,
    node: process.version,
    date: new Date().toISOString().slice(0, 10),
    load: os.loadavg().map((each) => each.toFixed(1)),
  }
}

function versions() {
  const { dependencies } = JSON.parse(readFileSync(join(here, 'package.json'), 'utf8'))
  return dependencies
}

/** A note for each peer that asks for a newer Node than this one. It runs nevertheless. */
function notes() {
  const major = Number(process.versions.node.split('.')[0])
  return Object.keys(versions()).flatMap((name) => {
    const { engines } = JSON.parse(readFileSync(join(here, 'node_modules', name, 'package.json'), 'utf8'))
    const needed = Number(/^>=\s*(\d+)/.exec(engines?.node ?? '')?.[1] ?? 0)
    return needed > major
      ? [
          `${name} ${versions()[name]} asks for Node ${engines.node}; here it ran on Node ${process.versions.node}.`,
        ]
      : []
  })
}

function say(line) {
  process.stderr.write(`${line}\n`)
}
