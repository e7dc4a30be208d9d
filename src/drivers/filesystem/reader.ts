import type { BigIntStats } from 'node:fs'
import { Problem } from '../../errors.js'
import type { Name } from '../../names.js'
import { replacedMeanwhile } from '../resting-readers.js'
import type { Root } from './root.js'
import type { FoundAttributes, Sidecars } from './sidecars.js'
import { closeRead, fstat, fstatInNumbers, lstatNow, MODIFY, open, openNow, READ } from './syscalls.js'
import { hasCode } from './system-errors.js'
import { isSameVersion, type Version } from './version.js'

/** Looks at a file that is replaced again and again meanwhile. */
const READ_ATTEMPTS = 100

/** One version of a file, with its own attributes. */
export interface FoundFile extends FoundAttributes {
  readonly stats: BigIntStats
}

/** An open version. The receiver closes `fd`. */
export interface OpenFile extends FoundFile {
  readonly fd: number
}

/** An open file, and its size in bytes. The receiver closes `fd`. */
export interface OpenContent {
  readonly fd: number
  readonly size: number
}

/** Finds and opens files: never outside of the root, and never one version with the attributes of another. */
export class Reader {
  readonly #root: Root
  readonly #sidecars: Sidecars

  constructor(root: Root, sidecars: Sidecars) {
    this.#root = root
    this.#sidecars = sidecars
  }

  open(name: Name): Promise<OpenFile> {
    return this.#following(name, (path) => this.#openAt(path, name))
  }

  /** Opens a file whose attributes nobody asks for. */
  openContent(name: Name): Promise<OpenContent> {
    return this.#following(name, async (path) => {
      const fd = await open(path, READ)
      try {
        const content = contentOf(fd)
        if (content && (await this.#root.placeOf(fd, path)) !== 'outside') return content
      } catch (error) {
        closeRead(fd)
        throw error
      }
      closeRead(fd)
      throw noSuchFile()
    })
  }

  /** The same without a wait. Undefined for whatever is not plain: {@link openContent} has to judge it. */
  openContentNow(name: Name): OpenContent | undefined {
    const path = this.#root.pathOf(name)
    const fd = this.#root.seesPlaceOf(path) ? openNow(path) : undefined
    if (fd === undefined) return undefined
    try {
      if (this.#root.isInPlace(fd, path)) {
        const content = contentOf(fd)
        if (content) return content
      }
    } catch {}
    closeRead(fd)
    return undefined
  }

  /** Opens a version again that was open before. Fails where it is not the one of that name any more. */
  async reopen(name: Name, version: BigIntStats): Promise<number> {
    const fd = await this.#following(name, (path) => open(path, READ)).catch((error) => {
      throw hasCode(error, 'NotFound', 'ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO')
        ? replacedMeanwhile(error)
        : error
    })
    try {
      if (isSameFile(fstat(fd), version)) return fd
    } catch (error) {
      closeRead(fd)
      throw error
    }
    closeRead(fd)
    throw replacedMeanwhile(undefined)
  }

  /** Opens what is there, or what a link leads to. */
  async #following<T>(name: Name, open: (path: string) => Promise<T>): Promise<T> {
    const path = this.#root.pathOf(name)
    try {
      return await open(path)
    } catch (error) {
      if (!hasCode(error, 'ELOOP')) throw error
      const real = await this.#root.follow(path)
      if (real === null) throw noSuchFile()
      return open(real)
    }
  }

  async #openAt(path: string, name: Name): Promise<OpenFile> {
    for (let attempt = 0; attempt < READ_ATTEMPTS; attempt++) {
      const fd = await open(path, READ)
      const opened = await this.#examine(fd, path, name)
      if (opened) return opened
    }
    throw keepsChanging()
  }

  /**
   * Opens `pin`, a second name of the file `name`, which may be moved or replaced meanwhile: null then.
   * `inside`: whether the file lies within the root.
   */
  async openPinned(pin: string, name: Name, inside: boolean): Promise<OpenFile | null> {
    const fd = await open(pin, MODIFY)
    return this.#examine(fd, this.#root.pathOf(name), name, inside ? 'inside' : 'outside')
  }

  /** `path`: where the version is for as long as it has its sidecar. */
  async #examine(
    fd: number,
    path: string,
    name: Name,
    known?: 'inside' | 'outside',
  ): Promise<OpenFile | null> {
    try {
      const stats = fstat(fd)
      if (!stats.isFile()) throw noSuchFile()
      const look = this.#sidecars.look(name, stats)
      const place = known ?? (await this.#root.placeOf(fd, path))
      if (place === 'outside') throw noSuchFile()
      // The kernel gave the path after the look, so the version was still in place then.
      const stayed = place === 'in place' && look.own === undefined && look.alias === undefined
      const found = await this.#sidecars.read(name, stats, look, () => stayed || isAt(path, stats))
      if (found) return { fd, stats, ...found }
    } catch (error) {
      closeRead(fd)
      throw error
    }
    closeRead(fd)
    return null
  }

  /** Where a file really is, and its state; null if there is none. */
  async find(name: Name): Promise<{ readonly path: string; readonly stats: BigIntStats } | null> {
    const path = await this.#root.follow(this.#root.pathOf(name))
    if (path === null) return null
    // Synchronous: the kernel has just been there.
    const stats = lstatNow(path)
    return stats?.isFile() ? { path, stats } : null
  }

  /** A file and its attributes; null if there is none. */
  async describe(name: Name): Promise<FoundFile | null> {
    for (let attempt = 0; attempt < READ_ATTEMPTS; attempt++) {
      const found = await this.find(name)
      if (found === null) return null
      const { path, stats } = found
      const look = this.#sidecars.look(name, stats)
      const attributes = await this.#sidecars.read(name, stats, look, () => isAt(path, stats))
      if (attributes) return { stats, ...attributes }
    }
    throw keepsChanging()
  }
}

/** Whether it is not even another file that got the inode, the size and a coarse time of the first one. */
function isSameFile(a: BigIntStats, b: BigIntStats): boolean {
  return isSameVersion(a, b) && a.dev === b.dev && a.birthtimeNs === b.birthtimeNs
}

/** Whether a version is still what is at a path. */
function isAt(path: string, version: Version): boolean {
  const current = lstatNow(path)
  return current !== undefined && isSameVersion(current, version)
}

/** Undefined for folders, devices and the like. */
function contentOf(fd: number): OpenContent | undefined {
  const stats = fstatInNumbers(fd)
  return stats.isFile() ? { fd, size: stats.size } : undefined
}

function noSuchFile(): Problem {
  return new Problem('NotFound', 'there is no such file')
}

function keepsChanging(): Problem {
  return new Problem('Unavailable', 'the file kept changing while it was opened; try again')
}
