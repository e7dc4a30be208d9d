import { type Call, quoted, type Reply, xmlReply } from './call.js'
import { S3Error } from './errors.js'
import { isAtOrBefore, listingTerms, type Page, pageOf } from './listing-page.js'
import type { StoredObject } from './object-store.js'
import { type XmlNode, xmlDocument } from './xml.js'

const pageLimit = 1000

export function listObjectsV2(call: Call): Reply {
  const version = call.param('list-type')
  if (version !== '2') throw new S3Error('NotImplemented', `ListObjectsV${version} not implemented`)
  const token = call.param('continuation-token')
  const startAfter = call.param('start-after')
  const after = token === undefined ? { last: startAfter ?? '', isPrefix: false } : readToken(token)
  const page = pageAfter(call, after)
  const { encode } = listingTerms(call)
  return listing(call, page, call.param('fetch-owner') === 'true', [
    ['KeyCount', page.entries.length + page.prefixes.length],
    token === undefined ? undefined : ['ContinuationToken', token],
    page.truncated ? ['NextContinuationToken', writeToken(page.last)] : undefined,
    startAfter === undefined ? undefined : ['StartAfter', encode(startAfter)],
  ])
}

/** Version 1: a page goes on after a key or a common prefix, which are given in plain text. */
export function listObjects(call: Call): Reply {
  if (call.param('continuation-token') !== undefined) {
    throw new S3Error('InvalidArgument', 'continuation-token not supported in ListObjects')
  }
  const { delimiter, encode } = listingTerms(call)
  const marker = call.param('marker') ?? ''
  const isPrefix = delimiter !== '' && marker.endsWith(delimiter)
  const page = pageAfter(call, { last: marker, isPrefix })
  const last = typeof page.last === 'string' ? page.last : page.last?.key
  return listing(call, page, false, [
    ['Marker', encode(marker)],
    page.truncated ? ['NextMarker', encode(last ?? '')] : undefined,
  ])
}

function pageAfter(call: Call, after: { last: string; isPrefix: boolean }): Page<StoredObject> {
  const { prefix, delimiter } = listingTerms(call)
  return pageOf(call.bucket.sorted(), {
    prefix,
    delimiter,
    limit: Math.min(maxKeys(call), pageLimit),
    isBefore: ({ key }) => isAtOrBefore(key, after.last) || (after.isPrefix && key.startsWith(after.last)),
  })
}

function maxKeys(call: Call): number {
  const value = call.param('max-keys') ?? String(pageLimit)
  if (/^\d{1,15}$/.test(value)) return Number(value)
  throw new S3Error('InvalidMaxKeys', 'MaxKeys params must be positive integer <= 1000.')
}

function listing(call: Call, page: Page<StoredObject>, withOwner: boolean, more: readonly XmlNode[]): Reply {
  const { prefix, delimiter, encode, encodingType } = listingTerms(call)
  return xmlReply(
    xmlDocument('ListBucketResult', [
      ['Name', call.bucket.name],
      ['Prefix', encode(prefix)],
      delimiter === '' ? undefined : ['Delimiter', encode(delimiter)],
      ['MaxKeys', maxKeys(call)],
      encodingType === undefined ? undefined : ['EncodingType', encodingType],
      ['IsTruncated', page.truncated],
      ...more,
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
