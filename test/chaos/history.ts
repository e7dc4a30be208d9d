/**
 * What several processes did to one storage at the same time, and whether that can be: each read must show a version
 * that was there at some moment while it ran. Times are those of one clock; nothing is known of the order of operations
 * that overlap, so each order that could have been is granted.
 */
import { sizeOf, type Version } from './version.js'

/** Sizes of what holds a name on Ceph until the content comes: of a save, and of an empty copy. */
const PLACEHOLDERS = [0, 36]

interface Timed {
  /** From before the call to after its answer, on one clock of all processes. */
  readonly start: number
  readonly end: number
}

export type Operation = Timed &
  (
    | ({ readonly do: 'save'; readonly version: Version } & Write)
    | ({ readonly do: 'copy' | 'move'; readonly from: string } & Write)
    | { readonly do: 'delete'; readonly name: string }
    | { readonly do: 'deletePrefix'; readonly name: string }
    /** Null: there was nothing. */
    | { readonly do: 'read'; readonly name: string; readonly version: Version | null }
    /** Whether there was a file. */
    | { readonly do: 'exists'; readonly name: string; readonly there: boolean }
    | { readonly do: 'list'; readonly name: string; readonly files: readonly (readonly [string, number])[] }
    /** Asked to try again later, for its source was replaced under way: nothing was done. */
    | { readonly do: 'busy'; readonly name: string }
    /** An outcome that no operation should have. */
    | { readonly do: 'fail'; readonly name: string; readonly reason: string }
  )

interface Write {
  readonly name: string
  readonly createOnly: boolean
  /** The name that the file got; else why it got none. */
  readonly got: string | { readonly refused: 'AlreadyExists' | 'NotFound' }
}

type Placement = Timed & { readonly createOnly: boolean } & (
    | { readonly version: Version }
    | { readonly from: string }
  )

/** Times of one kind, to be asked about quickly. */
class Times<T extends Timed> {
  readonly #byStart: T[]
  readonly #byEnd: T[]
  /** The latest start among all that ended up to here, in the order of `#byEnd`. */
  readonly #latestStart: number[] = []
  readonly #longest: number

  constructor(all: readonly T[]) {
    this.#byStart = [...all].sort((a, b) => a.start - b.start)
    this.#byEnd = [...all].sort((a, b) => a.end - b.end)
    this.#longest = all.reduce((longest, { start, end }) => Math.max(longest, end - start), 0)
    for (const { start } of this.#byEnd) {
      this.#latestStart.push(Math.max(start, this.#latestStart.at(-1) ?? Number.NEGATIVE_INFINITY))
    }
  }

  get inOrder(): readonly T[] {
    return this.#byStart
  }

  /** Those that may have worked within a span: what ended before it, or began after, did not. */
  *within(start: number, end: number): Generator<T> {
    for (let index = count(this.#byStart, (each) => each.start < end) - 1; index >= 0; index--) {
      const each = this.#byStart[index]
      if (each === undefined || each.start < start - this.#longest) return
      if (each.end >= start) yield each
    }
  }

  /** The latest start of one that had surely ended by then. */
  latestBefore(time: number): number {
    const ended = count(this.#byEnd, (each) => each.end < time)
    return this.#latestStart[ended - 1] ?? Number.NEGATIVE_INFINITY
  }
}

/** How many at the start of a sorted list are so. */
function count<T>(sorted: readonly T[], is: (item: T) => boolean): number {
  let [from, to] = [0, sorted.length]
  while (from < to) {
    const middle = (from + to) >> 1
    const item = sorted[middle]
    if (item !== undefined && is(item)) from = middle + 1
    else to = middle
  }
  return from
}

class History {
  readonly #placements = new Map<string, Times<Placement>>()
  /** Operations that remove a file, by name. */
  readonly #removals = new Map<string, Times<Timed>>()
  /** The same, by folder. */
  readonly #folders: readonly (readonly [string, Times<Timed>])[]

  /** Whether it is Ceph's; see {@link judge}. */
  readonly #onCeph: boolean

  constructor(operations: readonly Operation[], onCeph: boolean) {
    this.#onCeph = onCeph
    const placements = new Map<string, Placement[]>()
    const removals = new Map<string, Timed[]>()
    const folders = new Map<string, Timed[]>()
    for (const each of operations) {
      if (each.do === 'delete') add(removals, each.name, each)
      if (each.do === 'deletePrefix') add(folders, `${each.name}/`, each)
      if (each.do !== 'save' && each.do !== 'copy' && each.do !== 'move') continue
      if (typeof each.got !== 'string') continue
      add(placements, each.got, each)
      if (each.do === 'move') add(removals, each.from, each)
    }
    for (const [name, all] of placements) this.#placements.set(name, new Times(all))
    for (const [name, all] of removals) this.#removals.set(name, new Times(all))
    this.#folders = [...folders].map(([folder, all]) => [folder, new Times(all)] as const)
  }

  get names(): Iterable<string> {
    return this.#placements.keys()
  }

  placementsAt(name: string): readonly Placement[] {
    return this.#placements.get(name)?.inOrder ?? []
  }

  /** Of the file by itself. */
  #ownRemovalsOf(name: string): Times<Timed>[] {
    const own = this.#removals.get(name)
    return own === undefined ? [] : [own]
  }

  /** Those of the folders above it as well. */
  #removalsOf(name: string): Times<Timed>[] {
    const above = this.#folders.filter(([folder]) => name.startsWith(folder)).map(([, times]) => times)
    return [...this.#ownRemovalsOf(name), ...above]
  }

  /** Whether something may have taken the file away within a span. */
  mayBeRemoved(name: string, start: number, end: number): boolean {
    return this.#removalsOf(name).some((times) => !times.within(start, end).next().done)
  }

  /** Versions that may have been there at some moment of a span: none that was surely replaced or removed before. */
  *#live(name: string, start: number, end: number): Generator<Placement> {
    const placements = this.#placements.get(name)
    if (placements === undefined) return
    const removals = this.#onCeph ? this.#ownRemovalsOf(name) : this.#removalsOf(name)
    const enders = [placements, ...removals].map((times) => times.latestBefore(start))
    yield* placements.within(Math.max(...enders), end)
  }

  couldBeThere(name: string, { start, end }: Timed): boolean {
    return !this.#live(name, start, end).next().done
  }

  /** All versions that the file may have had at some moment of a span. */
  versionsAt(name: string, { start, end }: Timed, seen = new Set<Placement>()): Set<Version> {
    const versions = new Set<Version>()
    for (const placement of this.#live(name, start, end)) {
      if (seen.has(placement)) continue
      seen.add(placement)
      if ('version' in placement) versions.add(placement.version)
      // A copy carries what was at its source while it ran.
      else for (const version of this.versionsAt(placement.from, placement, seen)) versions.add(version)
    }
    return versions
  }

  /** False where a write had ended before the span, and nothing may have taken it away since it began. */
  couldBeAbsent(name: string, { start, end }: Timed): boolean {
    const written = this.#placements.get(name)?.latestBefore(start) ?? Number.NEGATIVE_INFINITY
    return written === Number.NEGATIVE_INFINITY || this.mayBeRemoved(name, written, end)
  }
}

function add<T>(to: Map<string, T[]>, name: string, item: T): void {
  const items = to.get(name)
  if (items === undefined) to.set(name, [item])
  else items.push(item)
}

/**
 * Everything that cannot be. `onCeph`: create-only copies claim their name by an empty file first, which other writes
 * find and `list` shows; and its listings may lose a name for good (`ceph-listing.ts` shows it), so that files may be
 * missing in them, and be left by a `deletePrefix`.
 */
export function judge(operations: readonly Operation[], onCeph = false): string[] {
  const history = new History(operations, onCeph)
  const faults: string[] = []
  for (const each of operations) {
    const fault = faultOf(each, history, onCeph)
    if (fault !== undefined) faults.push(`${fault}: ${JSON.stringify(each).slice(0, 300)}`)
  }
  for (const name of history.names) {
    const made = history.placementsAt(name).filter(({ createOnly }) => createOnly)
    for (const [index, second] of made.entries()) {
      const first = made[index - 1]
      if (first === undefined) continue
      if (!history.mayBeRemoved(name, first.start, Math.max(first.end, second.end))) {
        faults.push(`${name} was made twice: ${JSON.stringify([first, second])}`)
      }
    }
  }
  return faults
}

function faultOf(each: Operation, history: History, onCeph: boolean): string | undefined {
  switch (each.do) {
    case 'fail':
      return 'failed'
    case 'read':
      if (each.version === null) return absent(each.name, each, history)
      return history.versionsAt(each.name, each).has(each.version) ? undefined : 'read what was not there'
    case 'exists':
      if (!each.there) return absent(each.name, each, history)
      return history.couldBeThere(each.name, each) ? undefined : 'found what was not there'
    case 'save':
    case 'copy':
    case 'move':
      return faultOfWrite(each, history, onCeph)
    case 'list':
      return faultOfList(each, history, onCeph)
    default:
      return undefined
  }
}

function absent(name: string, span: Timed, history: History): string | undefined {
  return history.couldBeAbsent(name, span) ? undefined : `did not find ${name}, which was there all the time`
}

function faultOfWrite(each: Operation & Write, history: History, onCeph: boolean): string | undefined {
  const { name, got, createOnly } = each
  if (typeof got !== 'string' && got.refused === 'NotFound') {
    return 'from' in each ? absent(each.from, each, history) : 'a save that found nothing'
  }
  if (got !== name && !onCeph && !history.couldBeThere(name, each))
    return 'found the name taken, which it was not'
  if (typeof got === 'string' && createOnly && !history.couldBeAbsent(got, each)) return 'made what was there'
  if (typeof got === 'string' && 'from' in each && !history.couldBeThere(each.from, each)) {
    return 'copied what was not there'
  }
  return undefined
}

function faultOfList(
  each: Operation & { do: 'list' },
  history: History,
  onCeph: boolean,
): string | undefined {
  const names = each.files.map(([name]) => name)
  const sorted = [...names].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  if (new Set(names).size < names.length) return 'listed a name twice'
  if (sorted.some((name, index) => name !== names[index])) return 'listed out of order'
  for (const [name, size] of each.files) {
    if (onCeph && PLACEHOLDERS.includes(size)) continue
    if (![...history.versionsAt(name, each)].some((version) => sizeOf(version) === size)) {
      return `listed ${name}, which was not there in this size`
    }
  }
  if (onCeph) return undefined
  const listed = new Set(names)
  for (const name of history.names) {
    if (!name.startsWith(each.name === '' ? '' : `${each.name}/`) || listed.has(name)) continue
    if (!history.couldBeAbsent(name, each)) return `did not list ${name}, which was there all the time`
  }
  return undefined
}
