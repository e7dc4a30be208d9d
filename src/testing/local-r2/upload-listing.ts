import { type Call, quoted, type Reply, wholeNumber, xmlReply } from './call.js'
import { isAtOrBefore, listingTerms, pageOf } from './listing-page.js'
import { openUpload } from './multipart.js'
import { sortByKey } from './object-store.js'
import { type XmlNode, xmlDocument } from './xml.js'

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
