import type { Check } from '../checks.js'
import {
  checksOf,
  type Entry,
  type FileState,
  hasFile,
  type OpenedFile,
  type Place,
  type ReadRequest,
  type RemoveFailure,
  type SignedAddress,
  type SignedGrant,
  type SignedRequest,
  type SignRequest,
  type SignUploadRequest,
  type StageCopyRequest,
  type Staged,
  type StageRequest,
  type StorageDriver,
  sweepBelow,
} from '../driver.js'
import { inContext, type Problem } from '../errors.js'
import { type Folder, type Name, toFolder } from '../names.js'
import type { Storage } from '../storage.js'
import type { ListedFile } from '../types.js'
import type { UploadDriver } from '../upload-driver.js'
import { renamed } from './uploads.js'
import { type Inner, innerOf, WrappedStorage } from './wrapped.js'

/**
 * The files of `storage` below `folder`, by names relative to it: one tenant, one test, one part of a bucket.
 *
 * @throws {InvalidNameError} for a folder that breaks the naming rule. The root is refused.
 * @example const tenant = prefixed(defaultStorage, 'tenants/7')
 */
export function prefixed(storage: Storage, folder: string): Storage {
  return inContext({ operation: 'prefixed' }, () => {
    return new WrappedStorage(new PrefixedDriver(innerOf(storage), toFolder(folder, false)))
  })
}

/** Another driver's files below one folder. */
export class PrefixedDriver implements StorageDriver {
  readonly #inner: Inner
  readonly #start: string
  readonly #label: string | undefined

  /** `label` defaults to the inner driver's and the folder. */
  constructor(inner: Inner, folder: Folder, label?: string) {
    this.#inner = inner
    this.#start = `${folder}/`
    this.#label = label
  }

  get label(): string {
    return this.#label ?? `${this.#inner().label}/${this.#start.slice(0, -1)}`
  }

  get nameLimit(): number {
    return this.#inner().nameLimit - Buffer.byteLength(this.#start)
  }

  async stage(request: StageRequest): Promise<Staged> {
    return this.#staged(await this.#inner().stage({ ...request, name: this.#full(request.name) }))
  }

  async stageCopy(request: StageCopyRequest): Promise<Staged> {
    return this.#staged(await this.#inner().stageCopy({ ...request, from: this.#full(request.from) }))
  }

  #staged(staged: Staged): Staged {
    return {
      publish: (name, createOnly) => staged.publish(this.#full(name), createOnly),
      discard: () => staged.discard(),
    }
  }

  read(request: ReadRequest): Promise<OpenedFile> {
    return this.#inner().read({ ...request, name: this.#full(request.name) })
  }

  get scan(): StorageDriver['scan'] {
    const inner = this.#inner()
    const scan = inner.scan?.bind(inner)
    return scan && ((request) => scan({ ...request, name: this.#full(request.name) }))
  }

  head(name: Name, signal: AbortSignal | undefined): Promise<FileState | null> {
    return this.#inner().head(this.#full(name), signal)
  }

  has(name: Name, signal: AbortSignal | undefined): Promise<boolean> {
    return hasFile(this.#inner(), this.#full(name), signal)
  }

  async remove(names: readonly Name[], signal: AbortSignal | undefined): Promise<readonly RemoveFailure[]> {
    const full = names.map((name) => this.#full(name))
    const failures = await this.#inner().remove(full, signal)
    return failures.map(({ name, error }) => ({ name: this.#relative(name) as Name, error })) // One of `names`.
  }

  removeBelow(folder: Name, dryRun: boolean, signal: AbortSignal | undefined): Promise<number> {
    return this.#inner().removeBelow(this.#full(folder), dryRun, signal)
  }

  sweep(folder: Folder, before: Date, signal: AbortSignal | undefined): Promise<number> {
    return sweepBelow(this.#inner(), this.#full(folder), before, signal)
  }

  list(
    folder: Folder,
    signal: AbortSignal | undefined,
    after?: string,
  ): AsyncIterable<readonly ListedFile[]> {
    const from = after === undefined ? undefined : this.#start + after
    return this.#listed(this.#inner().list(this.#full(folder), signal, from))
  }

  listdir(folder: Folder, signal: AbortSignal | undefined): AsyncIterable<readonly Entry[]> {
    return this.#listed(this.#inner().listdir(this.#full(folder), signal))
  }

  async *#listed<T extends { readonly name: string }>(
    batches: AsyncIterable<readonly T[]>,
  ): AsyncIterable<readonly T[]> {
    for await (const batch of batches) {
      yield batch.map((entry) => ({ ...entry, name: this.#relative(entry.name) }))
    }
  }

  locate(name: Name): string {
    return this.#inner().locate(this.#full(name))
  }

  sign(request: SignRequest): Promise<string> {
    return this.#inner().sign({ ...request, name: this.#full(request.name) })
  }

  signUpload(request: SignUploadRequest): Promise<SignedRequest> {
    return this.#inner().signUpload({ ...request, name: this.#full(request.name) })
  }

  verify(address: SignedAddress): SignedGrant | undefined {
    return this.#inner().verify?.({ ...address, name: this.#full(address.name) })
  }

  get uploads(): UploadDriver | undefined {
    const inner = this.#inner().uploads
    return inner && renamed(inner, (name) => this.#full(name), this.#relativeName)
  }

  placesOf(folder: Folder): readonly Place[] {
    return [{ driver: this.#inner(), folder: this.#full(folder) }]
  }

  async checks(): Promise<readonly Check[]> {
    const full = (folder: Folder) => this.#full(folder)
    return (await checksOf(this.#inner())).map((check) => ({
      ...check,
      run: (request) => check.run({ ...request, folder: full(request.folder) }),
    }))
  }

  classify(error: unknown): Problem {
    return this.#inner().classify(error)
  }

  /** Undefined for a name outside of the folder. */
  #relativeName = (full: Name): Name | undefined =>
    full.startsWith(this.#start) ? (this.#relative(full) as Name) : undefined // The rest of a name is one.

  #full(name: Folder): Name {
    const full = name === '' ? this.#start.slice(0, -1) : this.#start + name
    return full as Name // The folder and the name are checked, and `nameLimit` bounds the two together.
  }

  /** R2 matches keys in NFC and lists them as they were written, so a listed key may begin with another form. */
  #relative(full: string): string {
    return (full.startsWith(this.#start) ? full : full.normalize('NFC')).slice(this.#start.length)
  }
}
