import type { Check } from '../../checks.js'
import type {
  Entry,
  FileState,
  OpenedFile,
  ReadRequest,
  SignedRequest,
  SignRequest,
  SignUploadRequest,
  StageCopyRequest,
  Staged,
  StageRequest,
} from '../../driver.js'
import type { Problem } from '../../errors.js'
import { type Folder, type Name, RESERVED_SEGMENT } from '../../names.js'
import type { ListedFile } from '../../types.js'
import { toObjectAttributes } from './attributes.js'
import { BucketConfig } from './bucket-config.js'
import { S3Checks } from './checks.js'
import { classify } from './classify.js'
import type { S3Config } from './config.js'
import { S3Connection } from './connection.js'
import { Copier } from './copier.js'
import { deleteKeys, type KeyFailure } from './delete.js'
import { uploadHeaders } from './headers.js'
import { HttpObjectApi } from './http.js'
import { listKeys, toEntries } from './listing.js'
import type { ObjectApi } from './object-api.js'
import { PublisherChoice } from './publishers/choose.js'
import { Reader } from './reader.js'
import { SdkObjectApi } from './sdk.js'
import { Signer } from './signer.js'
import { abortUploads } from './stale-uploads.js'
import { sweep } from './sweep.js'
import { S3Uploads } from './uploads.js'
import { Writer } from './writer.js'

/** The work of {@link S3Driver}, loaded with its first use. Names are keys. */
export class S3Engine {
  readonly uploads: S3Uploads
  readonly #api: ObjectApi
  readonly #connection: S3Connection
  readonly #publishers: PublisherChoice
  readonly #config: S3Config
  readonly #signer: Signer
  readonly #reader: Reader
  readonly #writer: Writer
  readonly #copier: Copier

  constructor(config: S3Config) {
    const signer = new Signer(config)
    this.#config = config
    this.#signer = signer
    this.#api = chooseApi(config, signer)
    this.#connection = new S3Connection(this.#api, signer, config)
    this.#publishers = new PublisherChoice(this.#connection)
    this.#reader = new Reader(this.#connection)
    this.#writer = new Writer(this.#connection, this.#publishers)
    this.#copier = new Copier(this.#connection, this.#publishers, this.#reader, this.#writer)
    this.uploads = new S3Uploads(this.#connection, (request) => this.#copier.stage(request))
  }

  stage(request: StageRequest): Promise<Staged> {
    return this.#writer.stage(request)
  }

  stageCopy(request: StageCopyRequest): Promise<Staged> {
    return this.#copier.stage(request)
  }

  read(request: ReadRequest): Promise<OpenedFile> {
    return this.#reader.read(request)
  }

  head(name: Name, signal: AbortSignal | undefined): Promise<FileState | null> {
    return this.#reader.head(name, signal)
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

  /**
   * Aborts the multipart uploads of keys below `prefix` that were begun before a time, and removes the direct uploads that
   * were complete. Returns their number.
   */
  async abortUploads(prefix: string, before: Date, signal: AbortSignal | undefined): Promise<number> {
    const aborted = await abortUploads(this.#connection, prefix, before, signal)
    return aborted + (await this.uploads.removeStale(before, signal))
  }

  /** The settings of the bucket. */
  config(): BucketConfig {
    return new BucketConfig(this.#connection)
  }

  sweep(folder: Folder, before: Date, signal: AbortSignal | undefined): Promise<number> {
    return sweep(this.#connection, startOf(folder), before, signal)
  }

  async *list(
    folder: Folder,
    signal: AbortSignal | undefined,
    after?: string,
  ): AsyncIterable<readonly ListedFile[]> {
    for await (const page of listKeys(this.#connection, startOf(folder), false, signal, after)) {
      yield page.keys.filter(({ key }) => !isOwn(key)).map(({ key, ...state }) => ({ name: key, ...state }))
    }
  }

  async *listdir(folder: Folder, signal: AbortSignal | undefined): AsyncIterable<readonly Entry[]> {
    for await (const page of listKeys(this.#connection, startOf(folder), true, signal)) {
      yield toEntries(page).filter(({ name }) => !isOwn(name))
    }
  }

  /** See `StorageDriver.checks`. */
  checks(): readonly Check[] {
    return new S3Checks(this.#connection, this.#signer).all()
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

/** Requests go over our own client, unless the caller wants an AWS client. */
function chooseApi(config: S3Config, signer: Signer): ObjectApi {
  const { client, fastPath, address } = config
  if (client || !fastPath || address === undefined) return new SdkObjectApi(config, signer)
  return new HttpObjectApi(address, config, signer)
}

/** Whether a key is one of the storage's own: a probe, or a direct upload that nobody may see yet. */
function isOwn(key: string): boolean {
  return key.includes(RESERVED_SEGMENT) && key.split('/').includes(RESERVED_SEGMENT)
}

/** The start of the keys of all files below a folder. */
function startOf(folder: Folder): string {
  return folder === '' ? '' : `${folder}/`
}
