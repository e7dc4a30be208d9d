import fs from 'node:fs'
import { dirname, resolve, sep } from 'node:path'
import { Problem } from '../../errors.js'
import { type Folder, type Name, RESERVED_SEGMENT } from '../../names.js'
import { chmod, fsyncDirectory, hasCode, lstat, mkdir, realpath, rmdir } from './syscalls.js'

export interface RootOptions {
  readonly location: string
  readonly directoryMode: number
  readonly fsync: boolean
}

/**
 * The folder that a `FileSystemStorage` lives in: names to paths, and the guard that no path leads out of it. Names are
 * checked, so only symbolic links can; each one met is resolved, and what lies outside does not exist for callers.
 */
export class Root {
  readonly path: string
  readonly #start: string
  readonly #directoryMode: number
  readonly #fsync: boolean
  #real: string | undefined

  constructor({ location, directoryMode, fsync }: RootOptions) {
    this.path = resolve(location)
    this.#start = this.path.endsWith(sep) ? this.path : this.path + sep
    this.#directoryMode = directoryMode
    this.#fsync = fsync
  }

  /** Names are normalised, so nothing needs to be resolved. */
  pathOf(name: Folder): string {
    return name === '' ? this.path : this.#start + name
  }

  /** The other way round, for what was found below the root. */
  nameOf(path: string): string {
    return path.slice(this.#start.length)
  }

  /** Whether a path without links in it lies within the root, and not in its reserved folder. */
  async #holds(realPath: string): Promise<boolean> {
    if (this.#real !== undefined && isWithin(this.#real, realPath)) return true
    // The root itself may be behind a link, which leads elsewhere after a deployment.
    this.#real = await realpath(this.path)
    return isWithin(this.#real, realPath)
  }

  /** Where a path really leads, or null where that is outside, nowhere, or a folder of the storage's own. */
  async follow(path: string | Buffer): Promise<string | null> {
    try {
      const real = await realpath(path)
      return (await this.#holds(real)) ? real : null
    } catch (error) {
      if (hasCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return null
      throw error
    }
  }

  /** Whether what was just opened lies within the root. Airtight on Linux, where the kernel tells a descriptor's path. */
  async holdsOpened(fd: number, name: Name): Promise<boolean> {
    if (!name.includes('/')) return true
    if (process.platform !== 'linux') return this.holdsParents(name)
    let real: string
    try {
      // Synchronous: the kernel answers from memory, also for a disk that does not answer; the thread pool costs far more.
      real = fs.readlinkSync(`/proc/self/fd/${fd}`)
    } catch {
      return this.holdsParents(name)
    }
    return this.#holds(real)
  }

  /** Whether the folders above a file that was just found are within the root. */
  async holdsParents(name: Folder): Promise<boolean> {
    return !name.includes('/') || (await this.follow(dirname(this.pathOf(name)))) !== null
  }

  /** Whether the folder to put a file in is there. A link that leads out of the root is refused. */
  async hasParent(name: Name): Promise<boolean> {
    if (!name.includes('/')) return true
    try {
      if (await this.#holds(await realpath(dirname(this.pathOf(name))))) return true
    } catch (error) {
      if (hasCode(error, 'ENOENT', 'ENOTDIR')) return false
      throw error
    }
    throw new Problem(
      'PermissionDenied',
      `a folder of the name is a symbolic link that leads out of ${this.path}`,
    )
  }

  /** Makes the folder to put a file in, where it is missing. */
  async makeParent(name: Name): Promise<void> {
    if (!(await this.hasParent(name))) await this.#makeFolders(name)
  }

  async #makeFolders(name: Name): Promise<void> {
    await this.makeDirectory(this.path)
    for (let slash = name.indexOf('/'); slash !== -1; slash = name.indexOf('/', slash + 1)) {
      const path = this.pathOf(name.slice(0, slash) as Name) // A folder of a name is a name.
      await this.makeDirectory(path)
      if ((await lstat(path)).isSymbolicLink() && (await this.follow(path)) === null) {
        throw new Problem(
          'PermissionDenied',
          `a folder of the name is a symbolic link that leads out of ${this.path}`,
        )
      }
    }
  }

  /** `mkdir -p`, with the exact mode on every level that is new, and durable if asked for. */
  async makeDirectory(path: string): Promise<void> {
    try {
      await mkdir(path, { mode: this.#directoryMode })
    } catch (error) {
      if (hasCode(error, 'EEXIST')) return
      const parent = dirname(path)
      if (!hasCode(error, 'ENOENT') || parent === path) throw error
      await this.makeDirectory(parent)
      return this.makeDirectory(path)
    }
    await chmod(path, this.#directoryMode) // The umask took its share of the mode above.
    if (this.#fsync) await fsyncDirectory(dirname(path))
  }

  /** Removes the folders above a deleted file that are empty now, as they would vanish on R2 and S3. Never the root. */
  async prune(name: Name): Promise<void> {
    for (let slash = name.lastIndexOf('/'); slash > 0; slash = name.lastIndexOf('/', slash - 1)) {
      try {
        await rmdir(this.pathOf(name.slice(0, slash) as Name)) // A folder of a name is a name.
      } catch (error) {
        // Not empty, a link, a mount point: whatever it is, it stays. What is gone may have been the last in its folder.
        if (!hasCode(error, 'ENOENT')) return
      }
    }
  }

  /** Makes it durable that a file is gone: synchronises the nearest folder above it that is still there. */
  async syncAbove(path: string): Promise<void> {
    for (let folder = dirname(path); folder.length >= this.path.length; folder = dirname(folder)) {
      if (await fsyncDirectory(folder)) return
    }
  }
}

function isWithin(root: string, path: string): boolean {
  if (path === root) return true
  const start = root.endsWith(sep) ? root : root + sep
  if (!path.startsWith(start)) return false
  return !path.includes(RESERVED_SEGMENT) || !path.slice(start.length).split(sep).includes(RESERVED_SEGMENT)
}
