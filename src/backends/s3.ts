import { Readable } from 'node:stream'
import { ConfigurationError, Problem, StorageError } from '../errors.js'
import type {
  Entry,
  FileState,
  OpenedFile,
  ReadRequest,
  SignRequest,
  SignUploadRequest,
  StageCopyRequest,
  Staged,
  StageRequest,
} from '../hooks.js'
import { encodeExtendedPath } from '../metadata.js'
import type { Folder, Name } from '../names.js'
import { ABORT_OPTIONS, checkOptions, type OptionNames } from '../options.js'
import { resolveRange } from '../ranges.js'
import { Storage } from '../storage.js'
import type { AbortOptions } from '../types.js'
import { joinUrl } from './options.js'
import { isClaim, newWriteId, toCommandFields, toFileState } from './s3/attributes.js'
import { S3Connection } from './s3/connection.js'
import { copyObject, SourceReplaced } from './s3/copy.js'
import { deleteKeys, type KeyFailure } from './s3/delete.js'
import { analyse, classify } from './s3/failures.js'
import { listKeys, toEntries } from './s3/listing.js'
import { abortUploads, uploadMultipart } from './s3/multipart.js'
import { type S3Config, type S3Credentials, type S3StorageOptions, toS3Config } from './s3/options.js'
import { PartReader, partSizeFor } from './s3/parts.js'
import { openObject } from './s3/read.js'
import { presignedQuery } from './s3/sigv4.js'
import { headObject, putObject } from './s3/writes.js'

export type { R2StorageOptions, S3CommonOptions, S3Credentials, S3StorageOptions } from './s3/options.js'

export interface StaleUploadsOptions extends AbortOptions {
  /** Seconds since an upload was begun. Default a week. */
  olderThan?: number | undefined
}

/** Of a source that is replaced while it is copied. */
const COPY_ATTEMPTS = 10
/** Those that take another ETag for a replaced source. More would be in vain: on that server it is no MD5. */
const STRICT_COPY_ATTEMPTS = 3

const STALE_UPLOADS_OPTIONS: OptionNames<StaleUploadsOptions> = { ...ABORT_OPTIONS, olderThan: true }

/**
 * Files in a bucket of any S3-compatible server: AWS S3, MinIO, Ceph, … The AWS SDK is loaded with the first request.
 *
 * A content of at most one part (8 MiB) is one request, a larger one a multipart upload; both are create-only on the
 * server's side unless told to overwrite. Requests that may pass are tried again. Never sends an ACL.
 */
export class S3Storage extends Storage {
  readonly #connection: S3Connection
  readonly #config: S3Config
  /** A HEAD cannot tell a missing key from a missing bucket; this remembers that the bucket was seen. */
  #bucketSeen = false

  constructor(options: S3StorageOptions) {
    super()
    this.#config = toS3Config(options)
    this.#connection = new S3Connection(this.#config)
  }

  protected get label(): string {
    return `S3Storage(${this.#config.bucket})`
  }

  protected override get nameLimit(): number {
    return super.nameLimit - Buffer.byteLength(this.#config.prefix)
  }

  protected async stage({ body, attributes, signal, progress }: StageRequest): Promise<Staged> {
    const connection = this.#connection
    const fields = toCommandFields(attributes, this.#config.cacheControl)
    const partSize = partSizeFor(body, this.#config.partSize)
    const stop = new AbortController()
    const newReader = () =>
      new PartReader(body.chunks(signal ? AbortSignal.any([signal, stop.signal]) : stop.signal), partSize)
    const small = body.bytes !== undefined && body.bytes.byteLength <= partSize
    let parts = small ? undefined : newReader()
    let used = false
    const bytes = small ? body.bytes : await parts?.whole()
    if (bytes) {
      progress(bytes.byteLength)
      return {
        publish: async (name, createOnly) => {
          const write = { key: this.#key(name), writeId: newWriteId(), createOnly, signal }
          return putObject(connection, { bytes, fields, ...write })
        },
        discard: async () => {},
      }
    }
    return {
      publish: async (name, createOnly) => {
        const key = this.#key(name)
        if (createOnly && (await headObject(connection, key, signal)) !== null) return false
        if (used || !parts) parts = newReader()
        used = true
        const write = { key, writeId: newWriteId(), createOnly, signal }
        if (await uploadMultipart(connection, { ...write, parts, stop, fields, progress })) return true
        if (body.replayable) return false
        throw new Problem(
          'AlreadyExists',
          'the name was taken while the stream was uploaded; nothing was overwritten, but a stream cannot be sent again',
        )
      },
      discard: async () => {
        await parts?.stop()
      },
    }
  }

  protected async stageCopy({ from, move, signal }: StageCopyRequest): Promise<Staged> {
    const fromKey = this.#key(from)
    let source = await this.#source(from, signal)
    const copyTo = async (name: Name, createOnly: boolean) => {
      for (let attempt = 1; ; attempt++) {
        const write = { key: this.#key(name), writeId: newWriteId(), createOnly, signal }
        const strict = attempt <= STRICT_COPY_ATTEMPTS
        try {
          return await copyObject(this.#connection, { fromKey, source, strict, ...write })
        } catch (error) {
          if (!(error instanceof SourceReplaced) || attempt === COPY_ATTEMPTS) throw error
          source = await this.#source(from, signal)
        }
      }
    }
    return {
      publish: async (name, createOnly) => {
        if (!(await copyTo(name, createOnly))) return false
        if (move) await this.#removeSource(from, name)
        return true
      },
      discard: async () => {},
    }
  }

  async #source(name: Name, signal: AbortSignal | undefined) {
    const source = await headObject(this.#connection, this.#key(name), signal)
    if (source !== null && !isClaim(source)) return source
    await this.#expectBucket(name, signal)
    throw new Problem('NotFound', 'there is no such file')
  }

  async #removeSource(from: Name, to: Name): Promise<void> {
    const [failure] = await deleteKeys(this.#connection, [this.#key(from)], undefined)
    if (!failure) return
    const { code, message, cause } = this.classify(failure.error)
    const reason = `the copy is at ${JSON.stringify(to)}, but the source could not be deleted: ${message}`
    throw new StorageError(code, { operation: 'move', file: from, storage: this.label, reason, cause })
  }

  protected async read({ name, range, signal }: ReadRequest): Promise<OpenedFile> {
    if (range?.length === 0) return this.#readNothing(name, range, signal)
    const {
      output,
      size,
      range: delivered,
      body,
    } = await openObject(this.#connection, this.#key(name), range, signal)
    if (isClaim(output)) {
      await body.close()
      throw new Problem('NotFound', 'there is no such file')
    }
    return { state: toFileState(output, size), range: delivered, body }
  }

  /** HTTP has no range of zero bytes. */
  async #readNothing(
    name: Name,
    range: ReadRequest['range'],
    signal: AbortSignal | undefined,
  ): Promise<OpenedFile> {
    const state = await this.head(name, signal)
    if (state === null) throw new Problem('NotFound', 'there is no such file')
    const body = {
      bytes: async () => Buffer.alloc(0),
      stream: () => Readable.from([]),
      close: async () => {},
    }
    return { state, range: resolveRange(range, state.size), body }
  }

  protected async head(name: Name, signal: AbortSignal | undefined): Promise<FileState | null> {
    const output = await headObject(this.#connection, this.#key(name), signal)
    if (output !== null) {
      this.#bucketSeen = true
      return isClaim(output) ? null : toFileState(output, output.ContentLength ?? 0)
    }
    await this.#expectBucket(name, signal)
    return null
  }

  /** Of an object that a HEAD has not found: throws where it is the bucket that is missing, or nobody can tell. */
  async #expectBucket(name: Name, signal: AbortSignal | undefined): Promise<void> {
    if (this.#bucketSeen) return
    try {
      // A GET says which of the two is missing, and needs no permission beyond reading.
      const { body } = await openObject(this.#connection, this.#key(name), undefined, signal)
      await body.close()
    } catch (error) {
      const { code, status } = analyse(error)
      if (code === 'NoSuchBucket' || status !== 404) throw error
    }
    this.#bucketSeen = true
  }

  protected async remove(names: readonly Name[], signal: AbortSignal | undefined) {
    const keys = new Map(names.map((name) => [this.#key(name), name]))
    const failures = await deleteKeys(this.#connection, [...keys.keys()], signal)
    return failures.flatMap(({ key, error }) => {
      const name = keys.get(key)
      return name === undefined ? [] : [{ name, error }]
    })
  }

  protected async removeBelow(
    folder: Name,
    dryRun: boolean,
    signal: AbortSignal | undefined,
  ): Promise<number> {
    let deleted = 0
    let failure: KeyFailure | undefined
    for await (const { keys } of listKeys(this.#connection, `${this.#key(folder)}/`, false, signal)) {
      deleted += keys.length
      if (dryRun) continue
      const failures = await deleteKeys(
        this.#connection,
        keys.map(({ key }) => key),
        signal,
      )
      failure ??= failures[0]
    }
    if (failure) throw failure.error
    return deleted
  }

  /**
   * Aborts the multipart uploads below the prefix that were begun more than `olderThan` seconds ago and never ended,
   * such as those of a process that was killed: nobody sees their parts, but they are paid for. R2 does so by itself after
   * a week, and most servers if a lifecycle rule of the bucket says so. Uploads of other programs below the prefix are
   * aborted, too, so `olderThan` must be more than the longest upload takes. Default a week.
   *
   * @throws {StorageError} `InvalidArgument` for the option, `Unavailable`, `PermissionDenied`, …
   */
  async abortStaleUploads(options: StaleUploadsOptions = {}): Promise<{ aborted: number }> {
    return this.perform('abortStaleUploads', undefined, options, async (_, signal) => {
      checkOptions(options, STALE_UPLOADS_OPTIONS)
      const { olderThan = 7 * 24 * 60 * 60 } = options
      if (!Number.isSafeInteger(olderThan) || olderThan < 1) {
        throw new Problem('InvalidArgument', 'olderThan must be a whole number of seconds, 1 or more')
      }
      const before = new Date(Date.now() - olderThan * 1000)
      return { aborted: await abortUploads(this.#connection, this.#config.prefix, before, signal) }
    })
  }

  protected async *entries(
    folder: Folder,
    recursive: boolean,
    signal: AbortSignal | undefined,
  ): AsyncIterable<readonly Entry[]> {
    const start = folder === '' ? this.#config.prefix : `${this.#key(folder)}/`
    for await (const page of listKeys(this.#connection, start, !recursive, signal)) {
      yield toEntries(page, this.#config.prefix)
    }
  }

  protected locate(name: Name): string {
    const { publicBaseUrl, endpoint, bucket } = this.#config
    if (publicBaseUrl !== undefined) return joinUrl(`${publicBaseUrl}/`, this.#key(name))
    if (endpoint !== undefined) return joinUrl(`${endpoint}/${bucket}/`, this.#key(name))
    throw new ConfigurationError({
      operation: 'url',
      file: name,
      reason: 'give the option publicBaseUrl or endpoint',
    })
  }

  protected async sign({
    name,
    expiresIn,
    signedAt,
    contentDisposition,
    contentType,
    signal,
  }: SignRequest): Promise<string> {
    const query: Record<string, string> = {}
    if (contentDisposition !== undefined) query['response-content-disposition'] = contentDisposition
    if (contentType !== undefined) query['response-content-type'] = contentType
    const credentials = await this.#connection.credentials(signal)
    return this.#presign('GET', name, query, {}, { credentials, signedAt, expiresIn })
  }

  protected async signUpload({
    name,
    size,
    expiresIn,
    signedAt,
    createOnly,
    attributes,
    signal,
  }: SignUploadRequest) {
    const fields = toCommandFields(attributes, this.#config.cacheControl)
    const headers: Record<string, string> = {
      'content-type': fields.ContentType,
      'cache-control': fields.CacheControl,
    }
    if (createOnly) headers['if-none-match'] = '*'
    for (const [key, value] of Object.entries(fields.Metadata)) headers[`x-amz-meta-${key}`] = value
    // Every client sends the length on its own; browsers let nobody else set it.
    const signed = { ...headers, 'content-length': String(size) }
    const credentials = await this.#connection.credentials(signal)
    const url = await this.#presign('PUT', name, {}, signed, { credentials, signedAt, expiresIn })
    return { url, headers, endsAt: credentials.expiration }
  }

  async #presign(
    method: string,
    name: Name,
    query: Readonly<Record<string, string>>,
    headers: Readonly<Record<string, string>>,
    { credentials, signedAt, expiresIn }: { credentials: S3Credentials; signedAt: Date; expiresIn: number },
  ): Promise<string> {
    const connection = this.#connection
    const { origin, host, path: base, region } = await connection.place()
    const path = `${base}/${this.#config.bucket}/${encodeExtendedPath(this.#key(name))}`
    const request = { method, host, path, query, headers }
    const context = { credentials, region, date: connection.toServerTime(signedAt.getTime()) }
    return `${origin}${path}?${presignedQuery(request, context, expiresIn)}`
  }

  protected classify(error: unknown): Problem {
    return classify(error, this.#config.bucket)
  }

  #key(name: Name): string {
    return this.#config.prefix + name
  }
}
