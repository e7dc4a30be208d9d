import { listed } from '../listed.js'
import { compareNames, isReserved } from '../names.js'
import { driverBehind, type Storage } from '../storage.js'
import type { ListedFile, ListOptions } from '../types.js'
import { corrupt } from './failures.js'
import type { Plan } from './plan.js'

/** A name, and the files that the two sides have there. One of them may be missing. */
export interface Pair {
  /** The name in the source, or the name that a file of the target would have there. */
  readonly name: string
  readonly targetName: string
  readonly ours: ListedFile | undefined
  readonly theirs: ListedFile | undefined
}

/** A name that the source has a file of. */
export type SourcePair = Pair & { readonly ours: ListedFile }

/** Whether the source has a file of this name. */
export function isOfSource(pair: Pair): pair is SourcePair {
  return pair.ours !== undefined
}

/** How two listings are joined. */
export interface JoinOptions {
  /** Refuse a listing that is not in UTF-8 byte order. Otherwise a file of both sides may show as one of each. */
  readonly strict: boolean
  readonly signal: AbortSignal
  /** Called with a name that the naming rule refuses. The storage's own files are left out. */
  onInvalidName(name: string, place: 'source' | 'target'): void
}

/**
 * Both listings as one, in order and in batches, each read once. Memory does not grow with the number of files.
 */
export async function* join(plan: Plan, options: JoinOptions): AsyncIterable<readonly Pair[]> {
  const ours = new Side(plan, 'source', options)
  const theirs = new Side(plan, 'target', options)
  try {
    await Promise.all([ours.fill(), theirs.fill()])
    while (ours.name !== undefined || theirs.name !== undefined) {
      const pairs: Pair[] = []
      while (!ours.isSpent && !theirs.isSpent) pairs.push(next(plan, ours, theirs))
      yield pairs
      if (ours.isSpent) await ours.fill()
      if (theirs.isSpent) await theirs.fill()
    }
  } finally {
    await Promise.all([ours.leave(), theirs.leave()])
  }
}

/** The pair of the first name of the two sides, which go on. */
function next({ from, to }: Plan, ours: Side, theirs: Side): Pair {
  const [a, b] = [ours.name, theirs.name]
  const order = a === undefined ? 1 : b === undefined ? -1 : compareNames(a, b)
  const relative = (order > 0 ? b : a) ?? ''
  const pair = {
    name: from === '' ? relative : `${from}/${relative}`,
    targetName: to === '' ? relative : `${to}/${relative}`,
    ours: order <= 0 ? ours.file : undefined,
    theirs: order >= 0 ? theirs.file : undefined,
  }
  if (order <= 0) ours.advance()
  if (order >= 0) theirs.advance()
  return pair
}

/** One listing, and where it is read. */
class Side {
  /** Relative to the folder. Undefined behind the last file. */
  name: string | undefined
  file: ListedFile | undefined
  /** Whether the batch is at its end, and {@link fill} has to come before the next file. */
  isSpent = true
  readonly #plan: Plan
  readonly #place: 'source' | 'target'
  readonly #strict: boolean
  readonly #batches: AsyncIterator<readonly ListedFile[]>
  readonly #skip: number
  #batch: readonly ListedFile[] = []
  #next = 0

  constructor(plan: Plan, place: 'source' | 'target', { strict, signal, onInvalidName }: JoinOptions) {
    const folder = place === 'source' ? plan.from : plan.to
    this.#plan = plan
    this.#place = place
    this.#strict = strict
    this.#skip = folder === '' ? 0 : folder.length + 1
    const options = {
      signal,
      onInvalidName: (name: string) => {
        if (!name.split('/').some(isReserved)) onInvalidName(name, place)
      },
    }
    this.#batches = batchesOf(plan[place], folder, options)[Symbol.asyncIterator]()
  }

  /** Goes on to the next file, if there is one in the batch. */
  advance(): void {
    const file = this.#batch[this.#next++]
    this.isSpent = file === undefined
    if (file === undefined) return
    const before = this.name
    this.file = file
    this.name = this.#skip === 0 ? file.name : file.name.slice(this.#skip)
    if (this.#strict && before !== undefined && compareNames(before, this.name) >= 0) {
      const { operation } = this.#plan
      throw corrupt(operation, file.name, `the ${this.#place} lists this name out of order or twice`)
    }
  }

  /** Reads the listing on. */
  async fill(): Promise<void> {
    do {
      const { done, value } = await this.#batches.next()
      this.#batch = done ? [] : value
      this.#next = 0
      if (done) {
        this.isSpent = false
        this.file = undefined
        this.name = undefined
        return
      }
      this.advance()
    } while (this.isSpent)
  }

  async leave(): Promise<void> {
    await this.#batches.return?.()
  }
}

/** A listing in batches. A subclass may override `list`; then its own listing is read. */
function batchesOf(
  storage: Storage,
  folder: string,
  options: ListOptions,
): AsyncIterable<readonly ListedFile[]> {
  const driver = driverBehind(storage, 'list')
  return driver ? listed(driver, folder, options) : alone(storage.list(folder, options))
}

async function* alone(files: AsyncIterable<ListedFile>): AsyncIterable<readonly ListedFile[]> {
  for await (const file of files) yield [file]
}
