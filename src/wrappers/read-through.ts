import type { Check } from '../checks.js'
import { copyThrough } from '../copy-through.js'
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
import { inContext, isProblem, Problem } from '../errors.js'
import type { Folder, Name } from '../names.js'
import type { Storage } from '../storage.js'
import { explainErrors, type OpenBody } from '../stored-file.js'
import type { ListedFile } from '../types.js'
import type { UploadDriver } from '../upload-driver.js'
import { type Merged, merge } from './merge.js'
import { guarded } from './uploads.js'
import { type Inner, innerOf, WrappedStorage } from './wrapped.js'

/**
 * A move without downtime: files that `storage` does not have yet are read from `older`, while {@link migrate} copies
 * them over. Writes go to `storage`. A name that `older` has counts as taken. Deletes go to both. Public and signed
 * addresses are those of `storage`.
 *
 * Limits: a copy that `migrate` has begun may bring a file back that is deleted or moved in that moment. Nothing but
 * this storage may write to `older`.
 *
 * @example
 * const storage = readThrough(new R2Storage(options), new FileSystemStorage({ location: './uploads' }))
 */
export function readThrough(storage: Storage, older: Storage): Storage {
  return inContext({ operation: 'readThrough' }, () => {
    return new WrappedStorage(new ReadThroughDriver(innerOf(storage), innerOf(older)))
  })
}

/** One driver in front of an older one. */
class ReadThroughDriver implements StorageDriver {
  readonly #newer: Inner
  readonly #older: () => Older
  readonly #places: (folder: Folder) => readonly Place[]

  constructor(newer: Inner, older: Inner) {
    this.#newer = newer
    this.#older = () => explained(older())
    this.#places = (folder) => [newer, older].map((inner) => ({ driver: inner(), folder }))
  }

  get label(): string {
    return `readThrough(${this.#newer().label}, ${this.#older().label})`
  }

  get nameLimit(): number {
    return Math.min(this.#newer().nameLimit, this.#older().nameLimit)
  }

  async stage(request: StageRequest): Promise<Staged> {
    return this.#guard(await this.#newer().stage(request), request.signal)
  }

  /** The older driver is looked at first: its names are taken, and it gets no new ones. */
  #guard(staged: Staged, signal: AbortSignal | undefined, before = async () => {}): Staged {
    return {
      publish: async (name, createOnly) => {
        if (createOnly && (await this.#older().has(name, signal))) return false
        await before()
        return staged.publish(name, createOnly)
      },
      discard: () => staged.discard(),
    }
  }

  async stageCopy(request: StageCopyRequest): Promise<Staged> {
    try {
      const staged = await this.#newer().stageCopy(request)
      // Before the source goes, so that its older version does not show for a moment.
      return this.#guard(staged, request.signal, () => this.#removeOlderSource(request, this.#newer()))
    } catch (error) {
      if (!isMissing(error, this.#newer())) throw error
    }
    return this.#stageCopyOfOlder(request)
  }

  /** Ends a move. With `version` only where `source` still has that one. */
  async #removeOlderSource(
    { from, move, version }: StageCopyRequest,
    source: Pick<StorageDriver, 'head'>,
  ): Promise<void> {
    if (!move) return
    if (version !== undefined && (await source.head(from, undefined))?.etag !== version) return
    await this.#removeOlder(from)
  }

  async #stageCopyOfOlder(request: StageCopyRequest): Promise<Staged> {
    const { from, signal } = request
    let opened: OpenedFile
    try {
      opened = await this.#older().read({ name: from, range: undefined, signal })
    } catch (error) {
      // It may have been copied over and removed since the first look.
      if (isMissing(error)) return this.#guard(await this.#newer().stageCopy(request), signal)
      throw error
    }
    return copyThrough(request, opened, {
      stage: async (staging) => this.#guard(await this.#newer().stage(staging), signal),
      finish: () => this.#removeOlderSource(request, this.#older()),
    })
  }

  async #removeOlder(name: Name): Promise<void> {
    const [failure] = await this.#older().remove([name], undefined)
    if (failure) throw failure.error
  }

  /** Newer, older, and newer again: a file may be copied over and removed between the first two looks. */
  async read(request: ReadRequest): Promise<OpenedFile> {
    try {
      return await this.#newer().read(request)
    } catch (error) {
      if (!isMissing(error, this.#newer())) throw error
    }
    try {
      return await this.#older().read(request)
    } catch (error) {
      if (!isMissing(error)) throw error
    }
    return this.#newer().read(request)
  }

  /** As `read`. */
  get scan(): StorageDriver['scan'] {
    const newer = this.#newer()
    const [scanNewer, scanOlder] = [newer.scan?.bind(newer), this.#older().scan]
    if (!scanNewer || !scanOlder) return undefined
    return async (request) => {
      try {
        return await scanNewer(request)
      } catch (error) {
        if (!isMissing(error, newer)) throw error
      }
      try {
        return await scanOlder(request)
      } catch (error) {
        if (!isMissing(error)) throw error
      }
      return scanNewer(request)
    }
  }

  async head(name: Name, signal: AbortSignal | undefined): Promise<FileState | null> {
    return (
      (await this.#newer().head(name, signal)) ??
      (await this.#older().head(name, signal)) ??
      (await this.#newer().head(name, signal))
    )
  }

  async has(name: Name, signal: AbortSignal | undefined): Promise<boolean> {
    return (
      (await hasFile(this.#newer(), name, signal)) ||
      (await this.#older().has(name, signal)) ||
      (await hasFile(this.#newer(), name, signal))
    )
  }

  /** Older first: otherwise an older version would show for a moment. */
  async remove(names: readonly Name[], signal: AbortSignal | undefined): Promise<readonly RemoveFailure[]> {
    const failures = await this.#older().remove(names, signal)
    const failed = new Set(failures.map(({ name }) => name))
    const rest = names.filter((name) => !failed.has(name))
    return rest.length === 0 ? failures : [...failures, ...(await this.#newer().remove(rest, signal))]
  }

  async removeBelow(folder: Name, dryRun: boolean, signal: AbortSignal | undefined): Promise<number> {
    let both = 0
    const [newer, older] = [this.#newer(), this.#older()]
    for await (const { inBoth } of this.#files(folder, signal)) both += inBoth
    const deleted = await older.removeBelow(folder, dryRun, signal)
    return deleted + (await newer.removeBelow(folder, dryRun, signal)) - both
  }

  /** Nobody writes to the older storage. */
  sweep(folder: Folder, before: Date, signal: AbortSignal | undefined): Promise<number> {
    return sweepBelow(this.#newer(), folder, before, signal)
  }

  async *list(folder: Folder, signal: AbortSignal | undefined): AsyncIterable<readonly ListedFile[]> {
    for await (const { entries } of this.#files(folder, signal)) yield entries
  }

  #files(folder: Folder, signal: AbortSignal | undefined): AsyncIterable<Merged<ListedFile>> {
    const newer = (after: string | undefined) => this.#newer().list(folder, signal, after)
    return merge(this.#older().list(folder, signal), newer, PART)
  }

  async *listdir(folder: Folder, signal: AbortSignal | undefined): AsyncIterable<readonly Entry[]> {
    const older = this.#older().listdir(folder, signal)
    // Callers hold all of one level anyway.
    const merged = merge(older, () => this.#newer().listdir(folder, signal), Number.POSITIVE_INFINITY)
    for await (const { entries } of merged) yield entries
  }

  locate(name: Name): string {
    return this.#newer().locate(name)
  }

  sign(request: SignRequest): Promise<string> {
    return this.#newer().sign(request)
  }

  verify(address: SignedAddress): SignedGrant | undefined {
    return this.#newer().verify?.(address)
  }

  async signUpload(request: SignUploadRequest): Promise<SignedRequest> {
    const { name, createOnly, signal } = request
    if (createOnly && (await this.#older().has(name, signal))) {
      throw new Problem('AlreadyExists', `${JSON.stringify(name)} already exists`)
    }
    return this.#newer().signUpload(request)
  }

  /** Those of the newer storage. A name that the older one has is taken. */
  get uploads(): UploadDriver | undefined {
    const newer = this.#newer().uploads
    return newer && guarded(newer, (staged, signal) => this.#guard(staged, signal))
  }

  placesOf(folder: Folder): readonly Place[] {
    return this.#places(folder)
  }

  /** Those of the newer storage, and what is read of the older one. */
  async checks(): Promise<readonly Check[]> {
    const older = (await this.#older().checks()).flatMap((check): Check[] => {
      if (check.writes) return []
      const named = (name: string) => `older-${name}`
      const run: Check['run'] = (request) => check.run({ ...request, writable: false })
      const { check: name, group, needs } = check
      return [
        { ...check, check: named(name), group: `Older storage: ${group}`, needs: needs.map(named), run },
      ]
    })
    return [...(await checksOf(this.#newer())), ...older]
  }

  classify(error: unknown): Problem {
    return this.#newer().classify(error)
  }
}

/** Entries of the older listing that are held at a time: a page of S3, since the newer listing begins anew for each part. */
const PART = 1000

/** `driver` explains an error that is no Problem. */
function isMissing(error: unknown, driver?: StorageDriver): boolean {
  const problem = isProblem(error) ? error : driver?.classify(error)
  return problem?.code === 'NotFound'
}

/** What is needed of the older driver. All of its errors are Problems: `classify` belongs to the newer one. */
interface Older
  extends Pick<
    StorageDriver,
    'label' | 'nameLimit' | 'read' | 'scan' | 'head' | 'remove' | 'removeBelow' | 'list' | 'listdir'
  > {
  has(name: Name, signal: AbortSignal | undefined): Promise<boolean>
  checks(): Promise<readonly Check[]>
}

function explained(driver: StorageDriver): Older {
  const toProblem = (error: unknown) => (isProblem(error) ? error : driver.classify(error))
  const rethrow = (error: unknown): never => {
    throw toProblem(error)
  }
  const scan = driver.scan?.bind(driver)
  return {
    label: driver.label,
    nameLimit: driver.nameLimit,
    ...(scan && { scan: (request) => scan(request).catch(rethrow) }),
    read: async (request) => {
      const opened = await driver.read(request).catch(rethrow)
      return { ...opened, body: explainedBody(opened.body, toProblem) }
    },
    head: (name, signal) => driver.head(name, signal).catch(rethrow),
    has: (name, signal) => hasFile(driver, name, signal).catch(rethrow),
    remove: async (names, signal) => {
      const failures = await driver.remove(names, signal).catch(rethrow)
      return failures.map(({ name, error }) => ({ name, error: toProblem(error) }))
    },
    removeBelow: (folder, dryRun, signal) => driver.removeBelow(folder, dryRun, signal).catch(rethrow),
    list: (folder, signal) => rethrowing(driver.list(folder, signal), rethrow),
    listdir: (folder, signal) => rethrowing(driver.listdir(folder, signal), rethrow),
    checks: () => checksOf(driver),
  }
}

async function* rethrowing<T>(items: AsyncIterable<T>, rethrow: (error: unknown) => never): AsyncIterable<T> {
  try {
    yield* items
  } catch (error) {
    rethrow(error)
  }
}

function explainedBody(body: OpenBody, toProblem: (error: unknown) => Problem): OpenBody {
  return {
    bytes: () =>
      body.bytes().catch((error: unknown) => {
        throw toProblem(error)
      }),
    stream: () => explainErrors(body.stream(), toProblem),
    close: () => body.close(),
    ...(body.unreadTimeout !== undefined && { unreadTimeout: body.unreadTimeout }),
  }
}
