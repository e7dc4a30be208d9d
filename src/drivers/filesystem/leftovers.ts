import type { Dirent } from 'node:fs'
import { join } from 'node:path'
import { type Folder, isName, RESERVED_SEGMENT } from '../../names.js'
import type { Context } from './context.js'
import { isExpiring, isOlder, markMissing } from './sweep.js'
import { lstatIfThere, unlink } from './syscalls.js'
import { tolerate } from './system-errors.js'
import { tempFolder } from './temp.js'
import { sweepUploads } from './upload-folder.js'
import { readdirIfThere } from './walk.js'

/** Milliseconds. A caller who gives no age wants everything gone. */
const AT_ONCE = 1000

/**
 * Removes all that crashes left before a time, below a folder: what a caller asks for, without the bounds of the sweep
 * beside a save. Temporary files and direct uploads say nothing about their folder, so only a sweep of the root removes
 * them. Returns the number of files removed.
 */
export class Leftovers {
  readonly #context: Context
  readonly #folder: Folder
  readonly #before: number
  readonly #signal: AbortSignal | undefined
  /** Whether a mark of just now is old enough. */
  readonly #atOnce: boolean
  #removed = 0

  constructor(context: Context, folder: Folder, before: Date, signal: AbortSignal | undefined) {
    this.#context = context
    this.#folder = folder
    this.#before = before.getTime()
    this.#atOnce = Date.now() - this.#before < AT_ONCE
    this.#signal = signal
  }

  async remove(): Promise<number> {
    if (this.#folder === '') {
      await this.#removeOld(tempFolder(this.#context.root))
      this.#removed += await sweepUploads(this.#context, this.#before)
    }
    await this.#removeInMounts(this.#folder)
    await this.#removeSidecars()
    return this.#removed
  }

  async #removeOld(folder: string): Promise<void> {
    for (const entry of await readdirIfThere(folder)) {
      const path = join(folder, entry.name)
      if (entry.isFile() && (await isOlder(path, this.#before))) await this.#remove(path)
    }
  }

  async #remove(path: string): Promise<void> {
    this.#signal?.throwIfAborted()
    await tolerate(unlink(path), 'ENOENT')
    this.#removed += 1
  }

  /** A mount cannot be written by way of the root's own filesystem, so it has temporary files of its own. */
  async #removeInMounts(folder: Folder): Promise<void> {
    this.#signal?.throwIfAborted()
    const { root } = this.#context
    for (const entry of await this.#foldersIn(root.pathOfListed(folder))) {
      if (entry.name === RESERVED_SEGMENT) {
        if (folder !== '') await this.#removeOld(join(root.pathOfListed(folder), entry.name))
        continue
      }
      const segment = root.segmentOf(entry.name)
      const child = folder === '' ? segment : `${folder}/${segment}`
      if (isName(child)) await this.#removeInMounts(child)
    }
  }

  async #foldersIn(path: string): Promise<Dirent[]> {
    return (await readdirIfThere(path)).filter((entry) => entry.isDirectory())
  }

  async #removeSidecars(): Promise<void> {
    const { folder } = this.#context.sidecars
    for (const shard of await readdirIfThere(folder)) {
      for (const entry of await readdirIfThere(join(folder, shard.name))) {
        this.#signal?.throwIfAborted()
        await this.#removeSidecar(join(folder, shard.name, entry.name))
      }
    }
  }

  /**
   * The sidecar of a version that was replaced goes. A missing file may come back with a mount that is away, so its
   * sidecar is marked first, and goes when the mark is old enough.
   */
  async #removeSidecar(path: string): Promise<void> {
    const { sidecars } = this.#context
    const stats = await lstatIfThere(path)
    if (!stats?.isFile() || Number(stats.ctimeMs) > this.#before || sidecars.isLinkedAlias(path, stats))
      return
    if (!(await this.#isWanted(path))) return
    const owner = await sidecars.ownerOf(path)
    if (owner === 'current') return
    if (owner === 'missing' && !isExpiring(stats)) {
      await markMissing(path)
      if (!this.#atOnce) return
    }
    await tolerate(sidecars.removeAt(path), 'ENOENT')
    this.#removed += 1
  }

  /** Whether it belongs to a file below the folder. Nobody can tell of a damaged one: it goes with the whole root. */
  async #isWanted(path: string): Promise<boolean> {
    if (this.#folder === '') return true
    const name = await this.#context.sidecars.nameOf(path)
    return name?.startsWith(`${this.#folder}/`) === true
  }
}
