import type { Call } from './call.js'
import { S3Error } from './errors.js'
import { compareKeys } from './object-store.js'
import { uriEncodePath } from './percent.js'

interface PageRules<T> {
  readonly prefix: string
  readonly delimiter: string
  readonly limit: number
  /** Entries of earlier pages. */
  isBefore(entry: T): boolean
}

export interface Page<T> {
  readonly entries: readonly T[]
  readonly prefixes: readonly string[]
  /** The last thing on a page that is not the last: an entry or a common prefix. */
  readonly last: T | string | undefined
  readonly truncated: boolean
}

/** One page of sorted entries; a common prefix takes the place, and the room, of everything below it. */
export function pageOf<T extends { readonly key: string }>(
  sorted: readonly T[],
  rules: PageRules<T>,
): Page<T> {
  const { prefix, delimiter, limit } = rules
  const entries: T[] = []
  const prefixes: string[] = []
  let last: T | string | undefined
  for (let index = firstWith(sorted, prefix); index < sorted.length; index += 1) {
    const entry = sorted[index]
    if (entry === undefined || !entry.key.startsWith(prefix)) break
    if (rules.isBefore(entry)) continue
    const cut = delimiter === '' ? -1 : entry.key.indexOf(delimiter, prefix.length)
    const common = cut < 0 ? undefined : entry.key.slice(0, cut + delimiter.length)
    if (common !== undefined && common === prefixes.at(-1)) continue
    if (entries.length + prefixes.length === limit) return { entries, prefixes, last, truncated: limit > 0 }
    if (common === undefined) entries.push(entry)
    else prefixes.push(common)
    last = common ?? entry
  }
  return { entries, prefixes, last, truncated: false }
}

function firstWith(sorted: readonly { readonly key: string }[], prefix: string): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compareKeys(sorted[middle]?.key ?? '', prefix) < 0) low = middle + 1
    else high = middle
  }
  return low
}

/** What every listing of keys may be asked for. */
export function listingTerms(call: Call) {
  const encodingType = call.param('encoding-type')
  if (encodingType !== undefined && encodingType !== 'url') {
    throw new S3Error('InvalidArgument', 'Invalid Encoding Method specified in Request')
  }
  return {
    prefix: call.param('prefix') ?? '',
    delimiter: call.param('delimiter') ?? '',
    encodingType,
    // As AWS S3 does it: a space is `+`. Other servers send `%20`; a client has to read both.
    encode: (text: string) =>
      encodingType === 'url' ? uriEncodePath(Buffer.from(text)).replaceAll('%20', '+') : text,
  }
}

export function isAtOrBefore(key: string, marker: string): boolean {
  return marker !== '' && compareKeys(key, marker) <= 0
}
