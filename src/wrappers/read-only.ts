import { type Check, type CheckRequest, skipped } from '../checks.js'
import {
  checksOf,
  type Entry,
  type FileState,
  hasFile,
  type OpenedFile,
  type Place,
  type ReadRequest,
  type SignedAddress,
  type SignedGrant,
  type SignRequest,
  type StorageDriver,
} from '../driver.js'
import { inContext, Problem } from '../errors.js'
import type { Folder, Name } from '../names.js'
import type { Storage } from '../storage.js'
import type { ListedFile } from '../types.js'
import type { UploadDriver } from '../upload-driver.js'
import { type Inner, innerOf, WrappedStorage } from './wrapped.js'

/**
 * The files of `storage`, for reading only: everything that writes, deletes or signs an upload is `PermissionDenied`
 * and touches nothing.
 *
 * @example setDefaultStorage(readOnly(new R2Storage(options))) // a job that must not change anything
 */
export function readOnly(storage: Storage): Storage {
  return inContext({ operation: 'readOnly' }, () => new WrappedStorage(new ReadOnlyDriver(innerOf(storage))))
}

/** Another driver without its writes. */
class ReadOnlyDriver implements StorageDriver {
  readonly #inner: Inner

  constructor(inner: Inner) {
    this.#inner = inner
  }

  get label(): string {
    return `readOnly(${this.#inner().label})`
  }

  get nameLimit(): number {
    return this.#inner().nameLimit
  }

  read(request: ReadRequest): Promise<OpenedFile> {
    return this.#inner().read(request)
  }

  get scan(): StorageDriver['scan'] {
    const inner = this.#inner()
    return inner.scan?.bind(inner)
  }

  head(name: Name, signal: AbortSignal | undefined): Promise<FileState | null> {
    return this.#inner().head(name, signal)
  }

  has(name: Name, signal: AbortSignal | undefined): Promise<boolean> {
    return hasFile(this.#inner(), name, signal)
  }

  list(
    folder: Folder,
    signal: AbortSignal | undefined,
    after?: string,
  ): AsyncIterable<readonly ListedFile[]> {
    return this.#inner().list(folder, signal, after)
  }

  listdir(folder: Folder, signal: AbortSignal | undefined): AsyncIterable<readonly Entry[]> {
    return this.#inner().listdir(folder, signal)
  }

  locate(name: Name): string {
    return this.#inner().locate(name)
  }

  sign(request: SignRequest): Promise<string> {
    return this.#inner().sign(request)
  }

  verify(address: SignedAddress): SignedGrant | undefined {
    return address.method === 'PUT' ? undefined : this.#inner().verify?.(address)
  }

  placesOf(folder: Folder): readonly Place[] {
    return [{ driver: this.#inner(), folder }]
  }

  /** It has the place of every check that writes, also of the one of files. */
  async checks(): Promise<readonly Check[]> {
    const inner = (await checksOf(this.#inner())).map((check) => ({
      ...check,
      run: async (request: CheckRequest) =>
        check.writes ? READ_ONLY : check.run({ ...request, writable: false }),
    }))
    const write = {
      group: 'Files',
      check: 'write',
      essential: false,
      writes: true,
      needs: [],
      run: async () => READ_ONLY,
    }
    return [...inner.filter(({ check }) => check !== 'write'), write]
  }

  classify(error: unknown): Problem {
    return this.#inner().classify(error)
  }

  stage(): Promise<never> {
    return refuse()
  }

  stageCopy(): Promise<never> {
    return refuse()
  }

  remove(): Promise<never> {
    return refuse()
  }

  async removeBelow(folder: Name, dryRun: boolean, signal: AbortSignal | undefined): Promise<number> {
    return dryRun ? this.#inner().removeBelow(folder, dryRun, signal) : refuse()
  }

  sweep(): Promise<never> {
    return refuse()
  }

  signUpload(): Promise<never> {
    return refuse()
  }

  get uploads(): UploadDriver | undefined {
    return this.#inner().uploads && REFUSED_UPLOADS
  }
}

const READ_ONLY = skipped('Nothing is written: the storage is read-only.')

const REFUSED_UPLOADS: UploadDriver = {
  create: refuse,
  list: refuse,
  signPart: refuse,
  complete: refuse,
  isPublished: refuse,
  abort: refuse,
}

async function refuse(): Promise<never> {
  throw new Problem('PermissionDenied', 'the storage is read-only')
}
