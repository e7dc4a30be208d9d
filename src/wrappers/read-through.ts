import { toBody } from '../content.js'
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
} from '../driver.js'
import { inContext, isProblem, Problem } from '../errors.js'
import { pickAttributes } from '../headers.js'
import { compareNames, type Folder, type Name } from '../names.js'
import { hasFile, type Storage } from '../storage.js'
import { explainErrors, type OpenBody, StoredFile } from '../stored-file.js'
import type { ListedFile } from '../types.js'
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

  constructor(newer: Inner, older: Inner) {
    this.#newer = newer
    this.#older = () => explained(older())
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
    const { from, move, signal } = request
    const removeOlder = async () => {
      if (move) await this.#removeOlder(from)
    }
    try {
      const staged = await this.#newer().stageCopy(request)
      // Before the source goes, so that its older version does not show for a moment.
      return this.#guard(staged, signal, removeOlder)
    } catch (error) {
      if (!isMissing(error, this.#newer())) throw error
    }
    return this.#stageCopyOfOlder(from, removeOlder, request)
  }

  async #stageCopyOfOlder(
    from: Name,
    removeOlder: () => Promise<void>,
    request: StageCopyRequest,
  ): Promise<Staged> {
    const { signal } = request
    let opened: OpenedFile
    try {
      opened = await this.#older().read({ name: from, range: undefined, signal })
    } catch (error) {
      // It may have been copied over and removed since the first look.
      if (isMissing(error)) return this.#guard(await this.#newer().stageCopy(request), signal)
      throw error
    }
    const { state, range, body } = opened
    const file = new StoredFile({ name: from, ...state }, range, body, (error) => error, signal)
    try {
      const staged = this.#guard(
        await this.#newer().stage({
          name: from,
          body: toBody(file),
          attributes: pickAttributes(state),
          signal,
          progress: () => {},
        }),
        signal,
      )
      return {
        publish: async (name, createOnly) => {
          if (!(await staged.publish(name, createOnly))) return false
          await removeOlder()
          return true
        },
        discard: () => staged.discard(),
      }
    } catch (error) {
      await file.close()
      throw error
    }
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
    for await (const { isInBoth } of merged(newer.list(folder, signal), older.list(folder, signal))) {
      if (isInBoth) both += 1
    }
    const deleted = await older.removeBelow(folder, dryRun, signal)
    return deleted + (await newer.removeBelow(folder, dryRun, signal)) - both
  }

  list(folder: Folder, signal: AbortSignal | undefined): AsyncIterable<readonly ListedFile[]> {
    return inBatches(merged(this.#newer().list(folder, signal), this.#older().list(folder, signal)))
  }

  listdir(folder: Folder, signal: AbortSignal | undefined): AsyncIterable<readonly Entry[]> {
    return inBatches(merged(this.#newer().listdir(folder, signal), this.#older().listdir(folder, signal)))
  }

  locate(name: Name): string {
    return this.#newer().locate(name)
  }

  sign(request: SignRequest): Promise<string> {
    return this.#newer().sign(request)
  }

  async signUpload(request: SignUploadRequest): Promise<SignedRequest> {
    const { name, createOnly, signal } = request
    if (createOnly && (await this.#older().has(name, signal))) {
      throw new Problem('AlreadyExists', `${JSON.stringify(name)} already exists`)
    }
    return this.#newer().signUpload(request)
  }

  classify(error: unknown): Problem {
    return this.#newer().classify(error)
  }
}

/** Entries that are handed on together. */
const BATCH = 1000

/** A file of any depth has no `kind`. */
interface Listed {
  readonly kind?: Entry['kind']
  readonly name: string
}

interface Merged<T> {
  /** The newer driver's, where both have one. */
  readonly entry: T
  readonly isInBoth: boolean
}

/** Two sorted listings as one. */
async function* merged<T extends Listed>(
  newerBatches: AsyncIterable<readonly T[]>,
  olderBatches: AsyncIterable<readonly T[]>,
): AsyncIterable<Merged<T>> {
  const newer = new Cursor(newerBatches)
  const older = new Cursor(olderBatches)
  try {
    for (;;) {
      // The older listing goes ahead: what is copied over and removed meanwhile is still to come in the newer one.
      const theirs = await older.peek()
      const ours = await newer.peek()
      if (ours === undefined && theirs === undefined) return
      const order =
        ours === undefined ? 1 : theirs === undefined ? -1 : compareNames(keyOf(ours), keyOf(theirs))
      const entry = order <= 0 ? ours : theirs
      if (entry) yield { entry, isInBoth: order === 0 }
      if (order <= 0) newer.advance()
      if (order >= 0) older.advance()
    }
  } finally {
    await Promise.all([newer.close(), older.close()])
  }
}

async function* inBatches<T>(entries: AsyncIterable<Merged<T>>): AsyncIterable<readonly T[]> {
  let batch: T[] = []
  for await (const { entry } of entries) {
    batch.push(entry)
    if (batch.length < BATCH) continue
    yield batch
    batch = []
  }
  if (batch.length > 0) yield batch
}

/** Listings are in the order of these: a folder sorts as the names in it begin. */
function keyOf({ kind, name }: Listed): string {
  return kind === 'directory' ? `${name}/` : name
}

/** `driver` explains an error that is no Problem. */
function isMissing(error: unknown, driver?: StorageDriver): boolean {
  const problem = isProblem(error) ? error : driver?.classify(error)
  return problem?.code === 'NotFound'
}

/** A listing, one entry at a time. */
class Cursor<T> {
  readonly #batches: AsyncIterator<readonly T[]>
  #batch: readonly T[] = []
  #index = 0

  constructor(batches: AsyncIterable<readonly T[]>) {
    this.#batches = batches[Symbol.asyncIterator]()
  }

  /** Undefined at the end. */
  async peek(): Promise<T | undefined> {
    while (this.#index >= this.#batch.length) {
      const next = await this.#batches.next()
      if (next.done) return undefined
      this.#batch = next.value
      this.#index = 0
    }
    return this.#batch[this.#index]
  }

  advance(): void {
    this.#index += 1
  }

  async close(): Promise<void> {
    await this.#batches.return?.()
  }
}

/** What is needed of the older driver. All of its errors are Problems: `classify` belongs to the newer one. */
interface Older
  extends Pick<
    StorageDriver,
    'label' | 'nameLimit' | 'read' | 'head' | 'remove' | 'removeBelow' | 'list' | 'listdir'
  > {
  has(name: Name, signal: AbortSignal | undefined): Promise<boolean>
}

function explained(driver: StorageDriver): Older {
  const toProblem = (error: unknown) => (isProblem(error) ? error : driver.classify(error))
  const rethrow = (error: unknown): never => {
    throw toProblem(error)
  }
  return {
    label: driver.label,
    nameLimit: driver.nameLimit,
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
