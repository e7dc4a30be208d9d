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

/** The object that x-amz-copy-source names. R2 wants the leading slash; `+` is a space unless it is encoded. */
export function copySource(call: Call): StoredObject {
  const header = call.request.header('x-amz-copy-source') ?? ''
  const [, bucketName, key] = /^\/([^/?]+)\/([^?]+)$/.exec(header) ?? []
  if (bucketName === undefined || key === undefined || !/^[\x21-\x7e]*$/.test(header)) {
    throw new S3Error(
      'InvalidArgument',
      'Copy Source must mention the source bucket and key: /sourcebucket/sourcekey',
    )
  }
  const bucket = call.buckets.get(bucketName)
  if (bucket === undefined) throw new S3Error('NoSuchBucket', 'The specified bucket does not exist.')
  return existing(bucket, checkedKey(queryBytes(key)))
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
