import { createHash } from 'node:crypto'
import { Problem } from '../../errors.js'
import { marked } from './attributes.js'
import { MIB } from './config.js'
import type { S3Connection } from './connection.js'
import { analyse } from './failures.js'
import type { SizedObject } from './head.js'
import { inUpload } from './multipart.js'
import type { Call, CopiedPart, Part, Upload } from './object-api.js'
import { isPlaceholder } from './publishers/placeholder.js'
import { type MarkedWrite, putObject, writeOnce } from './write-once.js'

/** The most that one CopyObject takes on R2 and S3: 5 GiB, less what R2's documentation takes off. */
const MAX_COPY = 5 * 1024 * MIB - 5 * MIB
/** Bytes of a part that is copied: few requests, and below 10,000 of them for every size. */
const COPY_PART = 1024 * MIB

/** MD5 of no bytes. */
const ETAG_OF_NOTHING = 'd41d8cd98f00b204e9800998ecf8427e'

/** One copy on the server, with headers and metadata. */
export interface CopyWork extends MarkedWrite {
  readonly fromKey: string
  /** The version that was seen, with the attributes that the copy gets. */
  readonly source: SizedObject
  /** Whether an ETag that is not the MD5 of the content counts as a changed source. */
  readonly strict: boolean
  /** Whether no other version than `source` may be copied, and no other attributes. */
  readonly pinned: boolean
}

/**
 * Whether one CopyObject can take the source. Ceph ignores the condition on it, so a pinned one goes by parts, whose
 * ETags tell, except on R2.
 */
export function fitsOneCopy({ config }: S3Connection, { source, pinned }: CopyWork): boolean {
  return source.size <= MAX_COPY && (!pinned || config.conditionalCopy)
}

/**
 * Whether no part can be copied from a key: Ceph decodes the source of a part twice, and its gateway ends when that
 * leaves no key before a `?`.
 */
export function isDecodedTwice(key: string): boolean {
  return /[%?]/.test(key)
}

/** The server takes content and attributes together, whatever happens to the source meanwhile. */
export async function copyAsIs(connection: S3Connection, work: CopyWork, call: Call): Promise<void> {
  const { api, config } = connection
  const { key, fromKey } = work
  const { etag } = await api.copy({ key, fromKey }, call)
  // Those of version 0.1.0 are empty.
  if (config.conditionalCompletion && etag.replaceAll('"', '') !== ETAG_OF_NOTHING) return
  // A placeholder may have come to the name of the source, and been copied.
  const copied = await api.head({ key }, call).catch((error: unknown) => {
    if (analyse(error).status === 404) return null
    throw error
  })
  if (copied === null || !isPlaceholder(copied)) return
  await api.delete({ key }, call)
  throw new SourceReplaced()
}

/**
 * Copies the version of the source that was seen, over whatever is there. Swift refuses the ETag of a multipart upload,
 * so only strict attempts insist on it.
 */
export async function copyIfSame(connection: S3Connection, work: CopyWork, call: Call): Promise<void> {
  const { key, fromKey, source, strict, pinned, writeId } = work
  if (!strict && !pinned) return copyAsIs(connection, work, call)
  const attributes = pinned ? marked(source, writeId) : undefined
  await connection.api.copy({ key, fromKey, attributes, ifMatch: source.etag }, call).catch(asReplaced)
}

/** Copies create-only, by R2's own condition on the target. */
export function copyConditionally(connection: S3Connection, work: CopyWork): Promise<boolean> {
  const { key, fromKey, source, writeId } = work
  const attributes = marked(source, writeId)
  const request = { key, fromKey, attributes, ifMatch: source.etag, createOnly: true }
  return writeOnce(connection, work, async (call) => {
    try {
      await connection.api.copy(request, call)
    } catch (error) {
      // 412 means either that the target is taken or that the source changed.
      if (analyse(error).status === 412) await checkSource(connection, work, call)
      throw error
    }
  })
}

/** Copies over whatever is there, with the mark of the write. */
export function copyMarked(connection: S3Connection, work: CopyWork): Promise<boolean> {
  const { key, fromKey, source, strict, writeId } = work
  if (!strict) return writeOnce(connection, work, (call) => copyAsIs(connection, work, call))
  const request = { key, fromKey, attributes: marked(source, writeId), ifMatch: source.etag }
  return writeOnce(connection, work, (call) => connection.api.copy(request, call).catch(asReplaced))
}

/** A refused condition on the source, where there is none on the target. */
function asReplaced(error: unknown): never {
  throw analyse(error).status === 412 ? new SourceReplaced() : error
}

/** Writes the copy of an empty object. */
export function putEmptyCopy(connection: S3Connection, work: CopyWork, conditional = true): Promise<boolean> {
  return putObject(connection, { ...work, bytes: Buffer.alloc(0), attributes: work.source }, conditional)
}

/** Copies by a multipart upload. `complete` publishes it. */
export function copyByParts(
  connection: S3Connection,
  work: CopyWork,
  complete: (upload: Upload, parts: readonly Part[]) => Promise<boolean>,
): Promise<boolean> {
  const { source, fromKey, signal } = work
  const { size } = source
  return inUpload(connection, work, source, async (upload) => {
    const parts: Part[] = []
    let comparable = size <= COPY_PART
    for (let start = 0; start < size; start += COPY_PART) {
      const number = parts.length + 1
      const range = size > COPY_PART ? { start, end: Math.min(start + COPY_PART, size) - 1 } : undefined
      const request = { ...upload, number, fromKey, range }
      const copied: CopiedPart = await connection.run(signal, (call) =>
        connection.api.copyPart(request, call),
      )
      comparable &&= !copied.encryption?.startsWith('aws:kms')
      parts.push({ number, etag: copied.etag })
    }
    // R2 knows no conditions on the source of a part, and Ceph ignores them.
    const isSame = comparable ? isWhole(parts[0]?.etag, source.etag) : undefined
    if (isSame !== true) {
      await connection.run(signal, (call) => checkSource(connection, work, call))
      // It may have been replaced and put back, which looks the same.
      if (isSame === false && (work.strict || work.pinned)) throw new SourceReplaced()
    }
    return complete(upload, parts)
  })
}

/** The source changed while it was copied. Nothing was written; the copy may begin again. */
export class SourceReplaced extends Problem {
  constructor() {
    super('Unavailable', 'the source kept changing while it was copied: try again')
  }
}

/** Content and attributes of a copy are to be of one version of the source. */
async function checkSource({ api }: S3Connection, { fromKey, source }: CopyWork, call: Call): Promise<void> {
  const current = await api.head({ key: fromKey }, call)
  const isSame =
    current.etag === source.etag && current.lastModified?.getTime() === source.lastModified?.getTime()
  if (!isSame) throw new SourceReplaced()
}

/** Whether a part is the whole of an object, by their ETags. Undefined where these are no MD5s, or of several parts. */
function isWhole(part: string | undefined, object: string): boolean | undefined {
  const [own = '', whole = ''] = [part, object].map((etag) => etag?.replaceAll('"', ''))
  if (!/^[0-9a-f]{32}$/.test(own) || !/^[0-9a-f]{32}(-1)?$/.test(whole)) return undefined
  if (!whole.endsWith('-1')) return own === whole
  return whole === `${createHash('md5').update(Buffer.from(own, 'hex')).digest('hex')}-1`
}
