// npm run build && node --expose-gc bench/telemetry.mjs [--rounds=15] [--write]
// What one listener on the channel `stowage:operation` costs: CPU of a call with it and without, in turns in one process.
// `none again` is a second turn without a listener, so its ratio is the noise. `--write` replaces the section in RESULTS.md.
import { fork } from 'node:child_process'
import { tracingChannel } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { FileSystemStorage, MemoryStorage, S3Storage } from '../dist/index.js'
import { measureInTurns, median } from './rounds.mjs'

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '15' }, write: { type: 'boolean', default: false } },
})
const rounds = Number(values.rounds)
const folder = mkdtempSync(join(os.tmpdir(), 'stowage-bench-telemetry-'))
const server = fork(fileURLToPath(new URL('server.mjs', import.meta.url)))
const [{ endpoint }] = await once(server, 'message')
const keys = { accessKeyId: 'bench', secretAccessKey: 'bench', region: 'auto' }
const storages = {
  memory: new MemoryStorage(),
  disk: new FileSystemStorage({ location: folder, fsync: false }),
  S3: new S3Storage({ endpoint, bucket: 'telemetry', createOnly: 'check', ...keys }),
}
const bytes = Buffer.alloc(16 * 1024, 'stowage ')
const calls = {
  save: (storage, index) => storage.save(`f${index % 500}.bin`, bytes, { ifExists: 'overwrite' }),
  exists: (storage, index) => storage.exists(`f${index % 500}.bin`),
}

let seen = 0
const listener = {
  asyncEnd: (event) => {
    if (event.outcome === 'ok') seen += 1
  },
}
const channel = tracingChannel('stowage:operation')
const LISTENING = 'one listener'

try {
  const rows = []
  for (const [place, storage] of Object.entries(storages)) {
    for (const [call, operate] of Object.entries(calls)) {
      const work = (index) => operate(storage, index)
      const contestants = { none: work, 'none again': work, [LISTENING]: work }
      const results = await measureInTurns(contestants, {
        rounds,
        turnMs: 150,
        minimum: 200,
        concurrency: 16,
        before: (name) => name === LISTENING && channel.subscribe(listener),
        after: (name) => name === LISTENING && channel.unsubscribe(listener),
      })
      const ratio = (name) => median(results[name].cpu.map((cpu, round) => cpu / results.none.cpu[round]))
      const [none, one] = ['none', LISTENING].map((name) => median(results[name].cpu))
      rows.push([call, place, none, one, ratio(LISTENING), ratio('none again')])
      console.error(rows.at(-1).join(' '))
    }
  }
  if (seen === 0) throw new Error('the listener heard nothing')
  const text = report(rows)
  console.log(text)
  if (values.write) write(text)
} finally {
  server.disconnect()
  rmSync(folder, { recursive: true, force: true })
}

function report(rows) {
  const lines = rows.map(([call, place, none, one, ratio, noise]) => {
    const figures = [none.toFixed(1), one.toFixed(1), `${ratio.toFixed(2)} ×`, `${noise.toFixed(2)} ×`]
    return `| ${call}, ${place} | ${figures.join(' | ')} |`
  })
  return `## Telemetry

\`node --expose-gc bench/telemetry.mjs --rounds=${rounds}\`, ${new Date().toISOString().slice(0, 10)}, Node ${process.version}, load ${os.loadavg()[0].toFixed(1)}.
CPU in µs a call of 16 KiB, 16 at a time; ratios are medians of rounds. The last column is the noise.

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
