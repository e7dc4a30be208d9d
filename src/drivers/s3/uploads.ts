import { createHash, randomBytes } from 'node:crypto'
import { Problem } from '../../errors.js'
import { UPLOAD_KEY } from '../../metadata.js'
import { type Name, RESERVED_SEGMENT } from '../../names.js'
import {
  type CompletedUpload,
  type CompleteUploadRequest,
  type CreateUploadRequest,
  noSuchUpload,
  type SignPartRequest,
  type UploadDriver,
  type UploadedPart,
  type UploadRequest,
} from '../../upload-driver.js'
import { toObjectAttributes } from './attributes.js'
import type { S3Connection } from './connection.js'
import { deleteKeys } from './delete.js'
import { analyse, isMissing } from './failures.js'
import { headObject, type SizedObject } from './head.js'
import { HiddenObject, hasMark, type StageHidden } from './hidden-object.js'
import { listKeys } from './listing.js'
import { createUpload } from './multipart.js'
import type { PartPage, Upload } from './object-api.js'

/** Bytes of chance in an id. */
const RANDOM_BYTES = 16
/** A hidden key's own part, and the server's id of the multipart upload. */
const ID = /^([\w-]{22})-([\da-f]{32})\.([\w-]+)$/

/** One upload of ours on the server. */
interface OwnUpload extends Upload {
  /** Marks the object wherever it is copied to. */
  readonly mark: string
}

/**
 * Direct uploads: multipart uploads of hidden keys, which listings leave out. The parts go straight to the server. The
 * object is judged under its hidden key, and copied to its own.
 */
export class S3Uploads implements UploadDriver {
  readonly #connection: S3Connection
  readonly #stage: StageHidden
  /** The start of hidden keys: below the storage's prefix, since credentials may be limited to that. */
  readonly #start: string

  constructor(connection: S3Connection, stage: StageHidden) {
    const { prefix } = connection.config
    this.#connection = connection
    this.#stage = stage
    this.#start = `${prefix === '' ? '' : `${prefix}/`}${RESERVED_SEGMENT}/uploads/`
  }

  async create({ name, attributes, signal }: CreateUploadRequest): Promise<string> {
    const { config } = this.#connection
    const mark = randomBytes(RANDOM_BYTES).toString('base64url')
    const own = `${mark}-${hashOf(name)}`
    const { headers, metadata } = toObjectAttributes(attributes, config.cacheControl)
    const request = {
      key: this.#start + own,
      attributes: { headers, metadata: { ...metadata, [UPLOAD_KEY]: mark } },
    }
    const { uploadId } = await createUpload(this.#connection, request, signal)
    return `${own}.${encode(uploadId)}`
  }

  async list(request: UploadRequest): Promise<readonly UploadedPart[]> {
    const upload = this.#find(request)
    const { signal } = request
    try {
      return await this.#listParts(upload, signal)
    } catch (error) {
      if (!isMissing(error)) throw error
      // A completion may have failed after this.
      return partsOf(await this.#completed(upload, signal))
    }
  }

  async #listParts(upload: Upload, signal: AbortSignal | undefined): Promise<UploadedPart[]> {
    const { api } = this.#connection
    const parts: UploadedPart[] = []
    let after: number | undefined
    do {
      const request = { ...upload, after }
      const page: PartPage = await this.#connection.run(signal, (call) => api.listParts(request, call))
      parts.push(...page.parts)
      if (page.next !== undefined && page.next <= (after ?? 0)) {
        throw new Problem('Corrupt', 'the server does not tell where its list goes on')
      }
      after = page.next
    } while (after !== undefined)
    return parts
  }

  async signPart(request: SignPartRequest): Promise<string> {
    const { key, uploadId } = this.#find(request)
    const { number, expiresIn, signedAt, signal } = request
    const signed = { method: 'PUT', key, part: { uploadId, number }, expiresIn, signedAt } as const
    return (await this.#connection.api.sign(signed, signal)).url
  }

  async complete(request: CompleteUploadRequest): Promise<CompletedUpload> {
    const upload = this.#find(request)
    const { parts, signal } = request
    // Parts of a complete upload. Ceph answers 500 to another completion, if the ETags are not those of before.
    const isComplete = parts.some(({ etag }) => etag === '')
    try {
      const complete = { ...upload, parts }
      if (!isComplete)
        await this.#connection.run(signal, (call) => this.#connection.api.completeUpload(complete, call))
    } catch (error) {
      // It was completed before, and the answer was lost; or another completion was faster.
      if (!isMissing(error)) throw explainParts(error)
    }
    const object = await this.#completed(upload, signal)
    return new HiddenObject(this.#connection, { ...upload, object, signal }, this.#stage)
  }

  /** The object of an upload that is complete. */
  async #completed({ key, mark }: OwnUpload, signal: AbortSignal | undefined): Promise<SizedObject> {
    const object = await headObject(this.#connection, key, signal)
    if (object?.metadata[UPLOAD_KEY] !== mark) throw noSuchUpload()
    return object
  }

  async isPublished(request: UploadRequest, as: Name): Promise<boolean> {
    return hasMark(this.#connection, as, this.#find(request).mark, request.signal)
  }

  async abort(request: UploadRequest): Promise<void> {
    const upload = this.#find(request)
    const { signal } = request
    try {
      await this.#connection.run(signal, (call) => this.#connection.api.abortUpload(upload, call))
    } catch (error) {
      if (!isMissing(error)) throw error
      await this.#completed(upload, signal)
      const [failure] = await deleteKeys(this.#connection, [upload.key], signal)
      if (failure) throw failure.error
    }
  }

  /** Deletes what was complete before a time, and never published. Returns the number of uploads. */
  async removeStale(before: Date, signal: AbortSignal | undefined): Promise<number> {
    let discarded = 0
    for await (const { keys } of listKeys(this.#connection, this.#start, false, signal)) {
      const stale = keys.filter(({ lastModified }) => lastModified < before).map(({ key }) => key)
      if (stale.length === 0) continue
      const [failure] = await deleteKeys(this.#connection, stale, signal)
      if (failure) throw failure.error
      discarded += stale.length
    }
    return discarded
  }

  /** An id has the hash of its name, so one of another name is found out without a request. */
  #find({ id, name }: UploadRequest): OwnUpload {
    const [, mark, hash, encoded] = ID.exec(id) ?? []
    if (mark === undefined || encoded === undefined || hash !== hashOf(name)) throw noSuchUpload()
    const uploadId = Buffer.from(encoded, 'base64url').toString()
    if (encode(uploadId) !== encoded) throw noSuchUpload()
    return { key: `${this.#start}${mark}-${hash}`, uploadId, mark }
  }
}

function encode(uploadId: string): string {
  return Buffer.from(uploadId).toString('base64url')
}

function hashOf(name: Name): string {
  return createHash('sha256').update(name).digest('hex').slice(0, 32)
}

/** Refusals of a completion that are the client's own mistake. */
const PARTS = /^(?:InvalidPart|InvalidPartOrder|EntityTooSmall)$/

function explainParts(error: unknown): unknown {
  const { code } = analyse(error)
  if (!PARTS.test(code)) return error
  const reason = `the server cannot put the parts together: all but the last must have one size, 5 MiB or more (${code})`
  return new Problem('BadRequest', reason, { cause: error })
}

/** A client that goes on with an upload asks for its parts first. Once it is complete, only their number is known. */
function partsOf({ etag, size }: SizedObject): UploadedPart[] {
  const count = Number(/-(\d{1,5})"?$/.exec(etag)?.[1] ?? 1)
  const first = Math.ceil(size / count)
  return Array.from({ length: count }, (_, index) => ({
    number: index + 1,
    etag: '',
    size: Math.max(0, Math.min(first, size - index * first)),
  }))
}
