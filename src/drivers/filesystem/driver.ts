import type { BigIntStats } from 'node:fs'
import { dirname } from 'node:path'
import type { Check } from '../../checks.js'
import type {
  Entry,
  FileState,
  OpenedFile,
  ReadRequest,
  RemoveFailure,
  ScanRequest,
  SignedAddress,
  SignedGrant,
  SignedRequest,
  SignRequest,
  SignUploadRequest,
  StageCopyRequest,
  Staged,
  StageRequest,
  StorageDriver,
} from '../../driver.js'
import type { Problem } from '../../errors.js'
import { type Folder, MAX_NAME_BYTES, type Name } from '../../names.js'
import { resolveRange } from '../../ranges.js'
import type { ListedFile } from '../../types.js'
import type { UploadDriver } from '../../upload-driver.js'
import { type LocalSigner, type LocalSigningOptions, localSigner } from '../local-signer.js'
import { joinUrl } from '../options.js'
import { FileBody } from './body.js'
import { DiskChecks } from './checks.js'
import type { Context } from './context.js'
import { Copier } from './copier.js'
import { Draft } from './draft.js'
import { eachOf } from './each-of.js'
import { removeFile } from './in-use.js'
import { Leftovers } from './leftovers.js'
import { Publication } from './publication.js'
import { Reader } from './reader.js'
import { Removal } from './removal.js'
import { Root } from './root.js'
import { Scanner } from './scanner.js'
import { Sidecars } from './sidecars.js'
import { SWEEP_AGE, sweep } from './sweep.js'
import { closeRead, lstatIfThere, RESTING } from './syscalls.js'
import { classifySystemError, tolerate } from './system-errors.js'
import { FileSystemUploads } from './uploads.js'
import { stateWith } from './version.js'
import { entriesOf, walk } from './walk.js'

/** Options of the driver, checked, with their defaults. */
export interface FileSystemConfig extends LocalSigningOptions {
  readonly location: string
  /** Ends in `/`. */
  readonly baseUrl: string
  /** Modes are null where they are left to umask and mount. */
  readonly fileMode: number | null
  readonly directoryMode: number | null
  readonly fsync: boolean
  readonly portableNames: boolean
}

/** Files in a folder of the local filesystem. */
export class FileSystemDriver implements StorageDriver {
  readonly label: string
  readonly nameLimit = MAX_NAME_BYTES
  readonly uploads: UploadDriver
  readonly #context: Context
  readonly #reader: Reader
  readonly #copier: Copier
  readonly #checks: DiskChecks
  readonly #scanner: Scanner
  readonly #baseUrl: string
  readonly #signer: LocalSigner
  #sweptAt = 0

  constructor(config: FileSystemConfig) {
    const { location, baseUrl, fileMode, directoryMode, fsync, portableNames } = config
    const root = new Root({ location, directoryMode, fsync, portableNames })
    const sidecars = new Sidecars(root, fsync, fileMode)
    this.#context = { root, sidecars, fsync, fileMode }
    this.#reader = new Reader(root, sidecars)
    this.#scanner = new Scanner(this.#reader)
    this.#copier = new Copier(this.#context, this.#reader)
    this.#checks = new DiskChecks(this.#context, directoryMode)
    this.#baseUrl = baseUrl
    this.#signer = localSigner(baseUrl, config)
    this.uploads = new FileSystemUploads(this.#context, this.#signer, this.#reader, (request) =>
      this.stage(request),
    )
    this.label = `FileSystemStorage(${root.path})`
  }

  /** The absolute path of a file. */
  path(name: Name): string {
    return this.#context.root.pathOf(name)
  }

  async stage({ body, attributes, signal, progress }: StageRequest): Promise<Staged> {
    const draft = await Draft.write(this.#context, body, signal, progress)
    if (Date.now() - this.#sweptAt > SWEEP_AGE) {
      this.#sweptAt = Date.now()
      void sweep(this.#context)
    }
    return new Publication(this.#context, draft, attributes)
  }

  stageCopy(request: StageCopyRequest): Promise<Staged> {
    return this.#copier.stage(request)
  }

  async read({ name, range }: ReadRequest): Promise<OpenedFile> {
    const { fd, stats, attributes } = await this.#reader.open(name)
    try {
      const delivered = resolveRange(range, Number(stats.size))
      return {
        state: stateWith(attributes, stats),
        range: delivered,
        body: new FileBody(fd, delivered, {
          readers: RESTING,
          reopen: () => this.#reader.reopen(name, stats),
        }),
      }
    } catch (error) {
      closeRead(fd)
      throw error
    }
  }

  scan(request: ScanRequest): Promise<void> {
    return this.#scanner.scan(request)
  }

  async has(name: Name): Promise<boolean> {
    return (await this.#reader.find(name)) !== null
  }

  async head(name: Name): Promise<FileState | null> {
    const found = await this.#reader.describe(name)
    return found && stateWith(found.attributes, found.stats)
  }

  async remove(names: readonly Name[], signal: AbortSignal | undefined): Promise<readonly RemoveFailure[]> {
    const failures: RemoveFailure[] = []
    const removed = new Map<Name, BigIntStats>()
    await eachOf(names, async (name) => {
      try {
        const stats = signal?.aborted ? null : await this.#remove(name)
        if (stats) removed.set(name, stats)
      } catch (error) {
        failures.push({ name, error })
      }
    })
    await this.#settle(removed)
    signal?.throwIfAborted()
    return failures
  }

  /** Returns what there was: a file, or a link (which is removed itself, not what it leads to). */
  async #remove(name: Name): Promise<BigIntStats | null> {
    const { root } = this.#context
    const path = root.pathOf(name)
    const stats = await lstatIfThere(path)
    if (stats === null || !(stats.isFile() || stats.isSymbolicLink()) || !(await root.holdsParents(name)))
      return null
    await tolerate(removeFile(root, path), 'ENOENT')
    await root.prune(name)
    return stats
  }

  /** Makes deletes durable, then removes the sidecars: a power cut brings no file back without its metadata. */
  async #settle(removed: ReadonlyMap<Name, BigIntStats>): Promise<void> {
    const { root, sidecars, fsync } = this.#context
    const folders = new Set([...removed.keys()].map((name) => dirname(root.pathOf(name))))
    if (fsync) await eachOf([...folders], (folder) => root.syncAbove(`${folder}/x`))
    await eachOf([...removed], ([name, stats]) => sidecars.remove(name, stats))
  }

  async removeBelow(folder: Name, dryRun: boolean, signal: AbortSignal | undefined): Promise<number> {
    return (await this.#holdsFolder(folder)) ? new Removal(this.#context, dryRun, signal).run(folder) : 0
  }

  sweep(folder: Folder, before: Date, signal: AbortSignal | undefined): Promise<number> {
    return new Leftovers(this.#context, folder, before, signal).remove()
  }

  async *list(folder: Folder): AsyncIterable<readonly ListedFile[]> {
    if (await this.#holdsFolder(folder)) yield* walk(this.#context.root, folder)
  }

  async *listdir(folder: Folder): AsyncIterable<readonly Entry[]> {
    if (await this.#holdsFolder(folder)) yield await entriesOf(this.#context.root, folder)
  }

  /** The root counts as there. */
  async #holdsFolder(folder: Folder): Promise<boolean> {
    if (folder === '') return true
    const { root } = this.#context
    const stats = await lstatIfThere(root.pathOf(folder))
    return stats?.isDirectory() === true && root.holdsParents(folder)
  }

  locate(name: Name): string {
    return joinUrl(this.#baseUrl, name)
  }

  async sign(request: SignRequest): Promise<string> {
    return this.#signer.sign(request)
  }

  async signUpload(request: SignUploadRequest): Promise<SignedRequest> {
    return this.#signer.signUpload(request)
  }

  verify(address: SignedAddress): SignedGrant | undefined {
    return this.#signer.verify(address)
  }

  async checks(): Promise<readonly Check[]> {
    return this.#checks.all()
  }

  classify(error: unknown): Problem {
    return classifySystemError(error)
  }
}
