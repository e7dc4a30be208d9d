import type { CompletedPart, CopyObjectCommandOutput, HeadObjectCommandOutput } from '@aws-sdk/client-s3'
import { Problem } from '../../errors.js'
import { encodeExtendedPath, WRITE_ID_KEY } from '../../metadata.js'
import type { Attempt, S3Connection } from './connection.js'
import { analyse, expectETag } from './failures.js'
import { completeUpload, inUpload } from './multipart.js'
import { MIB } from './options.js'
import {
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

export interface CopyRequest extends MarkedWrite {
  readonly fromKey: string
  readonly source: HeadObjectCommandOutput
}

/** Copies an object on the server, with its headers and metadata. False: create-only, and the name is taken. */
export async function copyObject(connection: S3Connection, request: CopyRequest): Promise<boolean> {
  const { source, createOnly } = request
  const size = source.ContentLength ?? 0
  const fields = fieldsOf(source)
  const plainly = (attempt: Attempt) => sendCopy(connection, request, fields, attempt)
  if (size <= MAX_COPY && (!createOnly || connection.config.conditionalCopy)) {
    return writeOnce(connection, request, plainly)
  }
  // No standard condition on CopyObject: only completing a multipart upload, or writing the bytes, can be create-only.
  if (size === 0) return putObject(connection, { ...request, bytes: Buffer.alloc(0), fields })
  // Servers that heed none may decode the source of a part twice, as Ceph does, whose gateway ends when that leaves no key
  // before a `?`: a plain copy onto a placeholder then. If that fails, the placeholder has to go, and with it what somebody
  // wrote over it in just that moment.
  if (/[%?]/.test(request.fromKey) && !(await honoursConditionalCompletion(connection, request.signal))) {
    return (createOnly ? writeClaimed : writeOnce)(connection, request, plainly)
  }
  return copyByParts(connection, request, fields)
}

async function sendCopy(
  connection: S3Connection,
  { key, fromKey, source, writeId, createOnly }: CopyRequest,
  fields: ReturnType<typeof fieldsOf>,
  { send, sdk }: Attempt,
): Promise<void> {
  const target = { Bucket: connection.config.bucket, Key: key, CopySource: copySource(connection, fromKey) }
  if (!createOnly || !connection.config.conditionalCopy) {
    // The server takes content and metadata together, whatever happens to the source meanwhile.
    expectResult(await send(new sdk.CopyObjectCommand({ ...target, MetadataDirective: 'COPY' })))
    return
  }
  const command = new sdk.CopyObjectCommand({
    ...target,
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
function expectResult({ CopyObjectResult, $metadata }: CopyObjectCommandOutput): void {
  expectETag({ ...CopyObjectResult, $metadata })
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
  if (current.ETag !== source.ETag) throw new SourceReplaced()
}

function hasHeaders(request: unknown): request is { headers: Record<string, string> } {
  return typeof request === 'object' && request !== null && 'headers' in request
}

async function copyByParts(
  connection: S3Connection,
  request: CopyRequest,
  fields: ReturnType<typeof fieldsOf>,
): Promise<boolean> {
  const size = request.source.ContentLength ?? 0
  return inUpload(connection, request, fields, async (target) => {
    const parts: CompletedPart[] = []
    for (let start = 0; start < size; start += COPY_PART) {
      const PartNumber = parts.length + 1
      const input = {
        ...target,
        PartNumber,
        CopySource: copySource(connection, request.fromKey),
        ...(size > COPY_PART && {
          CopySourceRange: `bytes=${start}-${Math.min(start + COPY_PART, size) - 1}`,
        }),
      }
      const { ETag } = await connection.run(request.signal, async ({ send, sdk }) => {
        const { CopyPartResult, $metadata } = await send(new sdk.UploadPartCopyCommand(input))
        return expectETag({ ...CopyPartResult, $metadata })
      })
      parts.push({ PartNumber, ETag })
    }
    // R2 knows no conditions on the source of a part.
    await connection.run(request.signal, (attempt) =>
      checkSource(connection, request.fromKey, request.source, attempt),
    )
    return completeUpload(connection, request, target, parts)
  })
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
