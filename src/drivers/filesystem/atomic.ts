import { createHash } from 'node:crypto'
import fs, { type BigIntStats } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Body } from '../../content.js'
import type { Staged } from '../../driver.js'
import { Problem } from '../../errors.js'
import { type Name, RESERVED_SEGMENT } from '../../names.js'
import type { Attributes } from '../../types.js'
import { isMarked } from './mark.js'
import { FOLDER_ATTEMPTS, type Root } from './root.js'
import type { Sidecars } from './sidecar.js'
import {
  ChunkWriter,
  CREATE,
  close,
  closeRead,
  copyFile,
  fchmod,
  fstat,
  fsync,
  hasCode,
  link,
  lstat,
  lstatIfThere,
  open,
  READ,
  rename,
  rmdir,
  unlink,
  writeAll,
} from './syscalls.js'
import { createTemp, tempFolder, tempPath } from './temp.js'
import { removeVersion } from './withdrawal.js'

/** What all commits of a storage share. */
export interface CommitContext {
  readonly root: Root
  readonly sidecars: Sidecars
  /** Whether a save is on the disk, not only in the system's cache, when it is acknowledged. */
  readonly fsync: boolean
  readonly fileMode: number
}

/** Times that a new version gets until one is found that no other version of its name has. */
const MARK_ATTEMPTS = 20
/** What `link` says where there are no hard links: FAT, some network and FUSE filesystems. */
const NO_HARD_LINKS = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK']

/**
 * A file on its way: written under a temporary name, made durable, then linked (create-only: the kernel refuses a taken
 * name) or renamed (replace) to its own name in one step. Its sidecar, if any, goes first.
 */
export class Draft implements Staged {
  readonly #context: CommitContext
  readonly #attributes: Attributes
  #path: string
  /** Open until the content is sealed. */
  #fd: number | undefined
  /** Whether the file has changes that a power cut could take; one that is moved may have been written without `fsync`. */
  #dirty = true
  #ino: bigint
  /** Which version of the file this is, once it was marked for a sidecar. */
  #version: BigIntStats | undefined
  /** Whether the file is still there under its old name as well, so that nothing about it may change. */
  #pinned = false
  /** Whether the file is one that had a sidecar before, and may be moved by another name at the same time. */
  #described = false
  /** What was under the name before. Its sidecar goes last: a power cut may bring it back until then. */
  #replaced: BigIntStats | null = null
  /** Folders that were made for the file, and go if it is not published. */
  readonly #made: string[] = []
  /** The folder of a mount below the root, where the temporary file had to go. */
  #neighbour: string | undefined

  private constructor(context: CommitContext, attributes: Attributes, path: string, fd: number, ino: bigint) {
    this.#context = context
    this.#attributes = attributes
    this.#path = path
    this.#fd = fd
    this.#ino = ino
  }

  /** Writes content to a temporary file. On failure nothing is left of it. */
  static async write(
    context: CommitContext,
    attributes: Attributes,
    body: Body,
    signal: AbortSignal | undefined,
    progress: (bytes: number) => void = () => {},
  ): Promise<Draft> {
    const { path, fd, ino } = await createTemp(context.root, context.fileMode)
    const draft = new Draft(context, attributes, path, fd, ino)
    try {
      let bytes = 0
      if (body.bytes) {
        await writeAll(fd, body.bytes, signal)
        bytes = body.bytes.byteLength
      } else {
        const writer = new ChunkWriter(fd)
        for await (const chunk of body.chunks(signal)) {
          await writer.write(chunk)
          bytes += chunk.byteLength
          progress(bytes)
        }
        await writer.flush()
      }
      progress(bytes)
      return draft
    } catch (error) {
      await draft.discard()
      throw error
    }
  }

  /** Gives an existing file a temporary second name. Null where the filesystem has no hard links. */
  static async pin(root: Root, path: string): Promise<string | null> {
    const temp = tempPath(tempFolder(root))
    for (let attempt = 1; ; attempt++) {
      try {
        await link(path, temp)
        return temp
      } catch (error) {
        if (hasCode(error, 'EXDEV', ...NO_HARD_LINKS)) return null
        // Either the source is gone, which the second attempt tells, or there has never been a save.
        if (!hasCode(error, 'ENOENT') || attempt > 1) throw error
        await root.makeDirectory(tempFolder(root))
      }
    }
  }

  /** A file pinned at `path` and opened as `fd`, which is `version`; both belong to the draft from here on. */
  static ofPinned(
    context: CommitContext,
    attributes: Attributes,
    path: string,
    fd: number,
    version: BigIntStats,
  ): Draft {
    const draft = new Draft(context, attributes, path, fd, version.ino)
    draft.#pinned = true
    draft.#described = isMarked(version)
    return draft
  }

  /** `last` is part of the publication: if it fails, a name that was free is free again. */
  async publish(name: Name, createOnly: boolean, last = async () => {}): Promise<boolean> {
    const { root, sidecars, fsync: durable } = this.#context
    const looking = root.hasParent(name)
    looking.catch(() => {})
    const described = await sidecars.needed(name, this.#attributes)
    let version: BigIntStats | undefined
    let published = false
    try {
      if (described) {
        // A taken name shall not cost what a sidecar does.
        if (createOnly && (await looking) && (await lstatIfThere(root.pathOf(name)))) return false
        version = await this.#describe(name)
      } else await this.#seal()
      published = await this.#commit(name, createOnly, await looking)
    } catch (error) {
      if (!hasCode(error, 'EXDEV') || this.#neighbour !== undefined) throw error
      await this.#moveNextTo(root.pathOf(name))
      return await this.publish(name, createOnly, last)
    } finally {
      if (!published && version) await sidecars.remove(name, version)
    }
    if (!published) return false
    const cleaning = this.#removeTemp()
    try {
      // Until it was published, a move of the same version by another process could not tell that it is wanted.
      if (version && this.#described) await sidecars.restore(name, version, this.#attributes)
      if (durable) await root.sync(dirname(root.pathOf(name)))
      await last()
    } catch (error) {
      // What was replaced cannot be brought back.
      if (createOnly) await this.#withdraw(name)
      if (createOnly && version) await sidecars.remove(name, version)
      throw error
    } finally {
      await cleaning
    }
    this.#made.length = 0
    await sidecars.remove(name, this.#replaced)
    return true
  }

  /** Takes back what is not to stay, if the disk still lets it. */
  async #withdraw(name: Name): Promise<void> {
    try {
      await removeVersion(this.#context.root, name, this.#ino)
    } catch {
      // The disk fails; the save is told to have failed in any case.
    }
  }

  /** Writes the sidecar of this version. One that nobody has seen yet becomes another where its place is taken. */
  async #describe(name: Name): Promise<BigIntStats> {
    const { sidecars } = this.#context
    for (let attempt = 0; attempt < MARK_ATTEMPTS; attempt++) {
      const version = this.#version ?? (await this.#mark())
      // Closed before the sidecar is opened: who has a descriptor must not wait for another.
      await this.#seal()
      if (this.#described) await sidecars.replace(name, version, this.#attributes)
      if (this.#described || (await sidecars.create(name, version, this.#attributes))) return version
      this.#version = undefined
    }
    throw new Problem('Unavailable', 'too many versions of the file are written in the same moment')
  }

  async #mark(): Promise<BigIntStats> {
    // What still has its old name must not change, so a copy gets the mark.
    if (this.#pinned && !this.#described) await this.#goOnWithCopyIn(tempFolder(this.#context.root))
    const fd = this.#fd ?? (await open(this.#path, READ))
    this.#fd = fd
    this.#dirty ||= !this.#described
    this.#version = this.#described ? fstat(fd) : await this.#context.sidecars.mark(fd)
    return this.#version
  }

  /** The content is complete: makes it durable and closes it. */
  async #seal(): Promise<void> {
    const fd = this.#fd
    if (fd === undefined) return
    if (this.#context.fsync && this.#dirty) await fsync(fd)
    this.#dirty = false
    this.#fd = undefined
    await close(fd)
  }

  async #commit(name: Name, createOnly: boolean, hasParent: boolean): Promise<boolean> {
    const { root } = this.#context
    for (let attempt = 1; ; attempt++) {
      try {
        if (attempt === 1 ? !hasParent : !(await root.hasParent(name))) {
          await root.makeFolders(name, this.#made)
        }
        return createOnly ? await this.#create(root.pathOf(name)) : await this.#replace(name)
      } catch (error) {
        if (hasCode(error, 'ENOENT')) await this.#checkTemp(error)
        if (hasCode(error, 'ENOENT') && attempt < FOLDER_ATTEMPTS) continue
        if (hasCode(error, 'ENOTDIR')) {
          throw new Problem('AlreadyExists', 'one of the folders in the name is a file', { cause: error })
        }
        throw error
      }
    }
  }

  /** The target's folder may come back, what was written does not: somebody has removed the root, or all of `.stowage`. */
  async #checkTemp(cause: unknown): Promise<void> {
    if ((await lstatIfThere(this.#path)) !== null) return
    throw new Problem('Unavailable', `${this.#path} was removed before it got its name`, { cause })
  }

  async #create(target: string): Promise<boolean> {
    try {
      await link(this.#path, target)
      return true
    } catch (error) {
      if (hasCode(error, 'EEXIST')) return false
      if (hasCode(error, ...NO_HARD_LINKS)) return this.#createWithoutLinks(target)
      throw error
    }
  }

  /**
   * Without hard links, a lock file stands for the name while it is looked for and renamed to. Weaker: a process that
   * replaces the name at the same time does not heed the lock. A lock left by a crash makes the name look taken until
   * it is swept.
   */
  async #createWithoutLinks(target: string): Promise<boolean> {
    const hash = createHash('sha256').update(target).digest('hex')
    const lock = join(tempFolder(this.#context.root), `lock-${hash}`)
    try {
      await close(await open(lock, CREATE, 0o600))
    } catch (error) {
      if (hasCode(error, 'EEXIST')) return false
      throw error
    }
    try {
      await lstat(target)
      return false
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) throw error
      await rename(this.#path, target)
      return true
    } finally {
      await unlink(lock).catch(() => {})
    }
  }

  async #replace(name: Name): Promise<boolean> {
    const target = this.#context.root.pathOf(name)
    const replaced = await lstat(target).catch(() => null)
    try {
      await rename(this.#path, target)
    } catch (error) {
      if (hasCode(error, 'EISDIR', 'ENOTEMPTY', 'EEXIST') || replaced?.isDirectory()) {
        throw new Problem('AlreadyExists', 'there is a folder of this name', { cause: error })
      }
      throw error
    }
    this.#replaced = replaced
    // A rename between two names of one file does nothing, as when another move of it was quicker: the temporary one is
    // still there then.
    if (!this.#pinned) this.#path = ''
    return true
  }

  /** A folder below the root may be a mount, and neither a link nor a rename leads into another filesystem. */
  async #moveNextTo(target: string): Promise<void> {
    const folder = join(dirname(target), RESERVED_SEGMENT)
    this.#neighbour = folder
    for (let attempt = 1; ; attempt++) {
      await this.#context.root.makeDirectory(folder, this.#made)
      try {
        return await this.#goOnWithCopyIn(folder)
      } catch (error) {
        // Another save, which needs the folder no more, may just have removed it.
        if (!hasCode(error, 'ENOENT') || attempt === FOLDER_ATTEMPTS) throw error
      }
    }
  }

  async #goOnWithCopyIn(folder: string): Promise<void> {
    const copy = tempPath(folder)
    const { COPYFILE_EXCL, COPYFILE_FICLONE } = fs.constants
    await copyFile(this.#path, copy, COPYFILE_EXCL | COPYFILE_FICLONE)
    const [before, fd] = [this.#path, this.#fd]
    this.#path = copy
    this.#fd = undefined
    this.#version = undefined
    this.#pinned = false
    this.#described = false
    this.#dirty = true
    if (fd !== undefined) closeRead(fd)
    await unlink(before).catch(() => {})
    this.#fd = await open(copy, READ)
    this.#ino = fstat(this.#fd).ino
    await fchmod(this.#fd, this.#context.fileMode)
  }

  /** Removes all that is left of a file that was not published. Failing is only a leak, which the sweep finds. */
  async discard(): Promise<void> {
    const fd = this.#fd
    this.#fd = undefined
    if (fd !== undefined) await close(fd).catch(() => {})
    await this.#removeTemp()
    await this.#context.root.unmake(this.#made)
  }

  async #removeTemp(): Promise<void> {
    const path = this.#path
    this.#path = ''
    if (path !== '') await unlink(path).catch(() => {})
    if (this.#neighbour !== undefined) await rmdir(this.#neighbour).catch(() => {})
  }
}
