/** Work on a storage in steps, and the states that may be found when it breaks off at any moment. */
import { setImmediate as turn } from 'node:timers/promises'
import type { IfExists, Storage } from 'stowage'
import { attributesOf, textOf, toVersion, type Version } from './version.js'

export type Step =
  | { do: 'save'; name: string; version: Version; ifExists: IfExists; stream: boolean }
  | { do: 'copy' | 'move'; from: string; to: string; ifExists: IfExists }
  | { do: 'delete'; name: string }
  | { do: 'deletePrefix'; prefix: string }

/** The name of a file that a step may have written, and what it holds. */
export type Files = ReadonlyMap<string, Version>

/** Does a step. Returns the name that a file got, or null. */
export async function perform(storage: Storage, step: Step): Promise<string | null> {
  switch (step.do) {
    case 'save': {
      const { name, version, ifExists, stream } = step
      return storage.save(name, stream ? inPieces(version) : textOf(version), {
        ifExists,
        ...attributesOf(version),
      })
    }
    case 'copy':
    case 'move':
      return storage[step.do](step.from, step.to, { ifExists: step.ifExists })
    case 'delete':
      await storage.delete(step.name)
      return null
    case 'deletePrefix':
      await storage.deletePrefix(step.prefix)
      return null
  }
}

async function* inPieces(version: Version): AsyncGenerator<string> {
  const text = textOf(version)
  for (let start = 0; start < text.length; start += 20_000) {
    yield text.slice(start, start + 20_000)
    await turn()
  }
}

/**
 * A step that makes sense where `files` are. Each lane has names of its own, in folders that it shares with the other
 * lanes and in one of its own, so that the lanes' steps may run side by side and still be told apart afterwards.
 */
export function randomStep(random: () => number, lane: number, index: number, files: Files): Step {
  const pick = <T>(items: readonly T[]): T | undefined => items[Math.floor(random() * items.length)]
  const own = `own-${lane}`
  const places = [`shared/a-${lane}.txt`, `shared/deep/b-${lane}.txt`, `${own}/c.txt`, `${own}/deep/d.txt`]
  const anywhere = () => pick([...places, `shared/e-${lane}.bin`]) ?? own
  const there = [...files.keys()].filter((name) => name.includes(own) || name.includes(`-${lane}`))
  const ifExists = random() < 0.5 ? 'overwrite' : 'rename'
  const kind = random()
  const from = pick(there)
  if (there.length > 12) return { do: 'deletePrefix', prefix: own }
  if (from === undefined || kind < 0.45) {
    const version = toVersion(random() < 0.6, index, `-${lane}`)
    return { do: 'save', name: anywhere(), version, ifExists, stream: random() < 0.3 }
  }
  if (kind < 0.75) {
    const to = anywhere()
    if (to === from) return { do: 'delete', name: from }
    return { do: kind < 0.55 ? 'copy' : 'move', from, to, ifExists }
  }
  return kind < 0.95 ? { do: 'delete', name: from } : { do: 'deletePrefix', prefix: own }
}

/** What a lane begins with where few steps follow: one of each kind that a random step may be. */
export function openingStep(lane: number, index: number, done: number): Step | undefined {
  const [own, shared] = [`own-${lane}`, `shared/a-${lane}.txt`]
  const version = toVersion(true, index, `-${lane}`)
  const opening: readonly Step[] = [
    { do: 'save', name: `${own}/c.txt`, version, ifExists: 'rename', stream: lane % 2 === 0 },
    { do: 'move', from: `${own}/c.txt`, to: shared, ifExists: 'rename' },
    { do: 'copy', from: shared, to: `${own}/deep/d.txt`, ifExists: 'overwrite' },
    { do: 'deletePrefix', prefix: own },
    { do: 'delete', name: shared },
  ]
  return opening[done]
}

/** The state of the storage. It is certain, except for the steps that have begun and not ended. */
export class Expectation {
  files: Map<string, Version>
  readonly #running = new Map<number, Step>()

  constructor(files: Files = new Map()) {
    this.files = new Map(files)
  }

  begin(id: number, step: Step): void {
    this.#running.set(id, step)
  }

  /** A step was acknowledged, with the name that it told. */
  end(id: number, name: string | null): void {
    const step = this.#running.get(id)
    if (step === undefined) throw new Error(`step ${id} ended and had not begun`)
    this.#running.delete(id)
    this.files = done(step, this.files, name)
  }

  /** The parts of `found` that are impossible if the work broke off just now. */
  judge(found: Files): string[] {
    const explained = new Set<string>()
    const faults: string[] = []
    for (const step of this.#running.values()) {
      const touched = [...new Set([...outcomes(step, this.files, found)].flatMap(changed(this.files)))]
      for (const name of touched) explained.add(name)
      const fits = [...outcomes(step, this.files, found)].some((outcome) =>
        touched.every((name) => outcome.get(name) === found.get(name)),
      )
      if (!fits) faults.push(`${JSON.stringify(step)} left ${touched.map(describe(this.files, found))}`)
    }
    for (const name of new Set([...this.files.keys(), ...found.keys()])) {
      if (explained.has(name) || this.files.get(name) === found.get(name)) continue
      faults.push(`${describe(this.files, found)(name)}, and nothing was done there`)
    }
    return faults
  }

  /** Begins anew with what was found. */
  adopt(found: Files): void {
    this.#running.clear()
    this.files = new Map(found)
  }
}

/** The state after a step that did everything. */
function done(step: Step, before: Files, name: string | null): Map<string, Version> {
  const after = new Map(before)
  if (step.do === 'save' && name !== null) after.set(name, step.version)
  if (step.do === 'copy' || step.do === 'move') {
    const version = before.get(step.from)
    if (step.do === 'move') after.delete(step.from)
    if (version !== undefined && name !== null) after.set(name, version)
  }
  if (step.do === 'delete') after.delete(step.name)
  if (step.do === 'deletePrefix') {
    for (const each of before.keys()) if (each.startsWith(`${step.prefix}/`)) after.delete(each)
  }
  return after
}

/** All states that are possible after a step that broke off. `found` holds the alternative of a taken name. */
function* outcomes(step: Step, before: Files, found: Files): Generator<Map<string, Version>> {
  yield new Map(before)
  if (step.do === 'deletePrefix') {
    // Each of them by itself: what was found of them, if that is one of them.
    const after = done(step, before, null)
    for (const [name, version] of before) {
      if (!after.has(name) && found.get(name) === version) after.set(name, version)
    }
    yield after
    yield done(step, before, null)
    return
  }
  if (step.do === 'delete') return yield done(step, before, null)
  const target = step.do === 'save' ? step.name : step.to
  const taken = step.ifExists === 'rename' && before.has(target)
  const dot = target.lastIndexOf('.')
  const beside = (name: string) =>
    name.startsWith(`${target.slice(0, dot)}_`) &&
    name.endsWith(target.slice(dot)) &&
    name.length === target.length + 8 &&
    !before.has(name)
  const names = taken ? [...found.keys()].filter(beside) : [target]
  for (const name of names) {
    const after = done(step, before, name)
    yield after
    // A move is visible at its target first; at no moment is the file nowhere.
    if (step.do === 'move') {
      const version = before.get(step.from)
      if (version !== undefined) yield new Map([...after, [step.from, version]])
    }
  }
}

function changed(before: Files): (after: Files) => string[] {
  return (after) =>
    [...new Set([...before.keys(), ...after.keys()])].filter((name) => before.get(name) !== after.get(name))
}

function describe(before: Files, found: Files): (name: string) => string {
  return (name) => `${name}: ${found.get(name) ?? 'nothing'} where ${before.get(name) ?? 'nothing'} was`
}
