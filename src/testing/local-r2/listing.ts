import { type Call, quoted, type Reply, wholeNumber, xmlReply } from './call.js'
import { S3Error } from './errors.js'
import { openUpload } from './multipart.js'
import { compareKeys, sortByKey } from './object-store.js'
import { uriEncodePath } from './percent.js'
import { type XmlNode, xmlDocument } from './xml.js'

interface PageRules<T> {
  readonly prefix: string
  readonly delimiter: string
  readonly limit: number
  /** Entries of earlier pages. */
  isBefore(entry: T): boolean
}

interface Page<T> {
  readonly entries: readonly T[]
  readonly prefixes: readonly string[]
  /** The last thing on a page that is not the last: an entry or a common prefix. */
  readonly last: T | string | undefined
  readonly truncated: boolean
}

/** One page of sorted entries; a common prefix takes the place, and the room, of everything below it. */
function pageOf<T extends { readonly key: string }>(sorted: readonly T[], rules: PageRules<T>): Page<T> {
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

export function listObjectsV2(call: Call): Reply {
  if (call.param('list-type') !== '2') throw new S3Error('InvalidArgument', 'list-type must be 2')
  const token = call.param('continuation-token')
  const startAfter = call.param('start-after')
  const { prefix, delimiter, encode, encodingType } = listingTerms(call)
  const limit = wholeNumber(call.param('max-keys'), 'max-keys', 0, 1000) ?? 1000
  const after = token === undefined ? { last: startAfter ?? '', isPrefix: false } : readToken(token)
  const page = pageOf(call.bucket.sorted(), {
    prefix,
    delimiter,
    limit,
    isBefore: ({ key }) => isAtOrBefore(key, after.last) || (after.isPrefix && key.startsWith(after.last)),
  })
  const withOwner = call.param('fetch-owner') === 'true'
  return xmlReply(
    xmlDocument('ListBucketResult', [
      ['Name', call.bucket.name],
      ['Prefix', encode(prefix)],
      delimiter === '' ? undefined : ['Delimiter', encode(delimiter)],
      ['MaxKeys', limit],
      encodingType === undefined ? undefined : ['EncodingType', encodingType],
      ['KeyCount', page.entries.length + page.prefixes.length],
      ['IsTruncated', page.truncated],
      token === undefined ? undefined : ['ContinuationToken', token],
      page.truncated ? ['NextContinuationToken', writeToken(page.last)] : undefined,
      startAfter === undefined ? undefined : ['StartAfter', encode(startAfter)],
      ...page.entries.map(
        (object): XmlNode => [
          'Contents',
          [
            ['Key', encode(object.key)],
            ['LastModified', new Date(object.lastModifiedMs).toISOString()],
            ['ETag', quoted(object.etag)],
            ['Size', object.content.size],
            ['StorageClass', object.storageClass],
            withOwner ? ['Owner', [['ID', 'owner'], ['DisplayName', 'owner']]] : undefined, // biome-ignore format: short
          ],
        ],
      ),
      ...page.prefixes.map((common): XmlNode => ['CommonPrefixes', [['Prefix', encode(common)]]]),
    ]),
  )
}

export function listMultipartUploads(call: Call): Reply {
  const { prefix, delimiter, encode, encodingType } = listingTerms(call)
  const keyMarker = call.param('key-marker') ?? ''
  const idMarker = call.param('upload-id-marker') ?? ''
  const limit = wholeNumber(call.param('max-uploads'), 'max-uploads', 1, 1000) ?? 1000
  // Uploads of one key come in the order they were begun, which is that of the map; the sort is stable.
  const sorted = sortByKey([...call.bucket.uploads.values()])
  const marked = sorted.findIndex(({ key, uploadId }) => key === keyMarker && uploadId === idMarker)
  const earlier = new Set(sorted.slice(0, marked + 1))
  const page = pageOf(sorted, {
    prefix,
    delimiter,
    limit,
    isBefore: (upload) => {
      if (delimiter !== '' && keyMarker.endsWith(delimiter) && upload.key.startsWith(keyMarker)) return true
      return marked < 0 ? isAtOrBefore(upload.key, keyMarker) : earlier.has(upload)
    },
  })
  const last = typeof page.last === 'string' ? { key: page.last, uploadId: '' } : page.last
  return xmlReply(
    xmlDocument('ListMultipartUploadsResult', [
      ['Bucket', call.bucket.name],
      ['KeyMarker', encode(keyMarker)],
      ['UploadIdMarker', idMarker],
      page.truncated ? ['NextKeyMarker', encode(last?.key ?? '')] : undefined,
      page.truncated ? ['NextUploadIdMarker', last?.uploadId ?? ''] : undefined,
      ['Prefix', encode(prefix)],
      delimiter === '' ? undefined : ['Delimiter', encode(delimiter)],
      ['MaxUploads', limit],
      encodingType === undefined ? undefined : ['EncodingType', encodingType],
      ['IsTruncated', page.truncated],
      ...page.entries.map(
        (upload): XmlNode => [
          'Upload',
          [
            ['Key', encode(upload.key)],
            ['UploadId', upload.uploadId],
            ['Initiated', new Date(upload.initiatedMs).toISOString()],
            ['StorageClass', upload.storageClass],
          ],
        ],
      ),
      ...page.prefixes.map((common): XmlNode => ['CommonPrefixes', [['Prefix', encode(common)]]]),
    ]),
  )
}

export function listParts(call: Call): Reply {
  const upload = openUpload(call)
  const limit = wholeNumber(call.param('max-parts'), 'max-parts', 1, 1000) ?? 1000
  const marker = wholeNumber(call.param('part-number-marker'), 'part-number-marker', 0, 10_000) ?? 0
  const rest = [...upload.parts].filter(([number]) => number > marker).sort(([a], [b]) => a - b)
  const parts = rest.slice(0, limit)
  const truncated = rest.length > parts.length
  return xmlReply(
    xmlDocument('ListPartsResult', [
      ['Bucket', call.bucket.name],
      ['Key', call.key],
      ['UploadId', upload.uploadId],
      ['PartNumberMarker', marker],
      truncated ? ['NextPartNumberMarker', parts.at(-1)?.[0] ?? 0] : undefined,
      ['MaxParts', limit],
      ['IsTruncated', truncated],
      ...parts.map(
        ([number, { content, lastModifiedMs }]): XmlNode => [
          'Part',
          [
            ['PartNumber', number],
            ['LastModified', new Date(lastModifiedMs).toISOString()],
            ['ETag', quoted(content.md5)],
            ['Size', content.size],
          ],
        ],
      ),
    ]),
  )
}

function listingTerms(call: Call) {
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

function isAtOrBefore(key: string, marker: string): boolean {
  return marker !== '' && compareKeys(key, marker) <= 0
}

function writeToken(last: { readonly key: string } | string | undefined): string {
  const text = typeof last === 'string' ? `p${last}` : `k${last?.key ?? ''}`
  return Buffer.from(text).toString('base64')
}

function readToken(token: string): { last: string; isPrefix: boolean } {
  const text = Buffer.from(token, 'base64').toString('utf8')
  if (!/^[kp]./su.test(text))
    throw new S3Error('InvalidArgument', 'The continuation token provided is incorrect')
  return { last: text.slice(1), isPrefix: text.startsWith('p') }
}
