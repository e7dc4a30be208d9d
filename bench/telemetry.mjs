// npm run build && node bench/telemetry.mjs [--generations=5] [--write]
// What one listener on the channel `stowage:operation` costs: CPU of a call in a process that has one, beside a process
// that never had one, in turns. They are processes of their own because a listener that has gone leaves async hooks on.
// `none again` is a second process without a listener, so its ratio is the noise. `--write` replaces the section in RESULTS.md.
import { fork } from 'node:child_process'
import { tracingChannel } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { FileSystemStorage, MemoryStorage, S3Storage } from '../dist/index.js'
import { median } from './rounds.mjs'

const CONTESTANTS = ['none', 'none again', 'one listener']
/** Turns of one process. Each generation of processes is compiled and laid out in memory anew. */
const TURNS = 5
const CONCURRENCY = 16
const bytes = Buffer.alloc(16 * 1024, 'stowage ')

const STORAGES = {
  memory: () => new MemoryStorage(),
  disk: ({ folder }) => new FileSystemStorage({ location: folder, fsync: false }),
  S3: ({ endpoint }) =>
    new S3Storage({
      endpoint,
      bucket: 'telemetry',
      createOnly: 'check',
      accessKeyId: 'bench',
      secretAccessKey: 'bench',
      region: 'auto',
    }),
}
const CALLS = {
  save: (storage, index) => storage.save(`f${index % 500}.bin`, bytes, { ifExists: 'overwrite' }),
  exists: (storage, index) => storage.exists(`f${index % 500}.bin`),
}
/** Calls of one turn. */
const AMOUNTS = {
  memory: { save: 2_000, exists: 60_000 },
  disk: { save: 400, exists: 4_000 },
  S3: { save: 800, exists: 1_500 },
}

if (process.send) await runContestant()
else await compare()

/** A process of one contestant: makes the calls that it is told to make, and answers with µs of CPU a call. */
async function runContestant() {
  const { name, place, call, at } = JSON.parse(process.argv[2])
  let seen = 0
  if (name === 'one listener') {
    tracingChannel('stowage:operation').subscribe({
      asyncEnd: ({ outcome }) => {
        if (outcome === 'ok') seen += 1
      },
    })
  }
  const storage = STORAGES[place](at)
  const operate = CALLS[call]
  const turn = async (count) => {
    globalThis.gc()
    let next = 0
    const start = process.cpuUsage()
    const work = async () => {
      while (next < count) await operate(storage, next++)
    }
    await Promise.all(Array.from({ length: CONCURRENCY }, work))
    const { user, system } = process.cpuUsage(start)
    return (user + system) / count
  }
  const count = AMOUNTS[place][call]
  for (let warmUp = 0; warmUp < 3; warmUp++) await turn(count)
  process.on('message', async () => process.send(await turn(count)))
  process.on('disconnect', () => process.exit(name === 'one listener' && seen === 0 ? 1 : 0))
  process.send('ready')
}

async function compare() {
  const { values } = parseArgs({
    options: { generations: { type: 'string', default: '5' }, write: { type: 'boolean', default: false } },
  })
  const generations = Number(values.generations)
  const folder = mkdtempSync(join(os.tmpdir(), 'stowage-bench-telemetry-'))
  const server = fork(fileURLToPath(new URL('server.mjs', import.meta.url)))
  try {
    const [{ endpoint }] = await once(server, 'message')
    const rows = []
    for (const place of Object.keys(STORAGES)) {
      for (const call of Object.keys(CALLS)) {
        const cpu = await measure({ place, call, at: { folder, endpoint } }, generations)
        const ratio = (name) => median(cpu[name].map((time, turn) => time / cpu.none[turn]))
        rows.push({ place, call, cpu, one: ratio('one listener'), noise: ratio('none again') })
      }
    }
    const text = report(rows, generations)
    console.log(text)
    if (values.write) write(text)
  } finally {
    server.disconnect()
    rmSync(folder, { recursive: true, force: true })
  }
}

async function measure(work, generations) {
  const cpu = Object.fromEntries(CONTESTANTS.map((name) => [name, []]))
  for (let generation = 0; generation < generations; generation++) {
    const children = []
    for (const name of CONTESTANTS) {
      const child = fork(fileURLToPath(import.meta.url), [JSON.stringify({ name, ...work })], {
        execArgv: ['--expose-gc'],
      })
      await once(child, 'message')
      children.push({ name, child })
    }
    for (let turn = 0; turn < TURNS; turn++) {
      for (let place = 0; place < children.length; place++) {
        const { name, child } = children[(place + turn) % children.length]
        child.send('turn')
        const [time] = await once(child, 'message')
        cpu[name].push(time)
      }
    }
    for (const { name, child } of children) {
      child.disconnect()
      const [code] = await once(child, 'exit')
      if (code !== 0) throw new Error(`${name}: exit code ${code}`)
    }
  }
  return cpu
}

function report(rows, generations) {
  const lines = rows.map(({ place, call, cpu, one, noise }) => {
    const times = ['none', 'one listener'].map((name) => median(cpu[name]).toFixed(1))
    return `| ${call}, ${place} | ${times.join(' | ')} | ${one.toFixed(2)} × | ${noise.toFixed(2)} × |`
  })
  return `## Telemetry

\`node bench/telemetry.mjs --generations=${generations}\`, ${new Date().toISOString().slice(0, 10)}, Node ${process.version}, load ${os.loadavg()[0].toFixed(1)}.
CPU in µs a call of 16 KiB, 16 at a time; ratios are medians of ${generations * TURNS} turns. The last column is the noise.

| | no listener | one listener | ratio | no listener again |
|---|---|---|---|---|
${lines.join('\n')}
`
}

function write(text) {
  const page = new URL('RESULTS.md', import.meta.url)
  const before = readFileSync(page, 'utf8').replace(/\n## Telemetry\n[\s\S]*?(?=\n## |$)/, '')
  writeFileSync(page, `${before.trimEnd()}\n\n${text}`)
}
