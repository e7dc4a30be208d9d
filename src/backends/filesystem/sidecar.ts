import { createHash } from 'node:crypto'
import type { BigIntStats } from 'node:fs'
import { dirname, join } from 'node:path'
import { Problem } from '../../errors.js'
import { type Attributes, contentTypeOf, pickAttributes } from '../../metadata.js'
import { type Name, RESERVED_SEGMENT, toName } from '../../names.js'
import type { Root } from './root.js'
import {
  close,
  fsync,
  futimes,
  hasCode,
  lstat,
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
 * version is gone; a reader who has a version open finds its sidecar or none, never another's.
 *
 * Files with a sidecar have a modification time in whole microseconds, which one in a thousand others has by chance:
 * the read of a plain file costs no look for a sidecar.
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
  async needed(name: Name, attributes: Attributes): Promise<boolean> {
    return (
      attributes.contentType !== (await contentTypeOf(name)) ||
      attributes.cacheControl !== undefined ||
      attributes.contentDisposition !== undefined ||
      attributes.contentLanguage !== undefined ||
      attributes.contentEncoding !== undefined ||
      Object.keys(attributes.metadata).length > 0
    )
  }

  /** Gives an open file the modification time that says: look for a sidecar. */
  async mark(fd: number): Promise<void> {
    const now = markedTime(Date.now())
    await futimes(fd, now, now)
  }

  /** Whole or not at all, also when the process dies, and in place of the one of a move that broke off. */
  async write(name: Name, version: BigIntStats, attributes: Attributes): Promise<void> {
    const path = this.#pathOf(name, version)
    const { path: temp, fd } = await createTemp(this.#root, this.#fileMode)
    try {
      try {
        await writeAll(fd, Buffer.from(JSON.stringify({ name, ...attributes })))
        if (this.#fsync) await fsync(fd)
      } finally {
        await close(fd)
      }
      await this.#place(temp, path)
    } catch (error) {
      await unlink(temp).catch(() => {})
      throw error
    }
    if (this.#fsync) await this.#root.sync(dirname(path))
  }

  /** Puts a sidecar back that another move of the same version took for its own. */
  async restore(name: Name, version: BigIntStats, attributes: Attributes): Promise<void> {
    if ((await lstatIfThere(this.#pathOf(name, version))) === null)
      await this.write(name, version, attributes)
  }

  async #place(temp: string, path: string): Promise<void> {
    try {
      await rename(temp, path)
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) throw error
      await this.#root.makeDirectory(dirname(path))
      await rename(temp, path)
    }
  }

  /** The attributes of a version of a file. Null: its sidecar is gone, so this version may be, too; look again. */
  async read(name: Name, version: BigIntStats): Promise<Attributes | null> {
    if (!isMarked(version)) return plainAttributes(name)
    const text = await readText(this.#pathOf(name, version))
    return text === null ? null : parse(text)
  }

  /** For a file that is still there without a sidecar of its own: one that was restored from a backup has a new inode. */
  async readRestored(name: Name, version: BigIntStats): Promise<Attributes> {
    const path = this.#pathOf(name, version)
    const start = path.slice(dirname(path).length + 1, path.lastIndexOf('-') + 1)
    try {
      const found = (await readdir(dirname(path))).find((entry) => entry.name.startsWith(start))
      const text = found && (await readText(join(dirname(path), found.name)))
      if (text) return parse(text)
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

  /** Whether the version that a sidecar was written for is still the one under its name. */
  async isInUse(path: string): Promise<boolean> {
    const text = await readText(path)
    if (text === null) return false
    const name = nameIn(text)
    if (name === null) return true // Damaged. Whose it is cannot be told, so it stays.
    try {
      const current = this.#pathOf(name, await lstat(this.#root.pathOf(name)))
      // All but the inode, which is another after a restore from a backup.
      return current.slice(0, current.lastIndexOf('-')) === path.slice(0, path.lastIndexOf('-'))
    } catch (error) {
      if (hasCode(error, 'ENOENT', 'ENOTDIR')) return false
      throw error
    }
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
    return toName(JSON.parse(text).name, 'sweep')
  } catch {
    return null
  }
}

export function isMarked({ mtimeNs }: BigIntStats): boolean {
  return mtimeNs % 1000n === 0n
}

/**
 * The next time, in seconds, that is stored in whole microseconds. Node hands times over as doubles, and libuv cuts
 * them to microseconds (Node 20, 22) or nanoseconds (Node 24): only fractions of 2^20 that are whole microseconds after
 * the cut do for both. There is about one in each millisecond.
 */
function markedTime(milliseconds: number): number {
  const seconds = Math.floor(milliseconds / 1000)
  for (let ticks = Math.ceil(((milliseconds % 1000) / 1000) * TICKS); ticks < TICKS; ticks++) {
    if (Math.floor((ticks / TICKS) * 1e9) % 1000 === 0) return seconds + ticks / TICKS
  }
  return seconds + 1
}

const TICKS = 2 ** 20
