// npm run build && node bench/migrate-many.mjs [25000 50000 100000]
// Time and memory of `migrate` by the number of files: 1 KiB each, 1,000 a folder, from disk to disk without fsync, and
// again with nothing to do. Each run is a process of its own.
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { stowage } from './stowage.mjs'

const MIB = 1024 * 1024
const [first, ...rest] = process.argv.slice(2)

if (first === 'once') await once(...rest)
else measure(first === undefined ? [25_000, 50_000, 100_000] : [first, ...rest].map(Number))

function measure(counts) {
  const folder = mkdtempSync(join(os.tmpdir(), 'stowage-bench-many-'))
  try {
    console.log('| files | run | wall | CPU | CPU a file | RSS growth |\n|--:|---|--:|--:|--:|--:|')
    for (const count of counts) {
      const [from, to] = [join(folder, `${count}`), join(folder, `${count}-copy`)]
      fill(from, count)
      for (const run of ['first', 'again']) {
        const args = [fileURLToPath(import.meta.url), 'once', from, to]
        const { wall, cpu, growth } = JSON.parse(execFileSync(process.execPath, args).toString())
        const each = Math.round((cpu / count) * 1e6)
        const cells = [count, run, `${wall.toFixed(1)} s`, `${cpu.toFixed(1)} s`, `${each} µs`]
        console.log(`| ${cells.join(' | ')} | ${Math.round(growth / MIB)} MiB |`)
      }
      rmSync(from, { recursive: true })
      rmSync(to, { recursive: true })
    }
    console.error(`load ${os.loadavg()[0]?.toFixed(1)} at the end, Node ${process.version}`)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function fill(folder, count) {
  for (let index = 0; index < count; index++) {
    const path = join(folder, `d${Math.floor(index / 1000)}`)
    if (index % 1000 === 0) mkdirSync(path, { recursive: true })
    writeFileSync(join(path, `f${index}.bin`), Buffer.alloc(1024, index))
  }
}

/** Prints seconds of clock and CPU, and the bytes by which the process grew beyond one with everything loaded. */
async function once(from, to) {
  const { FileSystemStorage, migrate } = await stowage()
  const disk = (location) => new FileSystemStorage({ location, fsync: false })
  await migrate(disk(join(from, 'd0')), disk(`${to}-warm`))
  rmSync(`${to}-warm`, { recursive: true })
  const before = process.memoryUsage.rss()
  const [wall, cpu] = [performance.now(), process.cpuUsage()]
  const { failed } = await migrate(disk(from), disk(to))
  if (failed.length > 0) throw failed[0].error
  const { user, system } = process.cpuUsage(cpu)
  const growth = Math.max(0, process.resourceUsage().maxRSS * 1024 - before)
  console.log(JSON.stringify({ wall: (performance.now() - wall) / 1e3, cpu: (user + system) / 1e6, growth }))
}
