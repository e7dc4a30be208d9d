import type { Entry } from '../driver.js'
import { compareNames } from '../names.js'

/** Some entries of the two listings. */
export interface Merged {
  readonly entries: readonly Entry[]
  /** Files among them that both storages have. */
  readonly inBoth: number
}

/** Entries of the older listing that are held at a time: a page of S3, since the newer listing begins anew for each part. */
const PART = 1000

/**
 * Two sorted listings as one, in constant memory. An entry of both is the newer one's. A part of the older listing is
 * always read before the same part of the newer one: otherwise a file that is copied over and then removed meanwhile
 * would be in neither. `newer` lists what sorts behind `after`.
 */
export async function* mergeListings(
  newer: (after: string | undefined) => AsyncIterable<readonly Entry[]>,
  older: AsyncIterable<readonly Entry[]>,
): AsyncIterable<Merged> {
  let after: string | undefined
  for await (const { entries, end } of partsOf(older)) {
    yield* mergePart(newer(after), entries, after, end)
    if (end !== undefined) after = end
  }
}

interface Part {
  readonly entries: readonly Entry[]
  /** The key of the last entry. Undefined for the last part, which ends where the listing ends. */
  readonly end: string | undefined
}

async function* partsOf(batches: AsyncIterable<readonly Entry[]>): AsyncIterable<Part> {
  let entries: Entry[] = []
  for await (const batch of batches) {
    for (const entry of batch) {
      const last = entries.length === PART ? entries.at(-1) : undefined
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
async function* mergePart(
  newer: AsyncIterable<readonly Entry[]>,
  older: readonly Entry[],
  after: string | undefined,
  end: string | undefined,
): AsyncIterable<Merged> {
  let index = 0
  for await (const batch of newer) {
    const entries: Entry[] = []
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
function keyOf({ kind, name }: Entry): string {
  return kind === 'directory' ? `${name}/` : name
}
