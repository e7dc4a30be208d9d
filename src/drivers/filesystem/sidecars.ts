import type { BigIntStats } from 'node:fs'
import { dirname, join } from 'node:path'
import { contentTypeOf } from '../../media-types.js'
import { type Name, RESERVED_SEGMENT } from '../../names.js'
import type { Attributes } from '../../types.js'
import type { Root } from './root.js'
import {
  decodeSidecar,
  encodeSidecar,
  isCopyOfTime,
  parseSidecarPath,
  type SidecarPaths,
  sidecarPaths,
  sidecarPlace,
  tryToDecodeSidecar,
} from './sidecar.js'
import {
  close,
  copyFile,
  create,
  fsync,
  link,
  lstatIfThere,
  lstatNow,
  NO_HARD_LINKS,
  readText,
  rename,
  unlink,
  writeAll,
} from './syscalls.js'
import { hasCode, tolerate } from './system-errors.js'
import { createTemp } from './temp.js'
import { isSameVersion, type Version } from './version.js'

/** The result of a look for the sidecar of a version. */
export interface SidecarLook {
  /** Whether it is certain that there is none. Else the version may have been replaced meanwhile, with its sidecar. */
  readonly isCertain: boolean
  readonly own?: string | undefined
  readonly alias?: string | undefined
}

const NONE: SidecarLook = { isCertain: true }

/** The attributes of one version. */
export interface FoundAttributes {
  readonly attributes: Attributes
  /** Whether they come from the version's own sidecar, so that its modification time is unique. */
  readonly described: boolean
}

/**
 * The attributes that a file's name does not tell, in a file of their own below the reserved folder: a sidecar.
 *
 * Two files cannot be replaced in one step, so a sidecar belongs to one version of its file: its own path has the
 * file's inode, modification time and size in it. It is written before its version is published and removed after that
 * version is gone, so a reader who has a version open finds its sidecar or none, never another's. The exclusive
 * creation of that path keeps the times of versions apart.
 *
 * Backups give a file another inode, and often cut its time. For them a sidecar has an alias, a second link by name,
 * size and second. It is made after its version is published: a reader who finds an alias, and then the version that is
 * open still in place, knows that no newer version made it. An older version's does not fit in time. An alias may be
 * missing at any time; the sweep makes it again.
 */
export class Sidecars {
  readonly #root: Root
  readonly #fsync: boolean
  readonly #fileMode: number | null
  /** Where all of them are. */
  readonly folder: string
  /** Folders in it that are known to be there. */
  readonly #folders = new Set<string>()

  constructor(root: Root, fsync: boolean, fileMode: number | null) {
    this.#root = root
    this.#fsync = fsync
    this.#fileMode = fileMode
    this.folder = join(root.path, RESERVED_SEGMENT, 'meta')
  }

  /**
   * Writes the sidecar of a version that nobody has seen yet, so nobody reads a half one either. False where there is
   * one of a version that looks the same: it is gone, and its sidecar about to go, or left by a crash.
   */
  async create(name: Name, version: Version, attributes: Attributes): Promise<boolean> {
    const { own } = this.#pathsOf(name, version)
    try {
      const { fd } = await this.#inFolder(own, () => create(own, this.#fileMode))
      await this.#fill(own, fd, encodeSidecar(name, version, attributes))
    } catch (error) {
      if (hasCode(error, 'EEXIST')) return false
      throw error
    }
    try {
      if (this.#fsync) await this.#root.sync(dirname(own))
    } catch (error) {
      await unlink(own).catch(() => {})
      throw error
    }
    return true
  }

  /** Writes the sidecar of a version that moves, over what a broken move of it left. Whole or not at all. */
  async replace(name: Name, version: Version, attributes: Attributes): Promise<void> {
    await this.#put(this.#pathsOf(name, version).own, encodeSidecar(name, version, attributes))
  }

  /** Puts a sidecar back that another move of the same version took for its own, and removed. */
  async restore(name: Name, version: Version, attributes: Attributes): Promise<void> {
    if (!lstatNow(this.#pathsOf(name, version).own)) await this.replace(name, version, attributes)
  }

  async #put(path: string, text: string): Promise<void> {
    const { path: temp, fd } = await createTemp(this.#root, this.#fileMode)
    await this.#fill(temp, fd, text)
    try {
      await this.#inFolder(path, () => rename(temp, path))
    } catch (error) {
      await unlink(temp).catch(() => {})
      throw error
    }
    if (this.#fsync) await this.#root.sync(dirname(path))
  }

  /** On failure nothing is left of the file. */
  async #fill(path: string, fd: number, text: string): Promise<void> {
    try {
      try {
        await writeAll(fd, Buffer.from(text))
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

  /** Gives the sidecar of a published version its alias. A failure is left to the sweep. */
  async addAlias(name: Name, version: Version): Promise<void> {
    await addAlias(this.#pathsOf(name, version)).catch(() => {})
  }

  /**
   * Looks for the sidecar of a version that was found before. Synchronous: a trip through the thread pool would cost
   * more than all of this.
   */
  look(name: Name, version: Version): SidecarLook {
    const place = sidecarPlace(this.folder, name)
    // Folders stay. Without one, no version that was ever seen has had a sidecar here.
    if (!this.#hasFolder(place.folder)) return NONE
    const { own, alias } = sidecarPaths(place, version)
    if (lstatNow(own)) return { isCertain: false, own }
    return { isCertain: false, alias: lstatNow(alias) && alias }
  }

  #hasFolder(folder: string): boolean {
    if (this.#folders.has(folder)) return true
    if (!lstatNow(folder)) return false
    this.#folders.add(folder)
    return true
  }

  /**
   * The attributes of a version after a look. Null: it was replaced, and its sidecar may be gone with it; look again.
   * `isCurrent`: whether it is still in place.
   */
  async read(
    name: Name,
    version: Version,
    { isCertain, own, alias }: SidecarLook,
    isCurrent: () => boolean,
  ): Promise<FoundAttributes | null> {
    const text = own && (await readText(own))
    if (text) return { attributes: decodeSidecar(text).attributes, described: true }
    const copied = alias && (await readText(alias))
    // After the look: an empty sidecar, which a power cut without fsync may leave, counts as none.
    if (!isCertain && !isCurrent()) return null
    const sidecar = copied ? tryToDecodeSidecar(copied) : null
    const fits = sidecar?.time !== undefined && isCopyOfTime(version.mtimeNs, sidecar.time)
    const attributes = fits ? sidecar.attributes : { contentType: await contentTypeOf(name), metadata: {} }
    return { attributes, described: false }
  }

  /** Whether a version of these stats could be taken for one that has a sidecar. */
  has(name: Name, version: Version): boolean {
    const { own, alias } = this.look(name, version)
    return own !== undefined || alias !== undefined
  }

  /** Removes the sidecar of a version that is gone. A failure is only a leak, which the sweep finds. */
  async remove(name: Name, version: Version | null): Promise<void> {
    if (version === null) return
    const place = sidecarPlace(this.folder, name)
    try {
      if (!this.#hasFolder(place.folder)) return
      const { own, alias } = sidecarPaths(place, version)
      const sidecar = lstatNow(own)
      if (!sidecar) return
      // Moves may have brought this very version back, or a move that broke off left it there.
      const current = lstatNow(this.#root.pathOf(name))
      if (current && isSameVersion(current, version)) return
      await removeBoth(own, sidecar, alias)
    } catch {
      // Somebody else has removed it, or nobody can.
    }
  }

  /** Removes a sidecar with its alias. */
  async removeAt(path: string): Promise<void> {
    const sidecar = lstatNow(path)
    if (sidecar) await removeBoth(path, sidecar, parseSidecarPath(path)?.alias ?? path)
  }

  /** Whether an alias is still one file with its sidecar, and so goes with it. */
  isLinkedAlias(path: string, stats: BigIntStats): boolean {
    return parseSidecarPath(path)?.alias === path && stats.nlink > 1n
  }

  /** The name of the file that a sidecar or an alias belongs to. Undefined where it cannot be read. */
  async nameOf(path: string): Promise<Name | undefined> {
    const text = await readText(path)
    return text ? tryToDecodeSidecar(text)?.name : undefined
  }

  /** Whether the version that a sidecar or an alias was made for is the one under its name, or another is, or none. */
  async ownerOf(path: string): Promise<'current' | 'replaced' | 'missing'> {
    const text = await readText(path)
    if (!text) return 'replaced' // Nothing is lost with it.
    const sidecar = tryToDecodeSidecar(text)
    // Nobody can tell whose it is: a save was killed while it wrote it, or it was damaged later.
    if (sidecar === null) return 'missing'
    const version = await lstatIfThere(this.#root.pathOf(sidecar.name))
    if (version === null) return 'missing'
    const { size, time = sidecar.time } = parseSidecarPath(path) ?? {}
    // The inode is another after a restore from a backup.
    const isSame = size === version.size && time !== undefined && isCopyOfTime(version.mtimeNs, time)
    return isSame ? 'current' : 'replaced'
  }

  /** Makes the alias of a sidecar that has none: stowage 0.1 made none, and the last step of a save may be missing. */
  async completeAlias(own: string): Promise<void> {
    const parsed = parseSidecarPath(own)
    if (parsed?.time === undefined || lstatNow(parsed.alias) || (await this.ownerOf(own)) !== 'current')
      return
    const sidecar = decodeSidecar((await readText(own)) ?? '')
    if (sidecar.time === undefined) {
      await this.#put(own, encodeSidecar(sidecar.name, { mtimeNs: parsed.time }, sidecar.attributes))
    }
    await addAlias({ own, alias: parsed.alias })
  }

  #pathsOf(name: Name, version: Version): SidecarPaths {
    return sidecarPaths(sidecarPlace(this.folder, name), version)
  }
}

/** The alias stays if it belongs to another version of this size and second. */
async function removeBoth(own: string, { ino }: BigIntStats, alias: string): Promise<void> {
  const isOwn = alias !== own && lstatNow(alias)?.ino === ino
  await Promise.all([unlink(own), isOwn && unlink(alias)])
}

async function addAlias({ own, alias }: Pick<SidecarPaths, 'own' | 'alias'>): Promise<void> {
  // Of another version of this size and second.
  if (lstatNow(alias)) await tolerate(unlink(alias), 'ENOENT')
  try {
    await link(own, alias)
  } catch (error) {
    if (!hasCode(error, ...NO_HARD_LINKS)) throw error
    await copyFile(own, alias, 0)
  }
}
