import type { ListObjectsV2CommandOutput } from '@aws-sdk/client-s3'
import type { Entry } from '../../driver.js'
import { Problem, quote } from '../../errors.js'
import { compareNames } from '../../names.js'
import type { S3Connection } from './connection.js'
import { expectAnswer } from './failures.js'

export interface ListedKey {
  readonly key: string
  readonly size: number
  readonly lastModified: Date
  readonly etag: string
}

export interface KeyPage {
  readonly keys: readonly ListedKey[]
  /** Common prefixes, where a delimiter asked for them. */
  readonly prefixes: readonly string[]
}

/** The keys that begin with `prefix`, a page of at most 1,000 at a time; with `shallow` one level of `/` only. */
export async function* listKeys(
  connection: S3Connection,
  prefix: string,
  shallow: boolean,
  signal: AbortSignal | undefined,
): AsyncIterable<KeyPage> {
  // Pages without a key are legal, but not for ever.
  const { retryTimeout } = connection.config
  let emptySince = Date.now()
  let token: string | undefined
  do {
    const input = {
      Bucket: connection.config.bucket,
      Prefix: prefix,
      EncodingType: 'url' as const, // XML cannot carry every character of a key.
      ...(shallow && { Delimiter: '/' }),
      ...(token !== undefined && { ContinuationToken: token }),
    }
    // The SDK takes any answer of status 200 for an empty list, a captive portal's page as well.
    const page: ListObjectsV2CommandOutput = await connection.run(signal, async ({ send, sdk }) =>
      expectAnswer(await send(new sdk.ListObjectsV2Command(input)), 'KeyCount', 'Name'),
    )
    const decode = keyDecoder(page)
    const keys = (page.Contents ?? []).map(
      ({ Key = '', Size = 0, LastModified = new Date(0), ETag = '' }) => ({
        key: decode(Key),
        size: Size,
        // Headers have whole seconds only, and a file is to have one time.
        lastModified: new Date(Math.floor(LastModified.getTime() / 1000) * 1000),
        etag: ETag,
      }),
    )
    const prefixes = (page.CommonPrefixes ?? []).map(({ Prefix = '' }) => decode(Prefix))
    for (const key of [...keys.map(({ key }) => key), ...prefixes]) checkKey(key, prefix)
    if (keys.length + prefixes.length > 0) {
      yield { keys, prefixes }
      emptySince = Date.now()
    } else if (Date.now() - emptySince > retryTimeout * 10) {
      throw new Problem('Unavailable', 'the server goes on with its list, but nothing is in it')
    }
    const next = page.IsTruncated ? page.NextContinuationToken : undefined
    if (page.IsTruncated && (next === undefined || next === token)) {
      throw new Problem('Corrupt', 'the server does not tell where its list goes on')
    }
    token = next
  } while (token !== undefined)
}

/**
 * What was not asked for must not be taken for a file, and least of all be deleted: an empty key would be the bucket.
 * R2 lists keys in the form they were written in, and matches them in NFC.
 */
export function checkKey(key: string, prefix: string): void {
  if (key === '' || !(key.startsWith(prefix) || key.normalize('NFC').startsWith(prefix))) {
    throw new Problem('Corrupt', `the server lists ${quote(key)}, which was not asked for`)
  }
}

/** What makes keys of a page's text: the SDK leaves `encoding-type=url` to its callers, and some servers ignore it. */
export function keyDecoder(page: { readonly EncodingType?: string | undefined }): (text: string) => string {
  return page.EncodingType === 'url' ? decodeKey : (text) => text
}

function decodeKey(text: string): string {
  if (!/[%+]/.test(text)) return text
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch (cause) {
    throw new Problem('Corrupt', 'the server lists a key that is not encoded as it was asked for', { cause })
  }
}

/** A page of one level as entries of a storage, in byte order: a server lists keys and prefixes apart. */
export function toEntries({ keys, prefixes }: KeyPage): Entry[] {
  const entries: (readonly [key: string, Entry])[] = [
    ...keys.map(({ key }) => [key, { kind: 'file', name: key }] as const),
    ...prefixes.map((prefix) => [prefix, { kind: 'directory', name: prefix.slice(0, -1) }] as const),
  ]
  return entries.sort(([a], [b]) => compareNames(a, b)).map(([, entry]) => entry)
}
