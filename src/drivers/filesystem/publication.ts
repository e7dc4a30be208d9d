import { dirname, join } from 'node:path'
import type { Staged } from '../../driver.js'
import { Problem } from '../../errors.js'
import { exceedName } from '../../headers.js'
import { type Name, RESERVED_SEGMENT } from '../../names.js'
import type { Attributes } from '../../types.js'
import type { Context } from './context.js'
import type { Draft } from './draft.js'
import { replaceFile } from './in-use.js'
import { renameUnderLock } from './lock.js'
import { FOLDER_ATTEMPTS } from './root.js'
import { link, lstatNow, NO_HARD_LINKS, rmdir } from './syscalls.js'
import { hasCode } from './system-errors.js'
import { tempFolder } from './temp.js'
import { leapOf, TIME_ATTEMPTS, uniqueTime } from './unique-time.js'
import type { Version } from './version.js'
import { removeVersion } from './withdrawal.js'

/** The last step of a publication. If it fails, a name that was free is free again. */
export type LastStep = () => Promise<void>

/**
 * Gives a draft its name in one step: a link (create-only: the kernel refuses a taken name) or a rename (replace). The
 * sidecar of the version, if it needs one, goes first.
 */
export class Publication implements Staged {
  readonly #context: Context
  readonly #draft: Draft
  readonly #attributes: Attributes
  /** Whether the draft has had a sidecar under its old name, and so a unique time; other moves may move it as well. */
  #described: boolean
  /** The version that the draft is, once it has a time that no other version of its name has. */
  #version: Version | undefined
  /** The version that was replaced. Its sidecar goes last: a power cut may bring it back until then. */
  #replaced: Version | null = null
  /** Folders that were made for the file, and go if it is not published. */
  readonly #made: string[] = []
  /** The folder of a mount below the root, where the temporary file had to go. */
  #neighbour: string | undefined

  constructor(context: Context, draft: Draft, attributes: Attributes, described = false) {
    this.#context = context
    this.#draft = draft
    this.#attributes = attributes
    this.#described = described
  }

  async publish(name: Name, createOnly: boolean, last: LastStep = async () => {}): Promise<boolean> {
    const { root, sidecars } = this.#context
    const looking = root.hasParent(name)
    looking.catch(() => {})
    const needsSidecar = await exceedName(name, this.#attributes)
    let version: Version | undefined
    let published = false
    try {
      if (needsSidecar) {
        // A look is cheaper than a sidecar that is removed again because the name is taken.
        if (createOnly && (await looking) && lstatNow(root.pathOf(name))) return false
        version = await this.#describe(name)
      } else await this.#finish(name)
      published = await this.#commit(name, createOnly, await looking)
    } catch (error) {
      if (!hasCode(error, 'EXDEV') || this.#neighbour !== undefined) throw error
      await this.#moveNextTo(root.pathOf(name))
      return await this.publish(name, createOnly, last)
    } finally {
      if (!published && version) await sidecars.remove(name, version)
    }
    if (!published) return false
    await this.#complete(name, createOnly, version, last)
    this.#made.length = 0
    await sidecars.remove(name, this.#replaced)
    return true
  }

  /** The steps after the file has got its name. */
  async #complete(name: Name, createOnly: boolean, version: Version | undefined, last: LastStep) {
    const { root, sidecars, fsync } = this.#context
    const cleaning = this.#removeTemp()
    let aliasing: Promise<void> | undefined
    try {
      // Until now, a move of the same version that failed could not tell that its sidecar is wanted.
      if (version && this.#described) await sidecars.restore(name, version, this.#attributes)
      if (version) aliasing = sidecars.addAlias(name, version)
      if (fsync) await root.sync(dirname(root.pathOf(name)))
      await last()
    } catch (error) {
      await aliasing
      // A replaced file cannot be brought back.
      if (createOnly) await this.#withdraw(name)
      if (createOnly && version) await sidecars.remove(name, version)
      throw error
    } finally {
      await Promise.all([cleaning, aliasing])
    }
  }

  /** Takes back what is not to stay, if the disk still lets it. */
  async #withdraw(name: Name): Promise<void> {
    try {
      await removeVersion(this.#context.root, name, this.#draft.ino)
    } catch {
      // The disk fails; the save is reported as failed in any case.
    }
  }

  /** Writes the sidecar of this version, which gets a unique time first, and another where that is not unique. */
  async #describe(name: Name): Promise<Version> {
    const { root, sidecars } = this.#context
    // Nothing may change about a file that still has its old name, so a copy gets the time.
    if (this.#draft.isPinned && !this.#described) await this.#draft.moveToCopy(tempFolder(root))
    for (let attempt = 0; attempt < TIME_ATTEMPTS; attempt++) {
      this.#version ??= await (this.#described
        ? this.#draft.stat()
        : this.#draft.setTime(uniqueTime(leapOf(attempt))))
      const version = this.#version
      // Closed before the sidecar is opened: a save that has a descriptor must not wait for another.
      await this.#draft.seal()
      if (this.#described) await sidecars.replace(name, version, this.#attributes)
      if (this.#described || (await sidecars.create(name, version, this.#attributes))) return version
      this.#version = undefined
    }
    throw tooManyVersions()
  }

  /** Completes a version without a sidecar. It must not look like one whose sidecar is still there. */
  async #finish(name: Name): Promise<void> {
    const { sidecars } = this.#context
    for (let attempt = 0; this.#draft.hasCoarseTime; attempt++) {
      if (!sidecars.has(name, await this.#draft.stat())) break
      if (attempt === TIME_ATTEMPTS) throw tooManyVersions()
      await this.#draft.setTime(uniqueTime(leapOf(attempt)))
    }
    await this.#draft.seal()
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
        // The target's folder can be made again, the content cannot.
        if (hasCode(error, 'ENOENT') && !(await this.#draft.isThere())) {
          const reason = 'the temporary file was removed before it got its name'
          throw new Problem('Unavailable', reason, { cause: error })
        }
        if (hasCode(error, 'ENOENT') && attempt < FOLDER_ATTEMPTS) continue
        if (hasCode(error, 'ENOTDIR')) {
          throw new Problem('AlreadyExists', 'one of the folders in the name is a file', { cause: error })
        }
        throw error
      }
    }
  }

  async #create(target: string): Promise<boolean> {
    try {
      await link(this.#draft.path, target)
      return true
    } catch (error) {
      if (hasCode(error, 'EEXIST')) return false
      if (hasCode(error, ...NO_HARD_LINKS)) {
        return renameUnderLock(this.#context.root, this.#draft.path, target)
      }
      throw error
    }
  }

  async #replace(name: Name): Promise<boolean> {
    const { root } = this.#context
    // Synchronous: the rename needs the same blocks of the disk a moment later.
    const replaced = lstatNow(root.pathOf(name)) ?? null
    // Windows takes a folder for a file in use, so that the rename would be tried again.
    if (replaced?.isDirectory()) throw isFolder()
    try {
      await replaceFile(root, this.#draft.path, name)
    } catch (error) {
      throw hasCode(error, 'EISDIR', 'ENOTEMPTY', 'EEXIST') ? isFolder(error) : error
    }
    this.#replaced = replaced
    // A rename between two names of one file does nothing, as when another move of it was quicker: the temporary one is
    // still there then.
    if (!this.#draft.isPinned) this.#draft.release()
    return true
  }

  /** A folder below the root may be a mount, and neither a link nor a rename leads into another filesystem. */
  async #moveNextTo(target: string): Promise<void> {
    const folder = join(dirname(target), RESERVED_SEGMENT)
    this.#neighbour = folder
    this.#version = undefined
    this.#described = false
    for (let attempt = 1; ; attempt++) {
      await this.#context.root.makeDirectory(folder, this.#made)
      try {
        return await this.#draft.moveToCopy(folder)
      } catch (error) {
        // Another save may have removed the folder after its own use.
        if (!hasCode(error, 'ENOENT') || attempt === FOLDER_ATTEMPTS) throw error
      }
    }
  }

  async discard(): Promise<void> {
    await this.#draft.discard()
    await this.#removeNeighbour()
    await this.#context.root.unmake(this.#made)
  }

  async #removeTemp(): Promise<void> {
    await this.#draft.removeTemp()
    await this.#removeNeighbour()
  }

  async #removeNeighbour(): Promise<void> {
    if (this.#neighbour !== undefined) await rmdir(this.#neighbour).catch(() => {})
  }
}

function isFolder(cause?: unknown): Problem {
  return new Problem('AlreadyExists', 'there is a folder of this name', { cause })
}

function tooManyVersions(): Problem {
  return new Problem('Unavailable', 'too many versions of the file are written in the same moment')
}
