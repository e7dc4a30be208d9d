import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { FileSystemStorage } from 'stowage'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { removeBundles } from '../integration/child/bundle.js'
import { newFolder, sidecarsIn, temporaryFilesIn } from '../integration/child/folders.js'
import { bundleWriter, look, start } from './child/start.js'
import { report } from './figures.js'
import { FORM, randomFrom, SEED } from './form.js'
import { Expectation, type Step } from './steps.js'
import { needsSidecar, type Version } from './version.js'

const KILLS = { quick: 50, long: 1_000, soak: 1_000 }[FORM]
const LANES = 4
const DAY = 24 * 60 * 60 * 1000

let program: string
beforeAll(async () => {
  program = await bundleWriter()
})
afterAll(removeBundles)

/** Lets a process of some days later sweep, and waits until it has done what it can. */
async function sweep(location: string, done: () => Promise<boolean>): Promise<void> {
  const storage = new FileSystemStorage({ location, fsync: false })
  // By this clock the file that is just being written is a day old as well, so it may be swept.
  await storage.save('sweeping.txt', 'x').catch(() => {})
  await storage.delete('sweeping.txt')
  for (let waits = 0; waits < 100 && !(await done()); waits++) await sleep(10)
}

/** The names of the files that sidecars belong to; empty for one that does not say. */
async function sidecarOwners(location: string): Promise<string[]> {
  const paths = await sidecarsIn(location)
  return Promise.all(
    paths.map(async (path) => {
      const text = await readFile(join(location, path), 'utf8').catch(() => '')
      return /^{"name":"([^"]*)"/.exec(text)?.[1] ?? ''
    }),
  )
}

/** Nothing but what is in use is left at last. What belongs to a missing file goes a month after that was seen first. */
async function expectSwept(roots: readonly string[]): Promise<void> {
  const now = Date.now
  let days = 0
  vi.spyOn(Date, 'now').mockImplementation(() => now() + days * DAY)
  try {
    const sweepAll = async (location: string) => {
      const before = await look(new FileSystemStorage({ location }))
      const isClean = async () => {
        const [temps, owners] = [await temporaryFilesIn(location), await sidecarOwners(location)]
        return (
          temps.length === 0 &&
          owners.every((name, index) => before.has(name) && owners.indexOf(name) === index)
        )
      }
      await sweep(location, isClean)
      return { location, before, isClean }
    }
    for (let start = 0; start < roots.length; start += 16) {
      days = 2
      const swept = await Promise.all(roots.slice(start, start + 16).map(sweepAll))
      for (days of [40, 80]) {
        await Promise.all(
          swept.map(async ({ location, isClean }) => (await isClean()) || sweep(location, isClean)),
        )
      }
      for (const { location, before } of swept) {
        const needed = [...before].filter(([name, version]) => needsSidecar(name, version))
        expect(await temporaryFilesIn(location)).toEqual([])
        // Each of a file that is there, one for each; a file that once had a sidecar keeps one when it moves.
        const owners = await sidecarOwners(location)
        expect(new Set(owners).size).toBe(owners.length)
        expect([...before.keys()]).toEqual(expect.arrayContaining(owners))
        expect(owners).toEqual(expect.arrayContaining(needed.map(([name]) => name)))
        expect(await look(new FileSystemStorage({ location }))).toEqual(before)
      }
    }
  } finally {
    vi.restoreAllMocks()
  }
}

it('keeps what it acknowledged, and shows old or new, when it is killed at random moments', async () => {
  const random = randomFrom(SEED)
  let kills = 0
  let acknowledged = 0
  let open = 0
  let temps = 0
  /** One root, killed again and again; each process goes on where the one before was. */
  const killAgainAndAgain = async (fsync: boolean) => {
    const location = `${await newFolder()}/root`
    const storage = new FileSystemStorage({ location })
    const expectation = new Expectation()
    let firstId = 0
    while (kills < KILLS) {
      kills += 1
      const files = [...expectation.files]
      const seed = Math.floor(random() * 2 ** 31)
      const writer = start(program, {
        job: 'onAndOn',
        root: { location, fsync },
        files,
        seed,
        lanes: LANES,
        firstId,
      })
      const lines = Math.floor(random() * (fsync ? 12 : 60))
      const extra = random() * 4
      let told = 0
      let running = 0
      writer.onTold((each) => {
        if ('begin' in each) {
          expectation.begin(each.begin, each.step)
          firstId = Math.max(firstId, each.begin + 1)
          running += 1
        } else if ('end' in each) {
          expectation.end(each.end, each.name)
          acknowledged += 1
          running -= 1
        }
        told += 1
        if (told === lines + 1) setTimeout(() => writer.process.kill('SIGKILL'), extra)
      })
      expect(await writer.end).toEqual({ signal: 'SIGKILL', errors: '' })
      open += running
      const found = await look(storage)
      expect(expectation.judge(found)).toEqual([])
      expectation.adopt(found)
    }
    temps += (await temporaryFilesIn(location)).length
    return location
  }
  const roots = await Promise.all([killAgainAndAgain(true), killAgainAndAgain(false)])
  await expectSwept(roots)
  report({
    trial: 'kill -9 amid saves, copies, moves and deletes on the filesystem, at random moments',
    tried: `${kills} kills, ${acknowledged} acknowledged steps, ${open} broken off`,
    outcome: `0 lost, 0 half or mixed, 0 stray names; ${temps} temporary files, all swept a day later`,
  })
})

const save = (name: string, version: Version, more: Partial<Extract<Step, { do: 'save' }>> = {}): Step => ({
  do: 'save',
  name,
  version,
  ifExists: 'error',
  stream: false,
  ...more,
})
const OVERWRITE = { ifExists: 'overwrite' } as const
/** What a step finds, and the step. */
const SEQUENCES: readonly (readonly [setup: Step[], step: Step])[] = [
  [[], save('a/b/c.txt', 'p3')],
  [[], save('a/b/c.txt', 'd3')],
  [[save('a/x.txt', 'd1')], save('a/x.txt', 'd3', { ifExists: 'rename' })],
  [[save('a/x.txt', 'd1')], save('a/x.txt', 'd3', OVERWRITE)],
  [[save('a/x.txt', 'd1')], save('a/x.txt', 'p3', OVERWRITE)],
  [[save('a/x.txt', 'p1')], save('a/x.txt', 'd4', { ...OVERWRITE, stream: true })],
  [[save('a/x.txt', 'd1')], { do: 'copy', from: 'a/x.txt', to: 'b/y.txt', ifExists: 'error' }],
  [[save('a/x.txt', 'd1'), save('y.txt', 'd3')], { do: 'copy', from: 'a/x.txt', to: 'y.txt', ...OVERWRITE }],
  [[save('a/x.txt', 'd1')], { do: 'move', from: 'a/x.txt', to: 'b/y.txt', ifExists: 'error' }],
  [[save('a/x.txt', 'p1')], { do: 'move', from: 'a/x.txt', to: 'b/y.bin', ifExists: 'error' }],
  [[save('a/x.txt', 'd1'), save('y.txt', 'd3')], { do: 'move', from: 'a/x.txt', to: 'y.txt', ...OVERWRITE }],
  [[save('a/b/x.txt', 'd1')], { do: 'delete', name: 'a/b/x.txt' }],
  [
    [save('a/b/x.txt', 'd1'), save('a/y.txt', 'p1'), save('a/z.txt', 'd1'), save('ab.txt', 'd1')],
    { do: 'deletePrefix', prefix: 'a' },
  ],
]

it('keeps what it acknowledged, and shows old or new, when it is killed at any change to a file', async () => {
  const roots: string[] = []
  let points = 0
  const killEverywhere = async (setup: Step[], step: Step, fsync: boolean) => {
    for (let nth = 1; ; nth++) {
      const location = `${await newFolder()}/root`
      const storage = new FileSystemStorage({ location })
      const expectation = new Expectation()
      const writer = start(program, { job: 'killedAt', root: { location, fsync }, setup, step, nth })
      let acknowledged = -1
      writer.onTold((told) => {
        if ('begin' in told) expectation.begin(told.begin, told.step)
        if ('end' in told) {
          expectation.end(told.end, told.name)
          acknowledged = told.end
        }
      })
      const { signal, errors } = await writer.end
      expect(errors).toBe('')
      const where = `change ${nth} of ${JSON.stringify(step)}`
      expect(acknowledged, where).toBeGreaterThanOrEqual(setup.length - 1)
      expect(expectation.judge(await look(storage)), where).toEqual([])
      roots.push(location)
      if (signal === null) {
        // Not killed any more: every point was tried.
        expect(acknowledged).toBe(setup.length)
        return
      }
      expect(signal).toBe('SIGKILL')
      points += 1
      // The next process can do what this one did not.
      const again = { ifExists: 'overwrite' } as const
      await storage.save(step.do === 'save' ? step.name : 'a/x.txt', 'again', again)
      await storage.save(step.do === 'save' ? step.name : 'a/x.txt', 'd1\n'.padEnd(10, 'd1\n'), again)
      await storage.delete(step.do === 'save' ? step.name : 'a/x.txt')
    }
  }
  const queue = SEQUENCES.flatMap(([setup, step]) =>
    // What is synchronised makes no difference to a process that dies, only more points.
    (FORM === 'quick' ? [false] : [true, false]).map((fsync) => [setup, step, fsync] as const),
  ).values()
  await Promise.all(
    [1, 2].map(async () => {
      for (const [setup, step, fsync] of queue) await killEverywhere(setup, step, fsync)
    }),
  )
  expect(points).toBeGreaterThan(SEQUENCES.length * 5)
  await expectSwept(roots)
  report({
    trial: 'kill -9 at every single change to files that a save, copy, move or delete makes',
    tried: `${SEQUENCES.length} operations, ${points} points`,
    outcome: '0 lost, 0 half or mixed, 0 stray names; temporary files swept a day later',
  })
})
