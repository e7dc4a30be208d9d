/** Another process swaps a folder of the root for a link that leads out of it, while files in it are read and written. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FileSystemStorage, isStorageError } from 'stowage'
import { afterEach, beforeEach, it } from 'vitest'
import { report } from './figures.js'
import { FORM } from './form.js'

const MS = { quick: 4_000, long: 60_000, soak: 60_000 }[FORM]

/** Swaps, as fast as it can, what is named `swap`: a folder and a link outwards, or a link inwards and one outwards. */
const SWAPPER = `
  const { renameSync, symlinkSync, mkdirSync } = require('node:fs')
  const [root, outside, kind] = process.argv.slice(1)
  process.chdir(root)
  const quietly = (work) => { try { work() } catch {} }
  symlinkSync(outside, 'link-out')
  if (kind === 'folder') mkdirSync('swap')
  else { symlinkSync('inside', 'link-in'); symlinkSync('inside', 'swap') }
  console.log('ready')
  const round = kind === 'folder'
    ? () => {
        quietly(() => renameSync('swap', 'aside')); quietly(() => renameSync('link-out', 'swap'))
        quietly(() => renameSync('swap', 'link-out')); quietly(() => renameSync('aside', 'swap'))
      }
    : () => {
        symlinkSync(outside, 'new'); renameSync('new', 'swap')
        symlinkSync('inside', 'new'); renameSync('new', 'swap')
      }
  const loop = () => { for (let i = 0; i < 200; i++) round(); setImmediate(loop) }
  loop()
`

let around: string
let root: string
let outside: string
let swapper: ChildProcess | undefined

beforeEach(async () => {
  around = await mkdtemp(join(tmpdir(), 'stowage-race-'))
  root = join(around, 'root')
  outside = join(around, 'outside')
  await mkdir(join(root, 'inside'), { recursive: true })
  await mkdir(outside)
  await writeFile(join(outside, 'secret.txt'), 'the canary')
})
afterEach(async () => {
  if (swapper) {
    swapper.kill('SIGKILL')
    await once(swapper, 'close')
  }
  await rm(around, { recursive: true, force: true })
})

/** Only Linux tells where an opened file is. */
it.runIf(process.platform === 'linux').each(['folder', 'link'])(
  'no content of a file outside is read or copied in the race with a %s',
  async (kind) => {
    const child = spawn(process.execPath, ['-e', SWAPPER, root, outside, kind], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    swapper = child
    await once(child.stdout, 'data')
    const storage = new FileSystemStorage({ location: root, fsync: false })
    const counts = { reads: 0, contents: 0, copy: 0, move: 0, states: 0, writes: 0, written: 0, removed: 0 }
    const quietly = async (work: Promise<unknown>) => {
      const error: unknown = await work.then(
        () => undefined,
        (caught: unknown) => caught,
      )
      if (error !== undefined) assert.ok(isStorageError(error), String(error))
    }
    const end = Date.now() + MS
    const reader = async () => {
      while (Date.now() < end) {
        counts.reads += 1
        await quietly(
          storage.open('swap/secret.txt').then(async (file) => {
            if ((await file.text()).includes('canary')) counts.contents += 1
          }),
        )
        await quietly(
          storage.stat('swap/secret.txt').then(() => {
            counts.states += 1
          }),
        )
        for (const method of ['copy', 'move'] as const) {
          await quietly(
            storage[method]('swap/secret.txt', 'got.txt', { ifExists: 'overwrite' }).then(async () => {
              if ((await (await storage.open('got.txt')).text()).includes('canary')) counts[method] += 1
            }),
          )
        }
      }
    }
    const writer = async () => {
      for (; Date.now() < end; counts.writes++) {
        const name = `swap/${counts.writes}.txt`
        await quietly(storage.save(name, 'x', { ifExists: 'overwrite' }))
        await quietly(storage.delete(name))
      }
    }
    await Promise.all([reader(), reader(), writer()])
    const found = await readdir(outside)
    counts.written = found.filter((name) => name !== 'secret.txt').length
    counts.removed = found.includes('secret.txt') ? 0 : 1
    console.log(`${kind}: ${JSON.stringify(counts)}`)
    assert.ok(counts.reads > 50 && counts.writes > 50, JSON.stringify(counts))
    assert.deepEqual({ contents: counts.contents, copies: counts.copy }, { contents: 0, copies: 0 })
    report({
      trial: `a ${kind} swapped for a link that leads out, in a tight loop (SECURITY.md says what that can do)`,
      tried: `${counts.reads.toLocaleString('en')} reads, copies and moves each; ${counts.writes.toLocaleString('en')} writes`,
      outcome: `0 contents read or copied from outside; not closed: ${counts.states} states told, ${counts.move} files moved in, ${counts.written} written outside`,
    })
  },
)
