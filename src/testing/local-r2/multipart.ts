import { declaredLength } from './body.js'
import {
  type Call,
  commitObject,
  objectLimit,
  quoted,
  type Reply,
  singleUploadLimit,
  smallestPart,
  wholeNumber,
  xmlReply,
} from './call.js'
import { checkWriteConditions, conditionsOf } from './conditions.js'
import { Content } from './content.js'
import { copySource } from './copy.js'
import { S3Error } from './errors.js'
import { attributesOf } from './metadata.js'
import { multipartEtag, type Upload } from './object-store.js'
import { childText, malformed, parseXml, xmlDocument } from './xml.js'

export async function createMultipartUpload(call: Call): Promise<Reply> {
  const attributes = attributesOf(call)
  await call.receive()
  await call.readyToCommit()
  checkWriteConditions(conditionsOf(call.request), call.bucket.get(call.key))
  const { uploadId } = call.bucket.open(call.key, attributes, call.nowMs())
  return xmlReply(
    xmlDocument('InitiateMultipartUploadResult', [
      ['Bucket', call.bucket.name],
      ['Key', call.key],
      ['UploadId', uploadId],
    ]),
  )
}

export async function uploadPart(call: Call): Promise<Reply> {
  const upload = openUpload(call)
  const number = partNumber(call.param('partNumber'))
  if (declaredLength(call.request, true) > singleUploadLimit) throw partTooLarge()
  const first = upload.parts.get(number)
  let content: Content
  try {
    content = await call.receive()
    await call.readyToCommit()
  } catch (error) {
    // R2: "if the second upload of that part fails, the first is lost too". Not what came after the one that fails.
    if (upload.parts.get(number) === first) upload.parts.delete(number)
    throw error
  }
  openUpload(call).parts.set(number, { content, lastModifiedMs: call.nowMs() })
  return { status: 200, headers: { etag: quoted(content.md5) } }
}

export async function uploadPartCopy(call: Call): Promise<Reply> {
  openUpload(call)
  const number = partNumber(call.param('partNumber'))
  const source = copySource(call)
  const [start, end] = copyRange(call.request.header('x-amz-copy-source-range'), source.content.size)
  if (end - start > singleUploadLimit) throw partTooLarge()
  await call.receive()
  await call.readyToCommit()
  const part = { content: source.content.range(start, end), lastModifiedMs: call.nowMs() }
  openUpload(call).parts.set(number, part)
  return xmlReply(
    xmlDocument('CopyPartResult', [
      ['ETag', quoted(part.content.md5)],
      ['LastModified', new Date(part.lastModifiedMs).toISOString()],
    ]),
  )
}

export async function completeMultipartUpload(call: Call): Promise<Reply> {
  const { bucket, key } = call
  openUpload(call)
  const wanted = parsePartList((await call.receive()).bytes())
  await call.readyToCommit()
  const upload = openUpload(call)
  const parts = chosenParts(upload, wanted)
  const { headers, metadata, storageClass } = upload
  const etag = multipartEtag(parts)
  const content = Content.joined(parts)
  const partSizes = parts.map((part) => part.size)
  const lastModifiedMs = call.nowMs()
  const object = { headers, metadata, storageClass, key, content, etag, lastModifiedMs, partSizes }
  try {
    commitObject(call, object, conditionsOf(call.request))
  } catch (error) {
    // R2: an upload whose condition failed at publishing "is no longer available and is treated as aborted".
    if (error instanceof S3Error && error.code === 'PreconditionFailed')
      bucket.uploads.delete(upload.uploadId)
    throw error
  }
  bucket.uploads.delete(upload.uploadId)
  return xmlReply(
    xmlDocument('CompleteMultipartUploadResult', [
      ['Location', `/${bucket.name}/${key}`],
      ['Bucket', bucket.name],
      ['Key', key],
      ['ETag', quoted(etag)],
    ]),
  )
}

export async function abortMultipartUpload(call: Call): Promise<Reply> {
  await call.readyToCommit()
  call.bucket.uploads.delete(openUpload(call).uploadId)
  return { status: 204 }
}

/** The upload the request names; it belongs to one key. */
export function openUpload(call: Call): Upload {
  const upload = call.bucket.uploads.get(call.param('uploadId') ?? '')
  if (upload === undefined || upload.key !== call.key) {
    throw new S3Error('NoSuchUpload', 'The specified multipart upload does not exist.')
  }
  return upload
}

export function partNumber(value: string | undefined): number {
  return wholeNumber(value ?? '', 'Part number', 1, 10_000) ?? 0
}

function partTooLarge(): S3Error {
  return new S3Error('EntityTooLarge', 'Your proposed upload exceeds the maximum allowed object size.')
}

function copyRange(header: string | undefined, size: number): [start: number, end: number] {
  if (header === undefined) return [0, size]
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(header) ?? []
  if (first === undefined || last === undefined || Number(first) > Number(last)) {
    throw new S3Error(
      'InvalidArgument',
      'The x-amz-copy-source-range value must be of the form bytes=first-last',
    )
  }
  if (Number(last) >= size) throw new S3Error('InvalidRange', 'The requested range is not satisfiable')
  return [Number(first), Number(last) + 1]
}

/** The parts a Complete lists, in the order of their numbers, which R2 restores by itself. */
function parsePartList(body: Buffer): { number: number; etag: string }[] {
  const root = parseXml(body, 'CompleteMultipartUpload')
  const parts = root.children.map((part) => {
    const etag = childText(part, 'ETag')
    const number = childText(part, 'PartNumber')
    if (part.name !== 'Part' || etag === undefined || number === undefined) throw malformed()
    return { number: partNumber(number), etag: etag.replace(/^"(.*)"$/, '$1') }
  })
  if (parts.length === 0) throw malformed()
  return parts.sort((a, b) => a.number - b.number)
}

function chosenParts(upload: Upload, wanted: readonly { number: number; etag: string }[]): Content[] {
  const parts = wanted.map(({ number, etag }, index) => {
    const part = upload.parts.get(number)
    if (part === undefined || part.content.md5 !== etag || wanted[index - 1]?.number === number) {
      throw new S3Error('InvalidPart', 'One or more of the specified parts could not be found.')
    }
    return part.content
  })
  const usual = parts[0]?.size ?? 0
  const total = parts.reduce((sum, part) => sum + part.size, 0)
  if (parts.slice(0, -1).some((part) => part.size < smallestPart)) {
    throw new S3Error(
      'EntityTooSmall',
      'Your proposed upload is smaller than the minimum allowed object size.',
    )
  }
  if (parts.some((part, index) => (index < parts.length - 1 ? part.size !== usual : part.size > usual))) {
    throw new S3Error('InvalidPart', 'All non-trailing parts must have the same length.')
  }
  if (total > objectLimit) throw partTooLarge()
  return parts
}
