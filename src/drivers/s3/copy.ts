import { createHash } from 'node:crypto'
import type { CompletedPart, CopyObjectCommandOutput, HeadObjectCommandOutput } from '@aws-sdk/client-s3'
import { Problem } from '../../errors.js'
import { WRITE_ID_KEY } from '../../metadata.js'
import { encodeExtendedPath } from '../../percent.js'
import { isClaim } from './attributes.js'
import type { Attempt, S3Connection } from './connection.js'
import { analyse, expectETag } from './failures.js'
import { completeUpload, inUpload } from './multipart.js'
import { MIB } from './options.js'
import {
  headObject,
  honoursConditionalCompletion,
  type MarkedWrite,
  putObject,
  writeClaimed,
  writeOnce,
} from './writes.js'

/** What one CopyObject takes on R2 and S3: 5 GiB, less what R2's documentation takes off. */
const MAX_COPY = 5 * 1024 * MIB - 5 * MIB
/** Of a copy by parts: few requests, and below 10,000 of them for every size. */
const COPY_PART = 1024 * MIB

/** MD5 of no bytes. */
const ETAG_OF_NOTHING = 'd41d8cd98f00b204e9800998ecf8427e'

export interface CopyRequest extends MarkedWrite {
  readonly fromKey: string
  readonly source: HeadObjectCommandOutput
  /** Whether an ETag that is no MD5 of the content is taken for a sign that the source was replaced. */
  readonly strict: boolean
}

/** Copies an object on the server, with its headers and metadata. False: create-only, and the name is taken. */
export async function copyObject(connection: S3Connection, request: CopyRequest): Promise<boolean> {
  const { source, createOnly, fromKey, signal } = request
  const size = source.ContentLength ?? 0
  const isSmall = size <= MAX_COPY
  const asIs = (attempt: Attempt) => copyAsIs(connection, request, attempt)
  const conditionally = (attempt: Attempt) => copyConditionally(connection, request, attempt)
  const hasPlaceholders = !(await honoursConditionalCompletion(connection, signal))
  if (isSmall && !createOnly && !hasPlaceholders) return writeOnce(connection, request, asIs)
  if (isSmall && createOnly && connection.config.conditionalCopy) {
    return writeOnce(connection, request, conditionally)
  }
  // No standard condition on CopyObject: only completing a multipart upload, or writing the bytes, can be create-only.
  if (size === 0) {
    return putObject(connection, { ...request, bytes: Buffer.alloc(0), fields: fieldsOf(source) })
  }
  // Ceph decodes the source of a part twice, and its gateway ends when that leaves no key before a `?`: a copy as it is
  // onto a placeholder then. If that fails, the placeholder has to go, and with it what somebody wrote over it in just
  // that moment.
  if (hasPlaceholders && /[%?]/.test(fromKey)) {
    return (createOnly ? writeClaimed : writeOnce)(connection, request, asIs)
  }
  // Where there are placeholders, one may come to the source's name; the parts tell.
  return copyByParts(connection, request)
}

/** The server takes content and metadata together, whatever happens to the source meanwhile. */
async function copyAsIs(
  connection: S3Connection,
  { key, fromKey, signal }: CopyRequest,
  { send, sdk }: Attempt,
): Promise<void> {
  const target = { Bucket: connection.config.bucket, Key: key }
  const input = { ...target, CopySource: copySource(connection, fromKey), MetadataDirective: 'COPY' } as const
  const { ETag } = expectResult(await send(new sdk.CopyObjectCommand(input)))
  if (ETag?.replaceAll('"', '') !== ETAG_OF_NOTHING) return
  // A placeholder may have come to the name of the source, and been copied.
  const copied = await headObject(connection, key, signal)
  if (copied === null || !isClaim(copied)) return
  await send(new sdk.DeleteObjectCommand(target))
  throw new SourceReplaced()
}

async function copyConditionally(
  connection: S3Connection,
  { key, fromKey, source, writeId }: CopyRequest,
  { send, sdk }: Attempt,
): Promise<void> {
  const fields = fieldsOf(source)
  const command = new sdk.CopyObjectCommand({
    Bucket: connection.config.bucket,
    Key: key,
    CopySource: copySource(connection, fromKey),
    ...fields,
    CopySourceIfMatch: source.ETag,
    MetadataDirective: 'REPLACE',
    Metadata: { ...fields.Metadata, [WRITE_ID_KEY]: writeId },
  })
  // R2's own header: developers.cloudflare.com/r2/api/s3/extensions. The step comes before the signature.
  command.middlewareStack.add(
    (next) => (args) => {
      const { request } = args
      if (hasHeaders(request)) request.headers['cf-copy-destination-if-none-match'] = '*'
      return next(args)
    },
    { step: 'build', name: 'copyDestinationIfNoneMatch' },
  )
  try {
    expectResult(await send(command))
  } catch (error) {
    // 412 means either that the target is taken or that the source is not what it was.
    if (analyse(error).status === 412) await checkSource(connection, fromKey, source, { send, sdk })
    throw error
  }
}

/** A copy answers 200 before it is done; that it was done is only in the body. */
function expectResult({ CopyObjectResult, $metadata }: CopyObjectCommandOutput) {
  return expectETag({ ...CopyObjectResult, $metadata })
}

/** Nothing was written; the copy may begin anew. */
export class SourceReplaced extends Problem {
  constructor() {
    super('Unavailable', 'the source was replaced while it was copied, again and again')
  }
}

/** Content and metadata of a copy are to be of one version of the source. */
async function checkSource(
  connection: S3Connection,
  fromKey: string,
  source: HeadObjectCommandOutput,
  { send, sdk }: Attempt,
): Promise<void> {
  const target = { Bucket: connection.config.bucket, Key: fromKey }
  const current = await send(new sdk.HeadObjectCommand(target))
  const isSame = current.ETag === source.ETag && String(current.LastModified) === String(source.LastModified)
  if (!isSame) throw new SourceReplaced()
}

function hasHeaders(request: unknown): request is { headers: Record<string, string> } {
  return typeof request === 'object' && request !== null && 'headers' in request
}

async function copyByParts(connection: S3Connection, request: CopyRequest): Promise<boolean> {
  const { source, fromKey, signal } = request
  const size = source.ContentLength ?? 0
  return inUpload(connection, request, fieldsOf(source), async (target) => {
    const parts: CompletedPart[] = []
    let comparable = size <= COPY_PART
    for (let start = 0; start < size; start += COPY_PART) {
      const PartNumber = parts.length + 1
      const input = {
        ...target,
        PartNumber,
        CopySource: copySource(connection, fromKey),
        ...(size > COPY_PART && {
          CopySourceRange: `bytes=${start}-${Math.min(start + COPY_PART, size) - 1}`,
        }),
      }
      const { ETag } = await connection.run(signal, async ({ send, sdk }) => {
        const { CopyPartResult, ServerSideEncryption, $metadata } = await send(
          new sdk.UploadPartCopyCommand(input),
        )
        comparable &&= !ServerSideEncryption?.startsWith('aws:kms')
        return expectETag({ ...CopyPartResult, $metadata })
      })
      parts.push({ PartNumber, ETag })
    }
    // R2 knows no conditions on the source of a part, and Ceph ignores them.
    const isSame = comparable ? isWhole(parts[0]?.ETag, source.ETag) : undefined
    if (isSame !== true) {
      await connection.run(signal, (attempt) => checkSource(connection, fromKey, source, attempt))
      // It may have been replaced and put back, which looks the same.
      if (isSame === false && request.strict) throw new SourceReplaced()
    }
    return completeUpload(connection, request, target, parts)
  })
}

/** Whether a part is the whole of an object, by their ETags. Undefined where these are no MD5s, or of several parts. */
function isWhole(part: string | undefined, object: string | undefined): boolean | undefined {
  const [own = '', whole = ''] = [part, object].map((etag) => etag?.replaceAll('"', ''))
  if (!/^[0-9a-f]{32}$/.test(own) || !/^[0-9a-f]{32}(-1)?$/.test(whole)) return undefined
  if (!whole.endsWith('-1')) return own === whole
  return whole === `${createHash('md5').update(Buffer.from(own, 'hex')).digest('hex')}-1`
}

/** Encoded here, since the SDK sends it as it is; with the leading slash that R2 wants. */
function copySource(connection: S3Connection, key: string): string {
  return `/${connection.config.bucket}/${encodeExtendedPath(key)}`
}

/** A copy keeps what the source has, in the encoding it has it. */
function fieldsOf(source: HeadObjectCommandOutput) {
  const { ContentType, CacheControl, ContentDisposition, ContentLanguage, ContentEncoding, Metadata } = source
  return {
    ContentType,
    CacheControl,
    ContentDisposition,
    ContentLanguage,
    ContentEncoding,
    Metadata: { ...Metadata },
  }
}
