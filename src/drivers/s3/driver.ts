import type { Check } from '../../checks.js'
import type {
  Entry,
  FileState,
  OpenedFile,
  ReadRequest,
  RemoveFailure,
  SignedRequest,
  SignRequest,
  SignUploadRequest,
  StageCopyRequest,
  Staged,
  StageRequest,
  StorageDriver,
} from '../../driver.js'
import { Problem } from '../../errors.js'
import { lazily } from '../../load.js'
import { type Folder, MAX_NAME_BYTES, type Name } from '../../names.js'
import { startCounting } from '../../telemetry.js'
import type { ListedFile } from '../../types.js'
import type { UploadDriver } from '../../upload-driver.js'
import { joinUrl } from '../options.js'
import type { BucketConfig } from './bucket-config.js'
import type { S3Config } from './config.js'
import type { S3Engine } from './engine.js'

const loadEngine = lazily(() => import('./engine.js'))

/**
 * Files in a bucket of an S3-compatible server. Names are keys. The work is done by an engine that is loaded with the
 * first use: its code is a third of the package, and many processes never need it.
 */
export class S3Driver implements StorageDriver {
  readonly label: string
  readonly nameLimit = MAX_NAME_BYTES
  readonly uploads: UploadDriver
  readonly #config: S3Config
  #engine: S3Engine | undefined

  constructor(config: S3Config, label: string) {
    this.#config = config
    this.label = label
    startCounting()
    this.uploads = uploadsOf(async () => (this.#engine ?? (await this.#load())).uploads)
  }

  async stage(request: StageRequest): Promise<Staged> {
    return (this.#engine ?? (await this.#load())).stage(request)
  }

  async stageCopy(request: StageCopyRequest): Promise<Staged> {
    return (this.#engine ?? (await this.#load())).stageCopy(request)
  }

  async read(request: ReadRequest): Promise<OpenedFile> {
    return (this.#engine ?? (await this.#load())).read(request)
  }

  async head(name: Name, signal: AbortSignal | undefined): Promise<FileState | null> {
    return (this.#engine ?? (await this.#load())).head(name, signal)
  }

  async remove(names: readonly Name[], signal: AbortSignal | undefined): Promise<readonly RemoveFailure[]> {
    return (this.#engine ?? (await this.#load())).remove(names, signal)
  }

  async removeBelow(folder: Name, dryRun: boolean, signal: AbortSignal | undefined): Promise<number> {
    return (this.#engine ?? (await this.#load())).removeBelow(folder, dryRun, signal)
  }

  /**
   * Aborts the multipart uploads of keys below `prefix` that were begun before a time, and removes the direct uploads that
   * were complete. Returns their number.
   */
  async abortUploads(prefix: string, before: Date, signal: AbortSignal | undefined): Promise<number> {
    return (this.#engine ?? (await this.#load())).abortUploads(prefix, before, signal)
  }

  /** The settings of the bucket. */
  async config(): Promise<BucketConfig> {
    return (this.#engine ?? (await this.#load())).config()
  }

  async sweep(folder: Folder, before: Date, signal: AbortSignal | undefined): Promise<number> {
    return (this.#engine ?? (await this.#load())).sweep(folder, before, signal)
  }

  async *list(
    folder: Folder,
    signal: AbortSignal | undefined,
    after?: string,
  ): AsyncIterable<readonly ListedFile[]> {
    yield* (this.#engine ?? (await this.#load())).list(folder, signal, after)
  }

  async *listdir(folder: Folder, signal: AbortSignal | undefined): AsyncIterable<readonly Entry[]> {
    yield* (this.#engine ?? (await this.#load())).listdir(folder, signal)
  }

  locate(name: Name): string {
    const { publicBaseUrl, address } = this.#config
    if (publicBaseUrl !== undefined) return joinUrl(`${publicBaseUrl}/`, name)
    if (address) return joinUrl(`${address.origin}${address.path}/`, name)
    throw new Problem('Misconfigured', 'give the option publicBaseUrl or endpoint')
  }

  async sign(request: SignRequest): Promise<string> {
    return (this.#engine ?? (await this.#load())).sign(request)
  }

  async signUpload(request: SignUploadRequest): Promise<SignedRequest> {
    return (this.#engine ?? (await this.#load())).signUpload(request)
  }

  async checks(): Promise<readonly Check[]> {
    return (this.#engine ?? (await this.#load())).checks()
  }

  classify(error: unknown): Problem {
    if (this.#engine) return this.#engine.classify(error)
    return new Problem('Unknown', 'the request failed before it was sent', { cause: error })
  }

  async #load(): Promise<S3Engine> {
    const { S3Engine } = await loadEngine()
    // Others may have waited for the module as well.
    this.#engine ??= new S3Engine(this.#config)
    return this.#engine
  }
}

/** The uploads of an engine that is loaded with their first use. */
function uploadsOf(load: () => Promise<UploadDriver>): UploadDriver {
  return {
    create: async (request) => (await load()).create(request),
    list: async (request) => (await load()).list(request),
    signPart: async (request) => (await load()).signPart(request),
    complete: async (request) => (await load()).complete(request),
    isPublished: async (request, as) => (await load()).isPublished(request, as),
    abort: async (request) => (await load()).abort(request),
  }
}
