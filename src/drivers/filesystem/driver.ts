import fs, { type BigIntStats } from 'node:fs'
import { dirname, join } from 'node:path'
import { toBody } from '../../content.js'
import type {
  Entry,
  FileState,
  OpenedFile,
  ReadRequest,
  StageCopyRequest,
  Staged,
  StageRequest,
  StorageDriver,
} from '../../driver.js'
import { Problem, type StorageErrorCode } from '../../errors.js'
import { type Folder, MAX_NAME_BYTES, type Name } from '../../names.js'
import { resolveRange } from '../../ranges.js'
import type { Attributes } from '../../types.js'
import { joinUrl } from '../options.js'
import { Semaphore } from '../semaphore.js'
import { type CommitContext, Draft } from './atomic.js'
import { FileBody } from './body.js'
import { eachOf, Removal } from './removal.js'
import { Root } from './root.js'
import { Sidecars } from './sidecar.js'
import { SWEEP_AGE, sweep } from './sweep.js'
import {
  closeRead,
  fstat,
  hasCode,
  lstat,
  lstatIfThere,
  open,
  READ,
  realpath,
  tolerate,
  unlink,
} from './syscalls.js'
import { stateWith } from './version.js'
import { walk } from './walk.js'
import { removeVersion } from './withdrawal.js'

/** Copies of the process that run side by side: each has a file open and needs another, so all could wait for each other. */
const COPIES = new Semaphore(16)
/** Looks at a file that is replaced again and again meanwhile. */
const READ_ATTEMPTS = 100

/** Options of the driver, checked, with their defaults. */
export interface FileSystemConfig {
  readonly location: string
  /** Ends in `/`. */
  readonly baseUrl: string
  readonly fileMode: number
  readonly directoryMode: number
  readonly fsync: boolean
}

/** Files in a folder of the local filesystem. */
export class FileSystemDriver implements StorageDriver {
  readonly label: string
  readonly nameLimit = MAX_NAME_BYTES
  readonly #context: CommitContext
  readonly #baseUrl: string
  #sweptAt = 0

  constructor({ location, baseUrl, fileMode, directoryMode, fsync }: FileSystemConfig) {
    const root = new Root({ location, directoryMode, fsync })
    this.#context = { root, sidecars: new Sidecars(root, fsync, fileMode), fsync, fileMode }
    this.#baseUrl = baseUrl
    this.label = `FileSystemStorage(${root.path})`
  }

  /** The absolute path of a file. */
  path(name: Name): string {
    return join(this.#context.root.path, name)
  }

  async stage({ body, attributes, signal, progress }: StageRequest): Promise<Staged> {
    const draft = await Draft.write(this.#context, attributes, body, signal, progress)
    if (Date.now() - this.#sweptAt > SWEEP_AGE) {
      this.#sweptAt = Date.now()
      void sweep(this.#context)
    }
    return draft
  }

  async stageCopy(request: StageCopyRequest): Promise<Staged> {
    await COPIES.take(request.signal)
    try {
      return await this.#stageCopy(request)
    } finally {
      COPIES.give()
    }
  }

  async #stageCopy(request: StageCopyRequest): Promise<Staged> {
    const { from, move, signal } = request
    const { root } = this.#context
    // Looked at before as well: even a second name for a moment would be a touch of a file outside.
    const pinned = move && (await root.holdsParents(from)) ? await Draft.pin(root, root.pathOf(from)) : null
    if (pinned !== null) {
      try {
        const source = await this.#tryToOpen(pinned, root.pathOf(from), from, await root.holdsParents(from))
        if (source === null) {
          await unlink(pinned)
          signal?.throwIfAborted()
          return await this.#stageCopy(request)
        }
        return this.#removingSource(
          Draft.ofPinned(this.#context, source.attributes, pinned, source.fd, source.stats),
          from,
          source.stats,
        )
      } catch (error) {
        await unlink(pinned).catch(() => {})
        // A link: the file that it leads to is copied, and the link goes.
        if (!hasCode(error, 'ELOOP')) throw error
      }
    }
    const entry = move ? await lstatIfThere(root.pathOf(from)) : null
    const { fd, stats, attributes } = await this.#open(from)
    const body = new FileBody(fd, { offset: 0, length: Number(stats.size) })
    const content = body.stream()
    const draft = await Draft.write(this.#context, attributes, toBody(content), signal).catch((error) => {
      content.destroy()
      throw error
    })
    return move ? this.#removingSource(draft, from, entry?.isSymbolicLink() ? entry : stats) : draft
  }

  /** A draft whose publication ends a move. */
  #removingSource(draft: Draft, from: Name, source: BigIntStats): Staged {
    const { root, sidecars, fsync } = this.#context
    const path = root.pathOf(from)
    return {
      publish: async (name, createOnly) => {
        const target = root.pathOf(name)
        // Two names of one file, by a link among the folders: to remove the one would be to remove the other.
        const taken = createOnly ? null : await lstat(target).catch(() => null)
        if (taken?.ino === source.ino && (await realpath(target)) === (await realpath(path))) return true
        const removing = () => this.#removeSource(from, source, createOnly ? undefined : name)
        if (!(await draft.publish(name, createOnly, removing))) return false
        await root.prune(from)
        if (fsync) await root.syncAbove(path)
        await sidecars.remove(from, source)
        return true
      },
      discard: () => draft.discard(),
    }
  }

  /** `replaced`: the name of a copy that stays if this fails, as what it has replaced is gone. */
  async #removeSource(from: Name, { ino }: BigIntStats, replaced: Name | undefined): Promise<void> {
    try {
      await removeVersion(this.#context.root, from, ino)
    } catch (error) {
      if (replaced === undefined) throw error
      const { code, message, cause } = this.classify(error)
      const reason = `the copy is at ${JSON.stringify(replaced)}, but the source could not be removed: ${message}`
      throw new Problem(code, reason, { cause })
    }
  }

  async read({ name, range }: ReadRequest): Promise<OpenedFile> {
    const { fd, stats, attributes } = await this.#open(name)
    try {
      const delivered = resolveRange(range, Number(stats.size))
      return {
        state: stateWith(attributes, stats),
        range: delivered,
        body: new FileBody(fd, delivered),
      }
    } catch (error) {
      closeRead(fd)
      throw error
    }
  }

  async #open(name: Name): Promise<{ fd: number; stats: BigIntStats; attributes: Attributes }> {
    const { root } = this.#context
    try {
      return await this.#openAt(root.pathOf(name), name)
    } catch (error) {
      if (!hasCode(error, 'ELOOP')) throw error
      const real = await root.follow(root.pathOf(name))
      if (real === null) throw new Problem('NotFound', 'there is no such file')
      return this.#openAt(real, name)
    }
  }

  /** Opens what is at `path`, known as `name`, with the attributes of just that version. */
  async #openAt(path: string, name: Name) {
    for (let attempt = 0; attempt < READ_ATTEMPTS; attempt++) {
      const opened = await this.#tryToOpen(path, path, name)
      if (opened) return opened
    }
    throw new Problem('Unavailable', 'the file is replaced all the time')
  }

  /**
   * Null if it was replaced meanwhile. `place` is where a version has its sidecar for as long as it is there; a pin, which
   * is what is opened then, outlives that. `inside`: known to be.
   */
  async #tryToOpen(path: string, place: string, name: Name, inside?: boolean) {
    const { root, sidecars } = this.#context
    const fd = await open(path, READ)
    try {
      const stats = fstat(fd)
      if (!stats.isFile() || !(inside ?? (await root.holdsOpened(fd, path)))) {
        throw new Problem('NotFound', 'there is no such file')
      }
      const attributes =
        (await sidecars.read(name, stats)) ?? (await this.#withoutSidecar(place, name, stats))
      if (attributes) return { fd, stats, attributes }
    } catch (error) {
      closeRead(fd)
      throw error
    }
    closeRead(fd)
    return null
  }

  /** The attributes of a version that has no sidecar, or null if it has been replaced, which may be why. */
  async #withoutSidecar(path: string, name: Name, version: BigIntStats): Promise<Attributes | null> {
    const current = await lstatIfThere(path)
    if (current?.ino !== version.ino || current.mtimeNs !== version.mtimeNs) return null
    return this.#context.sidecars.readRestored(name, version)
  }

  async has(name: Name): Promise<boolean> {
    return (await this.#find(name)) !== null
  }

  async head(name: Name): Promise<FileState | null> {
    for (let attempt = 0; attempt < READ_ATTEMPTS; attempt++) {
      const found = await this.#find(name)
      if (found === null) return null
      const { path, stats } = found
      const attributes =
        (await this.#context.sidecars.read(name, stats)) ?? (await this.#withoutSidecar(path, name, stats))
      if (attributes) return stateWith(attributes, stats)
    }
    throw new Problem('Unavailable', 'the file is replaced all the time')
  }

  /** Where a file really is, and its state; null if there is none. */
  async #find(name: Name): Promise<{ path: string; stats: BigIntStats } | null> {
    const { root } = this.#context
    const path = await root.follow(root.pathOf(name))
    if (path === null) return null
    // Synchronous: the kernel has just been there.
    const stats = fs.lstatSync(path, { bigint: true, throwIfNoEntry: false })
    return stats?.isFile() ? { path, stats } : null
  }

  async remove(names: readonly Name[], signal: AbortSignal | undefined) {
    const failures: { name: Name; error: unknown }[] = []
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

  /** Tells what there was: a file, or a link (which is removed itself, not what it leads to). */
  async #remove(name: Name): Promise<BigIntStats | null> {
    const { root } = this.#context
    const path = root.pathOf(name)
    const stats = await lstatIfThere(path)
    if (stats === null || !(stats.isFile() || stats.isSymbolicLink()) || !(await root.holdsParents(name)))
      return null
    await tolerate(unlink(path), 'ENOENT')
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

  async #holdsFolder(folder: Folder): Promise<boolean> {
    const { root } = this.#context
    const stats = await lstatIfThere(root.pathOf(folder))
    return stats?.isDirectory() === true && root.holdsParents(folder)
  }

  async *entries(folder: Folder, recursive: boolean): AsyncIterable<readonly Entry[]> {
    if (folder !== '' && !(await this.#holdsFolder(folder))) return
    yield* walk(this.#context.root, folder, recursive)
  }

  locate(name: Name): string {
    return joinUrl(this.#baseUrl, name)
  }

  async sign(): Promise<never> {
    throw new Problem('Unsupported', 'FileSystemStorage has no signed addresses yet')
  }

  async signUpload(): Promise<never> {
    throw new Problem('Unsupported', 'FileSystemStorage has no signed addresses yet')
  }

  classify(error: unknown): Problem {
    const [code, reason] = SYSTEM_ERRORS[codeOf(error)] ?? ['Unknown', undefined]
    const what = error instanceof Error ? error.message : String(error)
    return new Problem(code, reason === undefined ? what : `${reason} (${what})`, { cause: error })
  }
}

/** What the system's error codes mean, and what to do about them. */
const SYSTEM_ERRORS: Readonly<Record<string, readonly [StorageErrorCode, string]>> = {
  ENOENT: ['NotFound', 'there is no such file'],
  ENOTDIR: ['NotFound', 'there is no such file'],
  ELOOP: ['NotFound', 'there is no such file'],
  ENXIO: ['NotFound', 'there is no such file'],
  EEXIST: ['AlreadyExists', 'there is something else of this name'],
  EISDIR: ['AlreadyExists', 'there is a folder of this name'],
  ENAMETOOLONG: ['InvalidName', 'the path is longer than the filesystem takes'],
  EACCES: ['PermissionDenied', 'the process may not do this: check owner and mode of the storage folder'],
  EPERM: ['PermissionDenied', 'the process may not do this: check owner and mode of the storage folder'],
  EROFS: ['PermissionDenied', 'the filesystem is mounted read-only'],
  ENOSPC: ['Full', 'the disk is full, or out of inodes: free some space'],
  EDQUOT: ['Full', 'the disk quota is used up'],
  EFBIG: ['Full', 'the file is larger than the filesystem or a limit of the process allows'],
  EMFILE: ['Unavailable', 'the process has too many open files: raise its limit (ulimit -n)'],
  ENFILE: ['Unavailable', 'the system has too many open files'],
  ENOMEM: ['Unavailable', 'the system is out of memory'],
  EAGAIN: ['Unavailable', 'the system is busy'],
  EBUSY: ['Unavailable', 'the file is in use'],
  ETIMEDOUT: ['Unavailable', 'the filesystem does not answer'],
  ESTALE: ['Unavailable', 'the network filesystem has lost the file'],
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}
