import fs from 'node:fs'
import { dirname, resolve, sep } from 'node:path'
import { Problem, type StorageErrorCode } from '../../errors.js'
import { type Folder, type Name, RESERVED_SEGMENT } from '../../names.js'
import { setFolderMode } from './modes.js'
import { fromPortablePath, toPortablePath } from './portable-path.js'
import { decodeSegment } from './segments.js'
import { fsyncDirectory, isWindows, lstat, lstatIfThere, mkdir, realpath, rmdir, stat } from './syscalls.js'
import { hasCode, tolerate } from './system-errors.js'

export interface RootOptions {
  readonly location: string
  /** Null: left to umask and mount. */
  readonly directoryMode: number | null
  readonly fsync: boolean
  /** Whether names are written in forms that Windows takes. They always are on Windows itself. Default false. */
  readonly portableNames?: boolean
}

/** Attempts to make a folder that others keep removing. In some places, such as `/proc`, none can be made. */
export const FOLDER_ATTEMPTS = 50

/**
 * The folder that a `FileSystemStorage` lives in: names to paths, and the guard that no path leads out of it. Names are
 * checked, so only symbolic links can; each one met is resolved, and what lies outside does not exist for callers.
 */
export class Root {
  readonly path: string
  /** Whether a file's name on the disk may be another than its own. */
  readonly isPortable: boolean
  readonly #start: string
  readonly #directoryMode: number | null
  readonly #fsync: boolean
  #real: string | undefined
  /** Folders that are just being made, each with whether it was: others see one before its entry is on the disk. */
  readonly #making = new Map<string, Promise<boolean>>()

  constructor({ location, directoryMode, fsync, portableNames = false }: RootOptions) {
    this.path = resolve(location)
    this.#start = this.path.endsWith(sep) ? this.path : this.path + sep
    this.#directoryMode = directoryMode
    this.#fsync = fsync
    this.isPortable = portableNames || isWindows
  }

  /** Names are normalised, so nothing needs to be resolved. */
  pathOf(name: Folder): string {
    return this.pathOfListed(name)
  }

  /** The same for what a listing of the root has found. */
  pathOfListed(name: string): string {
    if (name === '') return this.path
    return this.isPortable ? toPortablePath(this.#start, name) : this.#start + name
  }

  /** The other way round, for what was found below the root. */
  nameOf(path: string): string {
    const name = path.slice(this.#start.length)
    return this.isPortable ? fromPortablePath(name) : name
  }

  /** The segment of a name that a file or folder on the disk stands for. */
  segmentOf(entry: string): string {
    return this.isPortable ? decodeSegment(entry) : entry
  }

  /** Whether what `path` led to, a path without links in it, lies within the root, and not in its reserved folder. */
  async #holds(realPath: string, path: string): Promise<boolean> {
    if (this.#isStraight(realPath, path)) return true
    // The root itself may be behind a link, which leads elsewhere after a deployment.
    this.#real = await realpath(this.path)
    return isWithin(this.#real, realPath)
  }

  /** Where a path really leads, or null where that is outside, nowhere, or a folder of the storage's own. */
  async follow(path: string | Buffer): Promise<string | null> {
    try {
      const real = await realpath(path)
      return (await this.#holds(real, String(path))) ? real : null
    } catch (error) {
      if (hasCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return null
      throw error
    }
  }

  /**
   * Where the file is that was opened at `path`: certainly still in place, at least within the root, or outside.
   * Airtight on Linux, where the kernel knows the path of a descriptor.
   */
  async placeOf(fd: number, path: string): Promise<'in place' | 'inside' | 'outside'> {
    const folder = dirname(path)
    if (folder === this.path) return 'inside'
    const real = process.platform === 'linux' ? readPathOf(fd) : undefined
    if (real === undefined) return (await this.follow(folder)) === null ? 'outside' : 'inside'
    if (this.#isStraight(real, path)) return 'in place'
    return (await this.#holds(real, path)) ? 'inside' : 'outside'
  }

  /** Whether {@link isInPlace} can tell anything about a path. */
  seesPlaceOf(path: string): boolean {
    return process.platform === 'linux' || this.#isAtTop(path)
  }

  /** Whether the file that was opened at `path` is certainly within the root. False: {@link placeOf} knows. */
  isInPlace(fd: number, path: string): boolean {
    if (this.#isAtTop(path)) return true
    const real = readPathOf(fd)
    return real !== undefined && this.#isStraight(real, path)
  }

  /** Whether no folder is between the root and a file. */
  #isAtTop(path: string): boolean {
    return path.indexOf(sep, this.#start.length) === -1
  }

  /** Whether a real path is a path of the root with no link in it. */
  #isStraight(realPath: string, path: string): boolean {
    return this.#real !== undefined && realPath === this.#real + path.slice(this.path.length)
  }

  /** Whether the folders above a file that was just found are within the root. */
  async holdsParents(name: Folder): Promise<boolean> {
    return !name.includes('/') || (await this.follow(dirname(this.pathOf(name)))) !== null
  }

  /** Whether the folder to put a file in is there. A link that leads out of the root is refused. */
  async hasParent(name: Name): Promise<boolean> {
    if (!name.includes('/')) return true
    try {
      const folder = dirname(this.pathOf(name))
      const real = await realpath(folder)
      // Elsewhere the link or rename into a file says so; on Windows the error is that of a missing folder.
      if (isWindows && !(await stat(real)).isDirectory()) return false
      if (await this.#holds(real, folder)) return true
    } catch (error) {
      if (hasCode(error, 'ENOENT', 'ENOTDIR')) return false
      throw error
    }
    throw leadsOut()
  }

  /** Makes the missing folders above a file. Adds the new ones to `made`. */
  async makeFolders(name: Name, made: string[]): Promise<void> {
    for (let slash = name.indexOf('/'); slash !== -1; slash = name.indexOf('/', slash + 1)) {
      const path = this.pathOf(name.slice(0, slash) as Name) // A folder of a name is a name.
      if (await this.#make(path, made)) continue
      const found = await lstat(path)
      if (found.isSymbolicLink() && (await this.follow(path)) === null) throw leadsOut()
      if (found.isFile()) throw new Problem('AlreadyExists', 'one of the folders in the name is a file')
    }
  }

  /** `mkdir -p` for the storage's own folders, the root and the folders above it. */
  async makeDirectory(path: string, made: string[] = []): Promise<void> {
    for (let attempt = 0; attempt < FOLDER_ATTEMPTS; attempt++) {
      try {
        if (!(await this.#make(path, made))) await this.#checkDirectory(path)
        return
      } catch (error) {
        const parent = dirname(path)
        if (!hasCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP') || parent === path) throw error
        await this.makeDirectory(parent, made)
      }
    }
    throw this.#problemWith(path, 'Unavailable', 'cannot be made, or is removed again and again')
  }

  /** Throws if there is something at the path that is neither a folder nor a link to one. */
  async #checkDirectory(path: string): Promise<void> {
    try {
      if ((await stat(path)).isDirectory()) return
    } catch (error) {
      if (!hasCode(error, 'ENOENT', 'ELOOP')) throw error
      if (!(await lstatIfThere(path))?.isSymbolicLink()) throw error
      throw this.#problemWith(path, 'Misconfigured', 'is a link that leads nowhere')
    }
    throw this.#problemWith(path, 'Misconfigured', 'is not a folder')
  }

  /** Only the cause names the path. */
  #problemWith(path: string, code: StorageErrorCode, what: string): Problem {
    const folder = path.startsWith(this.#start)
      ? `${JSON.stringify(this.nameOf(path))} in the storage folder`
      : path === this.path
        ? 'the storage folder (location)'
        : 'a folder above the storage folder (location)'
    return new Problem(code, `${folder} ${what}`, { cause: new Error(`${path} ${what}`) })
  }

  /** Makes one folder with the exact mode, durable if asked for. False if there is something of this name. */
  #make(path: string, made: string[]): Promise<boolean> {
    const running = this.#making.get(path)
    if (running) return running
    const making = this.#makeAnew(path, made).finally(() => this.#making.delete(path))
    this.#making.set(path, making)
    return making
  }

  async #makeAnew(path: string, made: string[]): Promise<boolean> {
    try {
      await mkdir(path, { mode: this.#directoryMode ?? 0o777 })
    } catch (error) {
      if (hasCode(error, 'EEXIST')) return false
      throw error
    }
    try {
      await setFolderMode(path, this.#directoryMode)
    } catch (error) {
      await rmdir(path).catch(() => {})
      throw error
    }
    made.push(path)
    if (this.#fsync) await fsyncDirectory(dirname(path))
    return true
  }

  /** Removes folders that were made for a file that did not come, unless others have put something there. */
  async unmake(made: string[]): Promise<void> {
    for (const path of made.splice(0).reverse()) await rmdir(path).catch(() => {})
  }

  /** Removes the folders above a deleted file that are empty now, as they would vanish on R2 and S3. Never the root. */
  async prune(name: Name): Promise<void> {
    for (let slash = name.lastIndexOf('/'); slash > 0; slash = name.lastIndexOf('/', slash - 1)) {
      try {
        await rmdir(this.pathOf(name.slice(0, slash) as Name)) // A folder of a name is a name.
      } catch (error) {
        // Not empty, a link, a mount point: it stays. A missing one may have been the last entry of its own folder.
        if (!hasCode(error, 'ENOENT')) return
      }
    }
  }

  /** Makes the entries of a folder durable, and the folder itself where that is not yet done by who made it. */
  async sync(folder: string): Promise<void> {
    await fsyncDirectory(folder)
    if (this.#making.size === 0) return
    for (let path = folder; ; path = dirname(path)) {
      // Removed again before it was whole: the save that made it makes it again.
      await tolerate(Promise.resolve(this.#making.get(path)), 'ENOENT')
      if (path === dirname(path)) return
    }
  }

  /** Makes it durable that a file is gone: synchronises the nearest folder above it that is still there. */
  async syncAbove(path: string): Promise<void> {
    for (let folder = dirname(path); folder.length >= this.path.length; folder = dirname(folder)) {
      if (await fsyncDirectory(folder)) return
    }
  }
}

function leadsOut(): Problem {
  return new Problem(
    'PermissionDenied',
    'a folder of the name is a symbolic link that leads out of the storage folder',
  )
}

function isWithin(root: string, path: string): boolean {
  if (path === root) return true
  const start = root.endsWith(sep) ? root : root + sep
  if (!path.startsWith(start)) return false
  return !path.includes(RESERVED_SEGMENT) || !path.slice(start.length).split(sep).includes(RESERVED_SEGMENT)
}

/** Synchronous: the kernel answers from memory, also for a disk that does not answer; the thread pool costs far more. */
function readPathOf(fd: number): string | undefined {
  try {
    return fs.readlinkSync(`/proc/self/fd/${fd}`)
  } catch {
    return undefined
  }
}
