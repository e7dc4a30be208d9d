import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { FileSystemStorage } from 'stowage'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { removeBundles } from '../integration/child/bundle.js'
import { newFolder } from '../integration/child/folders.js'
import { bundleWriter, look, start } from './child/start.js'
import type { Change, Told } from './child/writer.js'
import { build, Disk, type Lie, type Luck } from './disk.js'
import { report } from './figures.js'
import { FORM, randomFrom, SEED } from './form.js'
import { Expectation } from './steps.js'

const LANES = 3
/** Steps in each lane, and runs of them. */
const STEPS = { quick: 9, long: 25, soak: 25 }[FORM]
const RUNS = { quick: 1, long: 5, soak: 5 }[FORM]
/** What is tried of all that a cut may leave: these, at every moment. */
const LUCK: readonly Luck[] = ['none', 'all', 'by folder', 'by name', 'by name']

let program: string
beforeAll(async () => {
  program = await bundleWriter()
})
afterAll(removeBundles)

interface Recording {
  readonly base: string
  readonly attic: string
  readonly log: readonly (Told | Change)[]
}

async function record(seed: number): Promise<Recording> {
  const folder = await newFolder()
  const [base, attic] = [join(folder, 'base'), join(folder, 'attic')]
  await mkdir(base)
  await mkdir(attic)
  const log: (Told | Change)[] = []
  const root = { location: join(base, 'root'), fsync: true }
  const writer = start(program, { job: 'record', root, attic, seed, lanes: LANES, steps: STEPS })
  writer.onTold((told) => log.push(told))
  expect(await writer.end).toEqual({ signal: null, errors: '' })
  return { base, attic, log }
}

interface Tally {
  cuts: number
  states: number
  acknowledged: number
  /** How many steps of each kind. */
  kinds: Map<string, number>
  faults: string[]
}

/** Cuts the power after every change, and looks at what may be left. Ends early where enough is wrong. */
async function cutEverywhere({ base, attic, log }: Recording, lie: Lie, tally: Tally): Promise<void> {
  const random = randomFrom(SEED)
  const disk = new Disk(base, attic, lie)
  const expectation = new Expectation()
  const seen = new Set<string>()
  for (const [index, told] of log.entries()) {
    if ('begin' in told) {
      expectation.begin(told.begin, told.step)
      tally.kinds.set(told.step.do, (tally.kinds.get(told.step.do) ?? 0) + 1)
    } else if ('end' in told) expectation.end(told.end, told.name)
    else disk.apply(told)
    if ('begin' in told) continue
    // What was promised changes with what was acknowledged, even where the disk does not.
    if ('end' in told) seen.clear()
    if ('end' in told) tally.acknowledged += 1
    else tally.cuts += 1
    for (const luck of LUCK) {
      const remains = disk.afterCut(luck, random)
      const state = JSON.stringify(remains)
      if (seen.has(state)) continue
      seen.add(state)
      tally.states += 1
      const cut = join(base, '..', 'cut')
      await mkdir(cut)
      build(remains, cut)
      const storage = new FileSystemStorage({ location: join(cut, 'root'), fsync: false })
      try {
        const faults = expectation.judge(await look(storage))
        tally.faults.push(...faults.map((fault) => `${fault} (change ${index}, ${luck})`))
      } catch (error) {
        tally.faults.push(`${error} (change ${index}, ${luck})`)
      }
      // Life goes on from there.
      if (tally.states % 10 === 0) {
        const name = await storage.save('shared/after.txt', 'after', { metadata: { by: 'me' } })
        expect((await storage.stat(name)).metadata).toEqual({ by: 'me' })
      }
      await rm(cut, { recursive: true })
      if (tally.faults.length > 5) return
    }
  }
}

const newTally = (): Tally => ({ cuts: 0, states: 0, acknowledged: 0, kinds: new Map(), faults: [] })

it('keeps what it acknowledged, whole and with its own metadata, through a power cut at any moment', async () => {
  const tally = newTally()
  for (let run = 0; run < RUNS; run++) {
    await cutEverywhere(await record(SEED + run), 'nothing', tally)
    expect(tally.faults).toEqual([])
  }
  expect(tally.acknowledged).toBe(RUNS * LANES * STEPS)
  for (const kind of ['save', 'copy', 'move', 'delete', 'deletePrefix'])
    expect(tally.kinds.get(kind), kind).toBeGreaterThanOrEqual(RUNS * LANES)
  report({
    trial: 'power cut after every change to files, with what was not synchronised lost, half or reordered',
    tried: `${tally.cuts} cuts, ${tally.states} states of the disk, ${tally.acknowledged} acknowledged steps (${[...tally.kinds].map(([kind, count]) => `${count} ${kind}`).join(', ')})`,
    outcome: '0 lost, 0 half or mixed',
  })
})

it.each(['files', 'folders'] as const)('would lose files if the %s were not synchronised', async (lie) => {
  const tally = newTally()
  await cutEverywhere(await record(SEED), lie, tally)
  expect(tally.faults.length).toBeGreaterThan(0)
})
