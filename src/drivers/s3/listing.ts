import type { Entry } from '../../driver.js'
import { Problem, quote } from '../../errors.js'
import { compareNames } from '../../names.js'
import type { S3Connection } from './connection.js'
import { explainList } from './look.js'
import type { ListPage } from './object-api.js'

/** The keys that begin with `prefix`, a page of at most 1,000 at a time; with `shallow` one level of `/` only. */
export async function* listKeys(
  connection: S3Connection,
  prefix: string,
  shallow: boolean,
  signal: AbortSignal | undefined,
  after?: string,
): AsyncIterable<ListPage> {
  // Pages without a key are legal, but not for ever.
  const { retryTimeout } = connection.config
  let emptySince = Date.now()
  let token: string | undefined
  do {
    const request = token === undefined ? { prefix, shallow, after } : { prefix, shallow, token }
    const page: ListPage = await connection
      .run(signal, (call) => connection.api.list(request, call))
      .catch((error: unknown) => {
        throw explainList(error)
      })
    for (const { key } of page.keys) checkKey(key, prefix)
    for (const key of page.prefixes) checkKey(key, prefix)
    if (page.keys.length + page.prefixes.length > 0) {
      yield page
      emptySince = Date.now()
    } else if (Date.now() - emptySince > retryTimeout * 10) {
      throw new Problem('Unavailable', 'the server goes on with its list, but nothing is in it: try again')
    }
    const next = page.truncated ? page.next : undefined
    if (page.truncated && (next === undefined || next === token)) {
      throw new Problem('Corrupt', 'the server does not tell where its list goes on')
    }
    token = next
  } while (token !== undefined)
}

/**
 * A key that was not asked for must not be taken for a file, and least of all be deleted: an empty one is the bucket.
 * R2 lists keys in the form they were written in, and matches them in NFC.
 */
export function checkKey(key: string, prefix: string): void {
  if (key === '' || !(key.startsWith(prefix) || key.normalize('NFC').startsWith(prefix))) {
    throw new Problem('Corrupt', `the server lists ${quote(key)}, which was not asked for`)
  }
}

/** A page of one level as entries of a storage, in byte order: a server lists keys and prefixes apart. */
export function toEntries({ keys, prefixes }: ListPage): Entry[] {
  const entries: (readonly [key: string, Entry])[] = [
    ...keys.map(({ key }) => [key, { kind: 'file', name: key }] as const),
    ...prefixes.map((prefix) => [prefix, { kind: 'directory', name: prefix.slice(0, -1) }] as const),
  ]
  return entries.sort(([a], [b]) => compareNames(a, b)).map(([, entry]) => entry)
}
