import type { ListObjectsV2CommandOutput } from '@aws-sdk/client-s3'
import { Problem } from '../../errors.js'
import type { Entry } from '../../storage.js'
import type { S3Connection } from './connection.js'
import { NoS3Answer } from './failures.js'

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
  let token: string | undefined
  do {
    const input = {
      Bucket: connection.config.bucket,
      Prefix: prefix,
      EncodingType: 'url' as const, // XML cannot carry every character of a key.
      ...(shallow && { Delimiter: '/' }),
      ...(token !== undefined && { ContinuationToken: token }),
    }
    const page = await connection.run(signal, ({ send, sdk }) =>
      send(new sdk.ListObjectsV2Command(input)).then(checkPage),
    )
    yield {
      keys: (page.Contents ?? []).map(({ Key = '', Size = 0, LastModified = new Date(0), ETag = '' }) => ({
        key: decode(Key),
        size: Size,
        // Headers have whole seconds only, and a file is to have one time.
        lastModified: new Date(Math.floor(LastModified.getTime() / 1000) * 1000),
        etag: ETag,
      })),
      prefixes: (page.CommonPrefixes ?? []).map(({ Prefix = '' }) => decode(Prefix)),
    }
    const next = page.IsTruncated ? page.NextContinuationToken : undefined
    if (page.IsTruncated && (next === undefined || next === token)) {
      throw new Problem('Corrupt', 'the server does not tell where its list goes on')
    }
    token = next
  } while (token !== undefined)
}

/** The SDK takes any answer of status 200 for an empty list, a captive portal's page as well. A mock has no status. */
function checkPage(page: ListObjectsV2CommandOutput): ListObjectsV2CommandOutput {
  const { KeyCount, Name, $metadata } = page
  if (KeyCount === undefined && Name === undefined && $metadata?.httpStatusCode !== undefined) {
    throw new NoS3Answer()
  }
  return page
}

/** The SDK leaves `encoding-type=url` to its callers. */
function decode(text: string): string {
  return decodeURIComponent(text.replaceAll('+', ' '))
}

/** A page as entries of a storage, in byte order. */
export function toEntries(page: KeyPage, prefix: string): Entry[] {
  const entries: Entry[] = page.keys.map(({ key, ...rest }) => ({
    kind: 'file',
    name: key.slice(prefix.length),
    ...rest,
  }))
  for (const folder of page.prefixes)
    entries.push({ kind: 'directory', name: folder.slice(prefix.length, -1) })
  return entries
}
