// npm --prefix bench run trips: why open and exists on the filesystem are slower than the floor (see README.md).
// 1. The bare system calls, 16 at a time, with a pause of some µs of arithmetic after each operation.
// 2. The main thread's time for one operation of stowage, with immediate answers of the thread pool.
import fs, { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import os from 'node:os'
import { join } from 'node:path'
import { FS_CONTESTANTS } from './fs-contestants.mjs'
import { measureInTurns, median } from './rounds.mjs'
import { stowage } from './stowage.mjs'

const root = mkdtempSync(join(os.tmpdir(), 'stowage-bench-'))
process.on('exit', () => rmSync(root, { recursive: true, force: true }))
const name = 'documents/42/report.pdf'
const path = join(root, name)
mkdirSync(join(path, '..'), { recursive: true })
writeFileSync(path, Buffer.alloc(16 * 1024, 'stowage '))

const print = (text) => process.stdout.write(`${text}\n`)
const settings = { turnMs: 150, minimum: 200, concurrency: 16, rounds: 9 }

function busy(us) {
  const end = performance.now() + us / 1000
  while (us > 0 && performance.now() < end);
}

const floor = FS_CONTESTANTS.floor(root)
for (const call of ['open', 'exists']) {
  const operations = {}
  for (const us of [0, 5, 20]) {
    operations[us] = async () => {
      await floor[call](name)
      busy(us)
    }
  }
  const results = await measureInTurns(operations, settings)
  for (const us in results) {
    const times = median(results[us].wall.map((wall, round) => wall / results[0].wall[round]))
    print(
      `bare ${call}, a pause of ${us} µs: ${median(results[us].wall).toFixed(1)} µs, × ${times.toFixed(2)}`,
    )
  }
}

const fd = fs.openSync(path)
fs.open = (_path, _flags, mode, done) => queueMicrotask(() => (done ?? mode)(null, fd))
fs.read = (_fd, _buffer, _offset, length, _position, done) => queueMicrotask(() => done(null, length))
fs.close = () => {}
fs.realpath.native = (given, options, done) => queueMicrotask(() => (done ?? options)(null, given))
syncBuiltinESMExports()
const { FileSystemStorage } = await stowage()
const storage = new FileSystemStorage({ location: root })
/** Only the calls on the main thread that stowage's checks need. */
const checks = {
  open: () => [fs.fstatSync(fd, { bigint: true }), fs.readlinkSync(`/proc/self/fd/${fd}`)],
  exists: () => fs.lstatSync(path, { bigint: true }),
}
const whole = { open: async () => (await storage.open(name)).bytes(), exists: () => storage.exists(name) }
for (const call in whole) {
  const [all, some] = [await timeOf(whole[call]), await timeOf(async () => checks[call]())]
  print(`${call} without its trips: ${all.toFixed(1)} µs, of this system calls ${some.toFixed(1)} µs`)
}

/** µs of one call, in sequence: the median of nine runs of ten thousand, after a warm-up of the same size. */
async function timeOf(operate) {
  const times = []
  for (let round = 0; round < 10; round++) {
    const start = performance.now()
    for (let index = 0; index < 10_000; index++) await operate()
    times.push((performance.now() - start) / 10)
  }
  return median(times.slice(1))
}
