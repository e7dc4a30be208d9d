// npm run build && node bench/migrate.mjs [--rounds=3] [--small=3000] [--large=6] [--write]
// Moves a folder to Ceph, twice: the second run finds nothing to do. In turns with `rclone copy`. Ends with
// `rclone check --download` of our last copy. `--write` replaces the section in RESULTS.md. Needs rclone, GNU time and
// Ceph's packages. STOWAGE_CEPH_KEYS names a file with the keys of a cluster that runs already.
import { execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { median } from './rounds.mjs'

const here = fileURLToPath(new URL('.', import.meta.url))
const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    small: { type: 'string', default: '3000' },
    large: { type: 'string', default: '6' },
    write: { type: 'boolean', default: false },
  },
})
const [rounds, small, large] = [values.rounds, values.small, values.large].map(Number)
const KIB = 1024
const AT_A_TIME = 16

const folder = mkdtempSync(join(os.tmpdir(), 'stowage-bench-migrate-'))
const { keys, stop } = await cluster()
try {
  fill()
  const figures = { stowage: [[], []], rclone: [[], []] }
  let bucket = ''
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? ['stowage', 'rclone'] : ['rclone', 'stowage']
    for (const name of order) {
      const own = `${name}-${round}-${process.pid}`
      rclone('mkdir', `ceph:${own}`)
      for (const run of [0, 1]) {
        const figure = measure(name, own)
        figures[name][run].push(figure)
        console.error(`round ${round + 1}, ${name}, run ${run + 1}: ${JSON.stringify(figure)}`)
      }
      if (name === 'stowage') bucket = own
      if (round < rounds - 1 || name === 'rclone') rclone('purge', `ceph:${own}`)
    }
  }
  rclone('check', '--download', join(folder, 'files'), `ceph:${bucket}`)
  const text = report(figures)
  console.log(text)
  if (values.write) write(text)
} finally {
  await stop()
  rmSync(folder, { recursive: true, force: true })
}

function fill() {
  for (let index = 0; index < small; index++) {
    const path = join(folder, 'files', `d${index % 30}`)
    if (index < 30) mkdirSync(path, { recursive: true })
    writeFileSync(join(path, `f${index}.bin`), randomBytes(16 * KIB))
  }
  for (let index = 0; index < large; index++)
    writeFileSync(join(folder, 'files', `large-${index}.bin`), randomBytes(40 * KIB * KIB))
}

function environment() {
  const { AWS_CA_BUNDLE: _, ...env } = process.env
  return {
    ...env,
    BENCH_KEYS: JSON.stringify(keys),
    RCLONE_CONFIG: os.devNull,
    RCLONE_CONFIG_CEPH_TYPE: 's3',
    RCLONE_CONFIG_CEPH_PROVIDER: 'Ceph',
    RCLONE_CONFIG_CEPH_ENDPOINT: keys.endpoint,
    RCLONE_CONFIG_CEPH_ACCESS_KEY_ID: keys.accessKeyId,
    RCLONE_CONFIG_CEPH_SECRET_ACCESS_KEY: keys.secretAccessKey,
  }
}

function rclone(...args) {
  return execFileSync('rclone', args, { env: environment(), stdio: ['ignore', 'pipe', 'pipe'] })
}

/** One run in a process of its own: seconds on the clock, seconds of CPU, MiB of memory at most. */
function measure(name, bucket) {
  const [from, output] = [join(folder, 'files'), join(folder, 'time')]
  const commands = {
    stowage: [process.execPath, join(here, 'migrate-once.mjs'), from, bucket, String(AT_A_TIME)],
    rclone: [
      ...['rclone', 'copy', from, `ceph:${bucket}`],
      ...['--transfers', String(AT_A_TIME), '--checkers', String(AT_A_TIME), '--s3-no-check-bucket'],
    ],
  }
  const args = ['-o', output, '-f', '%e %U %S %M', ...commands[name]]
  execFileSync('time', args, { env: environment(), stdio: ['ignore', 'inherit', 'inherit'] })
  const [wall, user, system, kib] = readFileSync(output, 'utf8').trim().split(' ').map(Number)
  return { wall, cpu: Number((user + system).toFixed(2)), rss: Math.round(kib / KIB) }
}

/** Medians, and the medians of the ratios within each round. */
function report(figures) {
  const rows = ['first run', 'again, nothing to do'].flatMap((title, run) =>
    ['wall', 'cpu', 'rss'].map((what) => {
      const [ours, theirs] = [figures.stowage, figures.rclone].map((each) =>
        each[run].map((one) => one[what]),
      )
      const ratios = ours.map((value, round) => value / theirs[round])
      const unit = what === 'rss' ? 'MiB' : 's'
      const range = `${Math.min(...ratios).toFixed(2)}–${Math.max(...ratios).toFixed(2)}`
      return `| ${title}, ${what} | ${round(median(ours))} ${unit} | ${round(median(theirs))} ${unit} | **${median(ratios).toFixed(2)}** (${range}) |`
    }),
  )
  const version = rclone('version').toString().split('\n')[0]
  return [
    '## Migration to Ceph',
    '',
    `${small} files of 16 KiB and ${large} of 40 MiB from the disk, ${AT_A_TIME} at a time, beside \`rclone copy\` (${version}) in turns.`,
    `${os.cpus()[0]?.model.trim()}, ${os.cpus().length} cores, Node ${process.version}, ${new Date().toISOString().slice(0, 10)}; load ${os.loadavg()[0]?.toFixed(1)} at the end; medians of ${rounds} rounds,`,
    `in brackets the least and the greatest ratio. \`node bench/migrate.mjs --rounds=${rounds} --write\` repeats it; it ends with \`rclone check --download\`.`,
    '',
    '| | stowage | rclone | ratio |',
    '|---|--:|--:|--:|',
    ...rows,
    '',
  ].join('\n')
}

function round(value) {
  return Number(value.toFixed(2))
}

function write(text) {
  const page = new URL('RESULTS.md', import.meta.url)
  const rest = readFileSync(page, 'utf8').replace(/\n## Migration to Ceph\n[\s\S]*?(?=\n## |$)/, '')
  writeFileSync(page, `${rest.trimEnd()}\n\n${text}`)
}

async function cluster() {
  const given = process.env.STOWAGE_CEPH_KEYS
  if (given) return { keys: JSON.parse(readFileSync(given, 'utf8').split('\n')[0]), stop: async () => {} }
  const args = ['--import', 'tsx', join(here, '../test/servers/ceph.ts')]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'], cwd: join(here, '..') })
  const [line] = await once(createInterface(child.stdout), 'line')
  return {
    keys: JSON.parse(line),
    stop: async () => {
      child.kill('SIGTERM')
      await once(child, 'exit')
    },
  }
}
