import { Readable } from 'node:stream'
import { toBody } from '../../content.js'
import {
  type Entry,
  type FileState,
  type OpenedFile,
  type ReadRequest,
  type SignedRequest,
  type SignRequest,
  type SignUploadRequest,
  type StageCopyRequest,
  type Staged,
  type StageRequest,
  sourceReplaced,
} from '../../driver.js'
import { Problem } from '../../errors.js'
import { pickAttributes } from '../../headers.js'
import type { Folder, Name } from '../../names.js'
import { resolveRange } from '../../ranges.js'
import { either } from '../../signals.js'
import { StoredFile } from '../../stored-file.js'
import type { ListedFile } from '../../types.js'
import { newWriteId, toFileState, toObjectAttributes } from './attributes.js'
import { classify } from './classify.js'
import { S3Connection } from './connection.js'
import { isDecodedTwice, SourceReplaced } from './copy.js'
import { deleteKeys, type KeyFailure } from './delete.js'
import { analyse } from './failures.js'
import { headObject, type SizedObject } from './head.js'
import { uploadHeaders } from './headers.js'
import { HttpObjectApi } from './http.js'
import { listKeys, toEntries } from './listing.js'
import { explainHead, explainRead, isTaken } from './look.js'
import { uploadMultipart } from './multipart.js'
import type { ObjectApi, ObjectAttributes } from './object-api.js'
import type { S3Config } from './options.js'
import { PartReader, partSizeFor } from './parts.js'
import { PublisherChoice } from './publishers/choose.js'
import { isPlaceholder } from './publishers/placeholder.js'
import { openObject } from './read.js'
import { SdkObjectApi } from './sdk.js'
import { Signer } from './signer.js'
import { abortUploads } from './stale-uploads.js'

/** Attempts at a copy whose source keeps changing. */
const COPY_ATTEMPTS = 10
/** Attempts that treat a changed ETag as a changed source. After that it is taken for no MD5 on this server. */
const STRICT_COPY_ATTEMPTS = 3

/** The work of {@link S3Driver}, loaded with its first use. Names are keys. */
export class S3Engine {
  readonly #api: ObjectApi
  readonly #connection: S3Connection
  readonly #publishers: PublisherChoice
  readonly #config: S3Config
  /** A HEAD cannot tell a missing key from a missing bucket; this remembers that the bucket was seen. */
  #bucketSeen = false

  constructor(config: S3Config) {
    const signer = new Signer(config)
    this.#config = config
    this.#api = chooseApi(config, signer)
    this.#connection = new S3Connection(this.#api, signer, config)
    this.#publishers = new PublisherChoice(this.#connection)
  }

  async stage(request: StageRequest): Promise<Staged> {
    const { body, signal, progress } = request
    const attributes = toObjectAttributes(request.attributes, this.#config.cacheControl)
    const partSize = partSizeFor(body, this.#config.partSize)
    if (body.bytes !== undefined && body.bytes.byteLength <= partSize) {
      progress(body.bytes.byteLength)
      return this.#stagedPut(body.bytes, attributes, signal)
    }
    const stop = new AbortController()
    const newReader = () => new PartReader(body.chunks(either(signal, stop.signal)), partSize)
    const parts = newReader()
    const bytes = body.bytes === undefined ? await parts.whole() : null
    if (bytes) {
      progress(bytes.byteLength)
      return this.#stagedPut(bytes, attributes, signal)
    }
    return this.#stagedUpload(request, { attributes, stop, first: parts, newReader })
  }

  #stagedPut(bytes: Uint8Array, attributes: ObjectAttributes, signal: AbortSignal | undefined): Staged {
    return {
      publish: async (name, createOnly) => {
        const write = { key: name, writeId: newWriteId(), createOnly, signal }
        return (await this.#publishers.forPut(write)).put({ ...write, bytes, attributes })
      },
      discard: async () => {},
    }
  }

  #stagedUpload({ body, signal, progress }: StageRequest, upload: StagedUpload): Staged {
    const connection = this.#connection
    const { attributes, stop, first, newReader } = upload
    let parts: PartReader | undefined
    return {
      publish: async (name, createOnly) => {
        if (createOnly && (await isTaken(connection, name, signal))) return false
        const write = { key: name, writeId: newWriteId(), createOnly, signal }
        // Chosen before the content is sent: a choice that fails afterwards would waste it.
        const publisher = await this.#publishers.get(write)
        parts = parts === undefined ? first : newReader()
        const published = await uploadMultipart(
          connection,
          { ...write, parts, stop, attributes, progress },
          (target, sent) => publisher.complete(write, target, sent),
        )
        if (published) return true
        if (body.replayable) return false
        throw new Problem(
          'AlreadyExists',
          'the name was taken while the stream was uploaded; nothing was overwritten, but a stream cannot be sent again',
        )
      },
      discard: () => (parts ?? first).stop(),
    }
  }

  async stageCopy(request: StageCopyRequest): Promise<Staged> {
    const { from, move, version, signal } = request
    const pinned = version !== undefined
    if (pinned && isDecodedTwice(from) && !this.#config.conditionalCopy) return this.#stageBytes(request)
    let source = await this.#source(request)
    const copyTo = async (name: Name, createOnly: boolean) => {
      const target = { key: name, createOnly, signal }
      const publisher = await this.#publishers.get(target)
      for (let attempt = 1; ; attempt++) {
        const write = { ...target, writeId: newWriteId() }
        const strict = attempt <= STRICT_COPY_ATTEMPTS
        try {
          return await publisher.copy({ fromKey: from, source, strict, pinned, ...write })
        } catch (error) {
          if (!(error instanceof SourceReplaced) || attempt === COPY_ATTEMPTS) throw error
          source = await this.#source(request)
        }
      }
    }
    return {
      publish: async (name, createOnly) => {
        if (!(await copyTo(name, createOnly))) return false
        if (move) await this.#removeSource(from, name, version)
        return true
      },
      discard: async () => {},
    }
  }

  /** A copy by way of this process, for a version that the server cannot be asked to copy. */
  async #stageBytes({ from, move, version, contentType, signal }: StageCopyRequest): Promise<Staged> {
    const { state, range, body } = await this.read({ name: from, range: undefined, signal })
    try {
      if (state.etag !== version) throw sourceReplaced()
      const file = new StoredFile({ name: from, ...state }, range, body, (error) => error, signal)
      const attributes = pickAttributes({ ...state, contentType: contentType ?? state.contentType })
      const staged = await this.stage({
        name: from,
        body: toBody(file),
        attributes,
        signal,
        progress: () => {},
      })
      return {
        publish: async (name, createOnly) => {
          if (!(await staged.publish(name, createOnly))) return false
          if (move) await this.#removeSource(from, name, version)
          return true
        },
        discard: () => staged.discard(),
      }
    } catch (error) {
      await body.close()
      throw error
    }
  }

  /** The source of a copy, with the attributes that the copy gets. */
  async #source({ from, version, contentType, signal }: StageCopyRequest): Promise<SizedObject> {
    const source = await this.#find(from, signal)
    if (source === null || isPlaceholder(source)) {
      await this.#expectBucket(from, signal)
      throw new Problem('NotFound', 'there is no such file')
    }
    if (version !== undefined && source.etag !== version) throw sourceReplaced()
    return contentType === undefined ? source : { ...source, headers: { ...source.headers, contentType } }
  }

  /** With `version` only that one: another may have come to its name meanwhile. */
  async #removeSource(from: Name, to: Name, version: string | undefined): Promise<void> {
    try {
      if (version !== undefined) {
        const current = await headObject(this.#connection, from, undefined)
        if (current?.etag !== version || isPlaceholder(current)) return
      }
      const [failure] = await deleteKeys(this.#connection, [from], undefined)
      if (failure) throw failure.error
    } catch (error) {
      const { code, message, cause } = this.classify(error)
      const reason = `the copy is at ${JSON.stringify(to)}, but the source could not be deleted: ${message}`
      throw new Problem(code, reason, { cause, file: from })
    }
  }

  async read({ name, range, signal }: ReadRequest): Promise<OpenedFile> {
    if (range?.length === 0) return this.#readNothing(name, range, signal)
    const opened = await openObject(this.#connection, name, range, signal).catch((error: unknown) => {
      throw explainRead(error)
    })
    const { state, size, range: delivered, body } = opened
    if (isPlaceholder(state)) {
      await body.close()
      throw new Problem('NotFound', 'there is no such file')
    }
    return { state: toFileState(state, size), range: delivered, body }
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
      unreadTimeout: 0, // It holds nothing.
      bytes: async () => Buffer.alloc(0),
      stream: () => Readable.from([]),
      close: async () => {},
    }
    return { state, range: resolveRange(range, state.size), body }
  }

  async head(name: Name, signal: AbortSignal | undefined): Promise<FileState | null> {
    const found = await this.#find(name, signal)
    if (found === null) {
      await this.#expectBucket(name, signal)
      return null
    }
    this.#bucketSeen = true
    return isPlaceholder(found) ? null : toFileState(found, found.size)
  }

  async #find(name: Name, signal: AbortSignal | undefined): Promise<SizedObject | null> {
    try {
      return await headObject(this.#connection, name, signal)
    } catch (error) {
      throw await explainHead(this.#connection, name, error, signal)
    }
  }

  /** After a HEAD has not found an object: throws where the bucket is missing, or nobody can tell. */
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

  async *list(
    folder: Folder,
    signal: AbortSignal | undefined,
    after?: string,
  ): AsyncIterable<readonly ListedFile[]> {
    for await (const page of listKeys(this.#connection, startOf(folder), false, signal, after)) {
      yield page.keys.map(({ key, ...state }) => ({ name: key, ...state }))
    }
  }

  async *listdir(folder: Folder, signal: AbortSignal | undefined): AsyncIterable<readonly Entry[]> {
    for await (const page of listKeys(this.#connection, startOf(folder), true, signal)) {
      yield toEntries(page)
    }
  }

  /** See `StorageDriver.classify`. */
  classify(error: unknown): Problem {
    return classify(error, this.#config.bucket)
  }

  async sign(request: SignRequest): Promise<string> {
    const { name, method, expiresIn, signedAt, contentDisposition, contentType, signal } = request
    const respondWith = { contentDisposition, contentType }
    const signed = { method, key: name, expiresIn, signedAt, respondWith }
    return (await this.#api.sign(signed, signal)).url
  }

  async signUpload(request: SignUploadRequest): Promise<SignedRequest> {
    const { name, size, expiresIn, signedAt, signal } = request
    const createOnly = request.createOnly && (await this.#publishers.prepareSigning(name, signal))
    const attributes = toObjectAttributes(request.attributes, this.#config.cacheControl)
    const signed = { method: 'PUT', key: name, expiresIn, signedAt, attributes, size, createOnly } as const
    const { url, endsAt } = await this.#api.sign(signed, signal)
    return { url, headers: uploadHeaders(attributes, createOnly, this.#config.writeHeaders), endsAt }
  }
}

interface StagedUpload {
  readonly attributes: ObjectAttributes
  readonly stop: AbortController
  /** Has read the beginning of the content. */
  readonly first: PartReader
  newReader(): PartReader
}

/** Requests go over our own client, unless the caller wants an AWS client. */
function chooseApi(config: S3Config, signer: Signer): ObjectApi {
  const { client, fastPath, address } = config
  if (client || !fastPath || address === undefined) return new SdkObjectApi(config, signer)
  return new HttpObjectApi(address, config, signer)
}

/** What the keys of the files below a folder begin with. */
function startOf(folder: Folder): string {
  return folder === '' ? '' : `${folder}/`
}
