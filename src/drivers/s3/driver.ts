import { Readable } from 'node:stream'
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
  StorageDriver,
} from '../../driver.js'
import { Problem } from '../../errors.js'
import { type Folder, MAX_NAME_BYTES, type Name } from '../../names.js'
import { encodeExtendedPath } from '../../percent.js'
import { resolveRange } from '../../ranges.js'
import type { ListedFile } from '../../types.js'
import { joinUrl } from '../options.js'
import { isClaim, newWriteId, toCommandFields, toFileState } from './attributes.js'
import { S3Connection } from './connection.js'
import { copyObject, SourceReplaced } from './copy.js'
import { deleteKeys, type KeyFailure } from './delete.js'
import { analyse, classify } from './failures.js'
import { listKeys, toEntries } from './listing.js'
import { abortUploads, uploadMultipart } from './multipart.js'
import type { S3Config, S3Credentials } from './options.js'
import { PartReader, partSizeFor } from './parts.js'
import { openObject } from './read.js'
import { presignedQuery } from './sigv4.js'
import { headObject, putObject } from './writes.js'

/** Of a source that is replaced while it is copied. */
const COPY_ATTEMPTS = 10
/** Those that take another ETag for a replaced source. More would be in vain: on that server it is no MD5. */
const STRICT_COPY_ATTEMPTS = 3

/** Files in a bucket of an S3-compatible server. */
export class S3Driver implements StorageDriver {
  readonly label: string
  readonly nameLimit = MAX_NAME_BYTES
  readonly #connection: S3Connection
  readonly #config: S3Config
  /** A HEAD cannot tell a missing key from a missing bucket; this remembers that the bucket was seen. */
  #bucketSeen = false

  constructor(config: S3Config, label: string) {
    this.#config = config
    this.#connection = new S3Connection(config)
    this.label = label
  }

  async stage({ body, attributes, signal, progress }: StageRequest): Promise<Staged> {
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
          const write = { key: name, writeId: newWriteId(), createOnly, signal }
          return putObject(connection, { bytes, fields, ...write })
        },
        discard: async () => {},
      }
    }
    return {
      publish: async (name, createOnly) => {
        const key = name
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

  async stageCopy({ from, move, signal }: StageCopyRequest): Promise<Staged> {
    const fromKey = from
    let source = await this.#source(from, signal)
    const copyTo = async (name: Name, createOnly: boolean) => {
      for (let attempt = 1; ; attempt++) {
        const write = { key: name, writeId: newWriteId(), createOnly, signal }
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
    const source = await headObject(this.#connection, name, signal)
    if (source !== null && !isClaim(source)) return source
    await this.#expectBucket(name, signal)
    throw new Problem('NotFound', 'there is no such file')
  }

  async #removeSource(from: Name, to: Name): Promise<void> {
    const [failure] = await deleteKeys(this.#connection, [from], undefined)
    if (!failure) return
    const { code, message, cause } = this.classify(failure.error)
    const reason = `the copy is at ${JSON.stringify(to)}, but the source could not be deleted: ${message}`
    throw new Problem(code, reason, { cause, file: from })
  }

  async read({ name, range, signal }: ReadRequest): Promise<OpenedFile> {
    if (range?.length === 0) return this.#readNothing(name, range, signal)
    const { output, size, range: delivered, body } = await openObject(this.#connection, name, range, signal)
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

  async head(name: Name, signal: AbortSignal | undefined): Promise<FileState | null> {
    const output = await headObject(this.#connection, name, signal)
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
      const { body } = await openObject(this.#connection, name, undefined, signal)
      await body.close()
    } catch (error) {
      const { code, status } = analyse(error)
      if (code === 'NoSuchBucket' || status !== 404) throw error
    }
    this.#bucketSeen = true
  }

  async remove(names: readonly Name[], signal: AbortSignal | undefined) {
    const failures = await deleteKeys(this.#connection, names, signal)
    return failures.map(({ key, error }) => ({ name: key as Name, error })) // The keys are the names given.
  }

  async removeBelow(folder: Name, dryRun: boolean, signal: AbortSignal | undefined): Promise<number> {
    let deleted = 0
    let failure: KeyFailure | undefined
    for await (const { keys } of listKeys(this.#connection, `${folder}/`, false, signal)) {
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

  /** Aborts the multipart uploads of keys below `prefix` that were begun before a time. Returns their number. */
  abortUploads(prefix: string, before: Date, signal: AbortSignal | undefined): Promise<number> {
    return abortUploads(this.#connection, prefix, before, signal)
  }

  async *list(folder: Folder, signal: AbortSignal | undefined): AsyncIterable<readonly ListedFile[]> {
    for await (const page of listKeys(this.#connection, startOf(folder), false, signal)) {
      yield page.keys.map(({ key, ...state }) => ({ name: key, ...state }))
    }
  }

  async *listdir(folder: Folder, signal: AbortSignal | undefined): AsyncIterable<readonly Entry[]> {
    for await (const page of listKeys(this.#connection, startOf(folder), true, signal)) {
      yield toEntries(page)
    }
  }

  locate(name: Name): string {
    const { publicBaseUrl, endpoint, bucket } = this.#config
    if (publicBaseUrl !== undefined) return joinUrl(`${publicBaseUrl}/`, name)
    if (endpoint !== undefined) return joinUrl(`${endpoint}/${bucket}/`, name)
    throw new Problem('Misconfigured', 'give the option publicBaseUrl or endpoint')
  }

  async sign({
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

  async signUpload({ name, size, expiresIn, signedAt, createOnly, attributes, signal }: SignUploadRequest) {
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
    const path = `${base}/${this.#config.bucket}/${encodeExtendedPath(name)}`
    const request = { method, host, path, query, headers }
    const context = { credentials, region, date: connection.toServerTime(signedAt.getTime()) }
    return `${origin}${path}?${presignedQuery(request, context, expiresIn)}`
  }

  classify(error: unknown): Problem {
    return classify(error, this.#config.bucket)
  }
}

/** What the keys of the files below a folder begin with. */
function startOf(folder: Folder): string {
  return folder === '' ? '' : `${folder}/`
}
