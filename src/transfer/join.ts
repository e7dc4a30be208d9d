import { compareNames, isReserved } from '../names.js'
import type { ListedFile } from '../types.js'
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

/** How two listings are joined. */
export interface JoinOptions {
  /** Refuse a listing that is not in UTF-8 byte order. Otherwise a file of both sides may show as one of each. */
  readonly strict: boolean
  readonly signal: AbortSignal
  /** Called with a name that the naming rule refuses. The storage's own files are left out. */
  onInvalidName(name: string, place: 'source' | 'target'): void
}

/** Both listings as one, in order, each read once. Memory does not grow with the number of files. */
export async function* join(plan: Plan, options: JoinOptions): AsyncGenerator<Pair, void, undefined> {
  const { from, to } = plan
  const ours = new Side(plan, 'source', options)
  const theirs = new Side(plan, 'target', options)
  try {
    await Promise.all([ours.advance(), theirs.advance()])
    for (;;) {
      const [a, b] = [ours.name, theirs.name]
      if (a === undefined && b === undefined) return
      const order = a === undefined ? 1 : b === undefined ? -1 : compareNames(a, b)
      const relative = (order > 0 ? b : a) ?? ''
      yield {
        name: from === '' ? relative : `${from}/${relative}`,
        targetName: to === '' ? relative : `${to}/${relative}`,
        ours: order <= 0 ? ours.file : undefined,
        theirs: order >= 0 ? theirs.file : undefined,
      }
      if (order <= 0) await ours.advance()
      if (order >= 0) await theirs.advance()
    }
  } finally {
    await Promise.all([ours.leave(), theirs.leave()])
  }
}

/** One listing, and where it is read. */
class Side {
  /** Relative to the folder. Undefined behind the last file. */
  name: string | undefined
  file: ListedFile | undefined
  readonly #plan: Plan
  readonly #place: 'source' | 'target'
  readonly #strict: boolean
  readonly #files: AsyncIterator<ListedFile>
  readonly #skip: number

  constructor(plan: Plan, place: 'source' | 'target', { strict, signal, onInvalidName }: JoinOptions) {
    const folder = place === 'source' ? plan.from : plan.to
    this.#plan = plan
    this.#place = place
    this.#strict = strict
    this.#skip = folder === '' ? 0 : folder.length + 1
    this.#files = plan[place]
      .list(folder, {
        signal,
        onInvalidName: (name) => {
          if (!name.split('/').some(isReserved)) onInvalidName(name, place)
        },
      })
      [Symbol.asyncIterator]()
  }

  async advance(): Promise<void> {
    const { done, value } = await this.#files.next()
    const before = this.name
    this.file = done ? undefined : value
    this.name = done ? undefined : value.name.slice(this.#skip)
    if (!this.#strict || before === undefined || this.name === undefined) return
    if (compareNames(before, this.name) >= 0) {
      const { operation } = this.#plan
      throw corrupt(operation, value.name, `the ${this.#place} lists this name out of order or twice`)
    }
  }

  async leave(): Promise<void> {
    await this.#files.return?.()
  }
}
