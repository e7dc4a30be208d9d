import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { attempt, mark, none } from '../outcome.mjs'

const OLD = Buffer.from('the old content')
const CHUNK = Buffer.alloc(64 * 1024, 'n')

async function* breaking() {
  for (let sent = 0; sent < 32; sent++) yield CHUNK
  throw new Error('the source broke')
}

async function* endless() {
  for (let sent = 0; ; sent++) {
    yield CHUNK
    if (sent === 64) process.stdout.write('started\n')
    if (sent > 64) await sleep(20)
  }
}

/** What is at the name now: `old`, `partial` or `missing`. */
async function look(storage, name) {
  const { value } = await attempt(() => storage.read(name))
  return value === undefined ? 'missing' : value.equals(OLD) ? 'old' : 'partial'
}

async function afterBrokenSources(storage) {
  await storage.save('taken.bin', OLD)
  for (const name of ['taken.bin', 'new.bin'])
    await attempt(() => storage.save(name, Readable.from(breaking())))
  return [await look(storage, 'taken.bin'), await look(storage, 'new.bin')]
}

async function afterKills(storage, name, folder) {
  await storage.save('taken.bin', OLD)
  for (const target of ['taken.bin', 'new.bin']) {
    const program = fileURLToPath(import.meta.url)
    const child = spawn(process.execPath, [program, name, target], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(child.stdout, 'data')
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  return [await look(storage, 'taken.bin'), await look(storage, 'new.bin')]
}

function judge([taken, fresh]) {
  const whole = taken === 'old' && fresh === 'missing'
  return mark(
    whole,
    false,
    whole
      ? 'old file stays, no part of a new one'
      : `${taken === 'old' ? '' : 'old file lost, '}partial file`,
  )
}

export const trials = [
  {
    id: 'atomic-source',
    title: 'The source breaks during a save to disk',
    on: 'disk',
    run: async ({ contestant, folder }) =>
      contestant.disk ? judge(await afterBrokenSources(await contestant.disk(folder))) : none(),
  },
  {
    id: 'atomic-kill',
    title: 'The process is killed during a save to disk',
    on: 'disk',
    run: async ({ contestant, name, folder }) =>
      contestant.disk ? judge(await afterKills(await contestant.disk(folder), name, folder)) : none(),
  },
]

// As a program: saves until it is killed.
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , name, target] = process.argv
  const { load } = await import('../contestants.mjs')
  const storage = await (await load(name)).disk(process.cwd())
  await storage.save(target, Readable.from(endless()))
}
