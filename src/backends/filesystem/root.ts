import fs from 'node:fs'
import { dirname, join, resolve, sep } from 'node:path'
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
  readonly #directoryMode: number
  readonly #fsync: boolean
  #real: string | undefined

  constructor({ location, directoryMode, fsync }: RootOptions) {
    this.path = resolve(location)
    this.#directoryMode = directoryMode
    this.#fsync = fsync
  }

  pathOf(name: Folder): string {
    return name === '' ? this.path : join(this.path, name)
  }

  /** Whether a path without links in it lies within the root, and not in its reserved folder. */
  async #holds(realPath: string): Promise<boolean> {
    this.#real ??= await realpath(this.path)
    if (realPath === this.#real) return true
    const start = this.#real.endsWith(sep) ? this.#real : this.#real + sep
    return realPath.startsWith(start) && !realPath.slice(start.length).split(sep).includes(RESERVED_SEGMENT)
  }

  /** Where a link leads, or null where that is outside, nowhere, or a folder of the storage's own. */
  async follow(path: string): Promise<string | null> {
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
      // Synchronous: the kernel answers from memory, a round trip through the thread pool costs ten times as much.
      real = fs.readlinkSync(`/proc/self/fd/${fd}`)
    } catch {
      return this.holdsParents(name)
    }
    return this.#holds(real)
  }

  /** Whether the folders above a file that was just found are within the root. */
  async holdsParents(name: Folder): Promise<boolean> {
    for (let slash = name.indexOf('/'); slash !== -1; slash = name.indexOf('/', slash + 1)) {
      // Synchronous: finding the file has just brought these entries into the kernel's cache.
      const stats = fs.lstatSync(join(this.path, name.slice(0, slash)), { throwIfNoEntry: false })
      if (stats === undefined) return false
      if (stats.isSymbolicLink()) return (await this.follow(dirname(this.pathOf(name)))) !== null
    }
    return true
  }

  /** The folder to put a file in, made where it is missing. A link that leads out of the root is refused. */
  async makeParent(name: Name): Promise<string> {
    const parent = dirname(this.pathOf(name))
    try {
      if (await this.#holds(await realpath(parent))) return parent
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) throw error
      await this.#makeFolders(name)
      return parent
    }
    throw new Problem(
      'PermissionDenied',
      `a folder of the name is a symbolic link that leads out of ${this.path}`,
    )
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
      } catch {
        return // Not empty, a link, a mount point, already gone: whatever it is, it stays.
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
