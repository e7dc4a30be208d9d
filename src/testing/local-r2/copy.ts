import { type Call, commitObject, existing, quoted, type Reply, xmlReply } from './call.js'
import {
  type Conditions,
  conditionsOf,
  isNotModified,
  noConditions,
  preconditionFailed,
} from './conditions.js'
import { S3Error } from './errors.js'
import { attributesOf, mergedAttributes } from './metadata.js'
import type { Attributes, StoredObject } from './object-store.js'
import { checkedKey, queryBytes } from './request.js'
import { xmlDocument } from './xml.js'

const copyLimit = 5 * 1024 ** 3

export async function copyObject(call: Call): Promise<Reply> {
  const source = copySource(call)
  if (isNotModified(conditionsOf(call.request, 'x-amz-copy-source-'), source)) throw preconditionFailed()
  if (source.content.size > copyLimit) {
    throw new S3Error(
      'EntityTooLarge',
      `The copy source is larger than the maximum allowable size: ${copyLimit}`,
    )
  }
  const attributes = attributesAfterCopy(call, source)
  await call.receive()
  await call.readyToCommit()
  // The ETag of a multipart source is not that of its copy: a copy is one piece.
  const content = source.content.range(0, source.content.size)
  const object = { ...attributes, key: call.key, content, etag: content.md5, lastModifiedMs: call.nowMs() }
  commitObject(call, object, destinationConditions(call))
  return xmlReply(
    xmlDocument('CopyObjectResult', [
      ['ETag', quoted(object.etag)],
      ['LastModified', new Date(object.lastModifiedMs).toISOString()],
    ]),
  )
}

/**
 * The object that x-amz-copy-source names: `bucket/key`, percent-encoded, with or without a slash in front. A `+` is a
 * space unless it is encoded.
 */
export function copySource(call: Call): StoredObject {
  const header = call.request.header('x-amz-copy-source') ?? ''
  // The text is latin1, one character per byte: the slash that ends the bucket may be encoded as well.
  const source = /^[\x21-\x3e\x40-\x7e]+$/.test(header) ? queryBytes(header).toString('latin1') : ''
  const [, bucketName, key] = /^\/?([^/]+)\/(.+)$/s.exec(source) ?? []
  if (bucketName === undefined || key === undefined) {
    throw new S3Error(
      'InvalidArgument',
      'Copy Source must mention the source bucket and key: /sourcebucket/sourcekey',
    )
  }
  const bucket = call.buckets.get(bucketName)
  if (bucket === undefined) throw new S3Error('NoSuchBucket', 'The specified bucket does not exist.')
  return existing(bucket, checkedKey(Buffer.from(key, 'latin1')))
}

function attributesAfterCopy(call: Call, source: StoredObject): Attributes {
  const directive = call.request.header('x-amz-metadata-directive') ?? 'COPY'
  if (directive === 'REPLACE') return attributesOf(call)
  if (directive === 'MERGE') return mergedAttributes(call, source)
  if (directive !== 'COPY') throw new S3Error('InvalidArgument', `Unknown metadata directive '${directive}'`)
  if (call.bucket.get(call.key) === source) {
    throw new S3Error(
      'InvalidRequest',
      "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata.",
    )
  }
  const { headers, metadata, storageClass } = source
  return { headers, metadata, storageClass }
}

function destinationConditions(call: Call): Conditions {
  if (!call.behaviour.conditionalCopyHeader) return noConditions
  return conditionsOf(call.request, 'cf-copy-destination-')
}
