import { createHash } from 'node:crypto'
import type { BigIntStats } from 'node:fs'
import { dirname, join } from 'node:path'
import { Problem } from '../../errors.js'
import { exceedName, pickAttributes } from '../../headers.js'
import { contentTypeOf } from '../../media-types.js'
import { type Name, RESERVED_SEGMENT, toName } from '../../names.js'
import type { Attributes } from '../../types.js'
import { isMarked, nextMark } from './mark.js'
import type { Root } from './root.js'
import {
  close,
  create,
  fstat,
  fsync,
  futimes,
  hasCode,
  lstatIfThere,
  readdir,
  readText,
  rename,
  unlink,
  writeAll,
} from './syscalls.js'
import { createTemp } from './temp.js'

/**
 * The attributes of a file that its name does not tell, in a file of their own: a sidecar, below the reserved folder.
 *
 * Two files cannot be replaced in one step, so a sidecar belongs to one version of its file: its own name has the
 * file's inode, modification time and size in it. It is written before its version is published and removed after that
 * version is gone; a reader who has a version open finds its sidecar or none, never another's. By the form of a file's
 * modification time a reader knows whether to look.
 */
export class Sidecars {
  readonly #root: Root
  readonly #fsync: boolean
  readonly #fileMode: number

  constructor(root: Root, fsync: boolean, fileMode: number) {
    this.#root = root
    this.#fsync = fsync
    this.#fileMode = fileMode
  }

  /** Where all of them are. */
  get folder(): string {
    return join(this.#root.path, RESERVED_SEGMENT, 'meta')
  }

  /** Whether the attributes say more than the name does. */
  needed(name: Name, attributes: Attributes): Promise<boolean> {
    return exceedName(name, attributes)
  }

  /** Gives an open file the modification time that says: look for a sidecar. Tells the version that this makes it. */
  async mark(fd: number): Promise<BigIntStats> {
    const time = nextMark()
    await futimes(fd, time, time)
    const version = fstat(fd)
    if (isMarked(version)) return version
    throw new Problem('Unsupported', 'the filesystem does not keep the times that files with metadata need')
  }

  /**
   * Describes a version that nobody has seen yet, so nobody reads a half sidecar either. False where there is one of a
   * version that looks the same: one that is gone, and whose sidecar is about to go, or that a crash left.
   */
  async create(name: Name, version: BigIntStats, attributes: Attributes): Promise<boolean> {
    const path = this.#pathOf(name, version)
    try {
      await this.#write(path, name, attributes)
    } catch (error) {
      if (hasCode(error, 'EEXIST')) return false
      throw error
    }
    try {
      if (this.#fsync) await this.#root.sync(dirname(path))
    } catch (error) {
      await unlink(path).catch(() => {})
      throw error
    }
    return true
  }

  /** Describes a version that moves, in place of what a move of it that broke off has left. Whole or not at all. */
  async replace(name: Name, version: BigIntStats, attributes: Attributes): Promise<void> {
    const path = this.#pathOf(name, version)
    const { path: temp, fd } = await createTemp(this.#root, this.#fileMode)
    await this.#fill(temp, fd, name, attributes)
    try {
      await this.#inFolder(path, () => rename(temp, path))
    } catch (error) {
      await unlink(temp).catch(() => {})
      throw error
    }
    if (this.#fsync) await this.#root.sync(dirname(path))
  }

  /** Puts a sidecar back that another move of the same version took for its own. */
  async restore(name: Name, version: BigIntStats, attributes: Attributes): Promise<void> {
    if ((await lstatIfThere(this.#pathOf(name, version))) === null)
      await this.replace(name, version, attributes)
  }

  /** Writes a new file; on failure nothing is left of it. */
  async #write(path: string, name: Name, attributes: Attributes): Promise<void> {
    const { fd } = await this.#inFolder(path, () => create(path, this.#fileMode))
    await this.#fill(path, fd, name, attributes)
  }

  async #fill(path: string, fd: number, name: Name, attributes: Attributes): Promise<void> {
    try {
      try {
        await writeAll(fd, Buffer.from(JSON.stringify({ name, ...attributes })))
        if (this.#fsync) await fsync(fd)
      } finally {
        await close(fd)
      }
    } catch (error) {
      await unlink(path).catch(() => {})
      throw error
    }
  }

  /** Puts something where the folder may have to be made first. */
  async #inFolder<T>(path: string, put: () => Promise<T>): Promise<T> {
    try {
      return await put()
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) throw error
      await this.#root.makeDirectory(dirname(path))
      return put()
    }
  }

  /** The attributes of a version of a file. Null: its sidecar is gone, so this version may be, too; look again. */
  async read(name: Name, version: BigIntStats): Promise<Attributes | null> {
    if (!isMarked(version)) return plainAttributes(name)
    const text = await readText(this.#pathOf(name, version))
    return text ? parse(text) : null // A power cut without fsync may leave an empty file.
  }

  /** For a file that is still there without a sidecar of its own: one that was restored from a backup has a new inode. */
  async readRestored(name: Name, version: BigIntStats): Promise<Attributes> {
    const path = this.#pathOf(name, version)
    const start = path.slice(dirname(path).length + 1, path.lastIndexOf('-') + 1)
    try {
      for (const entry of await readdir(dirname(path))) {
        const text = entry.name.startsWith(start) && (await readText(join(dirname(path), entry.name)))
        if (text) return parse(text)
      }
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) throw error
    }
    return plainAttributes(name)
  }

  /** Removes the sidecar of a version that is gone. Failing is only a leak, which the sweep finds. */
  async remove(name: Name, version: BigIntStats | null): Promise<void> {
    if (version === null || !isMarked(version)) return
    const path = this.#pathOf(name, version)
    try {
      // Moves may have brought this very version back, or a move that broke off left it there.
      const current = await lstatIfThere(this.#root.pathOf(name))
      if (current === null || this.#pathOf(name, current) !== path) await unlink(path)
    } catch {
      // Somebody else has removed it, or nobody can.
    }
  }

  /** Whether the version that a sidecar was written for is the one under its name, or another is, or none. */
  async ownerOf(path: string): Promise<'current' | 'replaced' | 'missing'> {
    const text = await readText(path)
    if (!text) return 'replaced' // Nothing is lost with it.
    const name = nameIn(text)
    // Whose it is cannot be told: a save that was killed has written a part of it, or it was damaged later.
    if (name === null) return 'missing'
    const version = await lstatIfThere(this.#root.pathOf(name))
    if (version === null) return 'missing'
    const current = this.#pathOf(name, version)
    // All but the inode, which is another after a restore from a backup.
    const isSame = current.slice(0, current.lastIndexOf('-')) === path.slice(0, path.lastIndexOf('-'))
    return isSame ? 'current' : 'replaced'
  }

  #pathOf(name: Name, { ino, mtimeNs, size }: BigIntStats): string {
    const hash = createHash('sha256').update(name).digest('hex').slice(0, 32)
    return join(this.folder, hash.slice(0, 2), `${hash}-${mtimeNs}-${size}-${ino}`)
  }
}

async function plainAttributes(name: Name): Promise<Attributes> {
  return { contentType: await contentTypeOf(name), metadata: {} }
}

function parse(text: string): Attributes {
  try {
    return pickAttributes(JSON.parse(text))
  } catch (cause) {
    throw new Problem('Corrupt', 'the stored metadata cannot be read', { cause })
  }
}

/** The name of the file that a sidecar belongs to. */
function nameIn(text: string): Name | null {
  try {
    return toName(JSON.parse(text).name)
  } catch {
    return null
  }
}
