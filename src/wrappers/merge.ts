import type { Entry } from '../driver.js'
import { compareNames } from '../names.js'

/** An entry of a listing. A file of any depth has no `kind`. */
interface Listed {
  readonly kind?: Entry['kind']
  readonly name: string
}

/** Some entries of two listings, in order. */
export interface Merged<T> {
  readonly entries: readonly T[]
  /** Entries among them that both listings have. */
  readonly inBoth: number
}

/**
 * Two sorted listings as one; an entry of both is the newer one's. A part of the older listing is always read before
 * the same part of the newer one. Otherwise a file that is copied over and then removed would be in neither.
 *
 * `newer` begins anew for each part, behind `after`. `partSize` entries of the older listing are held at a time.
 */
export async function* merge<T extends Listed>(
  older: AsyncIterable<readonly T[]>,
  newer: (after: string | undefined) => AsyncIterable<readonly T[]>,
  partSize: number,
): AsyncIterable<Merged<T>> {
  let after: string | undefined
  for await (const { entries, end } of partsOf(older, partSize)) {
    yield* mergePart(newer(after), entries, after, end)
    after = end ?? after
  }
}

interface Part<T> {
  readonly entries: readonly T[]
  /** The key of the last entry. Undefined for the last part, which ends where the listing ends. */
  readonly end: string | undefined
}

async function* partsOf<T extends Listed>(
  batches: AsyncIterable<readonly T[]>,
  size: number,
): AsyncIterable<Part<T>> {
  let entries: T[] = []
  for await (const batch of batches) {
    for (const entry of batch) {
      const last = entries.length >= size ? entries.at(-1) : undefined
      if (last) {
        yield { entries, end: keyOf(last) }
        entries = []
      }
      entries.push(entry)
    }
  }
  yield { entries, end: undefined }
}

/** Merges a part of the older listing with the newer entries behind `after` and up to `end`. */
async function* mergePart<T extends Listed>(
  newer: AsyncIterable<readonly T[]>,
  older: readonly T[],
  after: string | undefined,
  end: string | undefined,
): AsyncIterable<Merged<T>> {
  let index = 0
  for await (const batch of newer) {
    const entries: T[] = []
    let inBoth = 0
    let isPast = false
    for (const entry of batch) {
      const key = keyOf(entry)
      if (after !== undefined && compareNames(key, after) <= 0) continue
      isPast = end !== undefined && compareNames(key, end) > 0
      if (isPast) break
      for (let next = older[index]; next && compareNames(keyOf(next), key) < 0; next = older[++index]) {
        entries.push(next)
      }
      const next = older[index]
      if (next && keyOf(next) === key) {
        index += 1
        inBoth += 1
      }
      entries.push(entry)
    }
    if (entries.length > 0) yield { entries, inBoth }
    if (isPast) break
  }
  if (index < older.length) yield { entries: older.slice(index), inBoth: 0 }
}

/** Listings are in the order of these: a folder sorts as the names in it begin. */
function keyOf({ kind, name }: Listed): string {
  return kind === 'directory' ? `${name}/` : name
}
