import { type Check, failed, ok } from '../checks.js'
import type {
  Entry,
  FileState,
  OpenedFile,
  Place,
  ReadRequest,
  RemoveFailure,
  SignedAddress,
  SignedGrant,
  SignedRequest,
  SignRequest,
  SignUploadRequest,
  StageCopyRequest,
  Staged,
  StageRequest,
  StorageDriver,
} from '../driver.js'
import { checksOf, hasFile, sweepBelow } from '../driver.js'
import type { Problem } from '../errors.js'
import type { Folder, Name } from '../names.js'
import { wrap } from '../operation.js'
import { eventOf, observe } from '../telemetry.js'
import { clearTimeout, setTimeout } from '../timers.js'
import type { ListedFile, Purge } from '../types.js'
import type { UploadDriver } from '../upload-driver.js'

/** Milliseconds that a save or a delete waits for the purge of its address. The purge goes on after that. */
const PATIENCE = 5_000

/**
 * Another driver whose public addresses are cached: tells the cache what was overwritten or deleted. A purge that fails
 * is reported on the channel `stowage:operation`, and fails nothing else.
 */
export class PurgingDriver implements StorageDriver {
  readonly #inner: StorageDriver
  readonly #purge: Purge

  constructor(inner: StorageDriver, purge: Purge) {
    this.#inner = inner
    this.#purge = purge
  }

  get label(): string {
    return this.#inner.label
  }

  get nameLimit(): number {
    return this.#inner.nameLimit
  }

  async stage(request: StageRequest): Promise<Staged> {
    return this.#purging(await this.#inner.stage(request), undefined)
  }

  async stageCopy(request: StageCopyRequest): Promise<Staged> {
    return this.#purging(await this.#inner.stageCopy(request), request.move ? request.from : undefined)
  }

  #purging(staged: Staged, source: Name | undefined): Staged {
    return {
      publish: async (name, createOnly) => {
        if (!(await staged.publish(name, createOnly))) return false
        const stale = [...(createOnly ? [] : [name]), ...(source === undefined ? [] : [source])]
        await this.#forget(stale)
        return true
      },
      discard: () => staged.discard(),
    }
  }

  async remove(names: readonly Name[], signal: AbortSignal | undefined): Promise<readonly RemoveFailure[]> {
    const failures = await this.#inner.remove(names, signal)
    const left = new Set<string>(failures.map(({ name }) => name))
    await this.#forget(names.filter((name) => !left.has(name)))
    return failures
  }

  /** The names have to be known, so each page of the listing is deleted by itself. */
  async removeBelow(folder: Name, dryRun: boolean, signal: AbortSignal | undefined): Promise<number> {
    if (dryRun) return this.#inner.removeBelow(folder, true, signal)
    let deleted = 0
    for await (const files of this.#inner.list(folder, signal)) {
      const names = files.map(({ name }) => name as Name) // As a driver lists them, which it takes back.
      deleted += names.length - (await this.remove(names, signal)).length
    }
    // What is left failed, or came meanwhile.
    return deleted + (await this.#inner.removeBelow(folder, false, signal))
  }

  async #forget(names: readonly Name[]): Promise<void> {
    if (names.length === 0) return
    const [first] = names
    const event = eventOf('purge', this.label, names.length === 1 ? first : undefined)
    const purging = observe(event, async () => {
      try {
        await this.#purge(names.map((name) => this.#inner.locate(name)))
      } catch (error) {
        throw wrap(this.#inner, error, { operation: 'purge', file: first, storage: this.label })
      }
    }).catch(() => {}) // The channel has it.
    await within(PATIENCE, purging)
  }

  read(request: ReadRequest): Promise<OpenedFile> {
    return this.#inner.read(request)
  }

  get scan(): StorageDriver['scan'] {
    const inner = this.#inner
    return inner.scan?.bind(inner)
  }

  head(name: Name, signal: AbortSignal | undefined): Promise<FileState | null> {
    return this.#inner.head(name, signal)
  }

  has(name: Name, signal: AbortSignal | undefined): Promise<boolean> {
    return hasFile(this.#inner, name, signal)
  }

  /** They are published create-only, so nothing is stale. */
  get uploads(): UploadDriver | undefined {
    return this.#inner.uploads
  }

  sweep(folder: Folder, before: Date, signal: AbortSignal | undefined): Promise<number> {
    return sweepBelow(this.#inner, folder, before, signal)
  }

  list(
    folder: Folder,
    signal: AbortSignal | undefined,
    after?: string,
  ): AsyncIterable<readonly ListedFile[]> {
    return this.#inner.list(folder, signal, after)
  }

  listdir(folder: Folder, signal: AbortSignal | undefined): AsyncIterable<readonly Entry[]> {
    return this.#inner.listdir(folder, signal)
  }

  locate(name: Name): string {
    return this.#inner.locate(name)
  }

  sign(request: SignRequest): Promise<string> {
    return this.#inner.sign(request)
  }

  signUpload(request: SignUploadRequest): Promise<SignedRequest> {
    return this.#inner.signUpload(request)
  }

  verify(address: SignedAddress): SignedGrant | undefined {
    return this.#inner.verify?.(address)
  }

  placesOf(folder: Folder): readonly Place[] {
    return [{ driver: this.#inner, folder }]
  }

  async checks(): Promise<readonly Check[]> {
    const purge: Check = {
      group: 'CDN',
      check: 'purge',
      essential: false,
      writes: true,
      needs: [],
      run: async ({ folder }) => {
        try {
          // No cache has this address, so nothing is lost.
          await this.#purge([this.#inner.locate(`${folder}/purge.txt` as Name)]) // A folder of a checked name.
          return ok('The CDN forgets an address when it is told to.')
        } catch (error) {
          const { message } = wrap(this.#inner, error, {})
          const remedy =
            'Check the zone id and the API token (R2_PURGE_ZONE_ID, R2_PURGE_API_TOKEN), and that the token may purge this zone.'
          return failed(`The CDN was not purged: ${message}.`, remedy)
        }
      },
    }
    return [...(await checksOf(this.#inner)), purge]
  }

  classify(error: unknown): Problem {
    return this.#inner.classify(error)
  }
}

/** Waits for what never fails, for so many milliseconds at most. */
async function within(milliseconds: number, work: Promise<void>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, milliseconds)
  })
  await Promise.race([work, late])
  clearTimeout(timer)
}
