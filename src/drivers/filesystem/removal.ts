import type { BigIntStats } from 'node:fs'
import { sep, toNamespacedPath } from 'node:path'
import { type Name, RESERVED_SEGMENT } from '../../names.js'
import type { Context } from './context.js'
import { eachOf } from './each-of.js'
import { removeFile } from './in-use.js'
import { isOlder, SWEEP_AGE } from './sweep.js'
import { fsyncDirectory, lstatIfThere, type RawEntry, readdirRaw, rmdir, unlink } from './syscalls.js'
import { hasCode, tolerate } from './system-errors.js'

/** Files that are deleted after one look whether their folder is still within the root. */
const GUARDED = 256
const SEPARATOR = Buffer.from(sep)
const RESERVED = Buffer.from(RESERVED_SEGMENT)

/**
 * Deletes (or counts) all that is below a folder, files and links, and the folders as far as nothing is left in them.
 * Paths are bytes: other programs' names need not be UTF-8. After a failure the rest is still deleted.
 */
export class Removal {
  readonly #context: Context
  readonly #dryRun: boolean
  readonly #signal: AbortSignal | undefined
  #deleted = 0
  #failure: { readonly error: unknown } | undefined

  constructor(context: Context, dryRun: boolean, signal: AbortSignal | undefined) {
    this.#context = context
    this.#dryRun = dryRun
    this.#signal = signal
  }

  /** Tells how many files there were. */
  async run(folder: Name): Promise<number> {
    const { root, fsync } = this.#context
    const path = root.pathOf(folder)
    // Node makes long paths possible on Windows for strings only.
    await this.#removeFolder(Buffer.from(toNamespacedPath(path)), folder)
    if (!this.#dryRun) {
      await root.prune(folder)
      if (fsync) await root.syncAbove(path)
    }
    this.#signal?.throwIfAborted()
    if (this.#failure) throw this.#failure.error
    return this.#deleted
  }

  async #removeFolder(path: Buffer, name: string): Promise<void> {
    const files: Buffer[] = []
    for (const entry of await this.#entriesOf(path)) {
      if (this.#signal?.aborted) return
      if (entry.isFile() || entry.isSymbolicLink()) files.push(entry.name)
      else if (entry.isDirectory()) {
        const child = Buffer.concat([path, SEPARATOR, entry.name])
        await (RESERVED.equals(entry.name)
          ? this.#removeLeftovers(child)
          : this.#removeFolder(child, this.#nameIn(name, entry.name)))
      }
    }
    if (this.#dryRun) this.#deleted += files.length
    else await this.#attempt(() => this.#empty(path, name, files))
  }

  /** Durable before the sidecars go: a power cut brings no file back without its metadata. */
  async #empty(path: Buffer, name: string, files: readonly Buffer[]): Promise<void> {
    const { root, sidecars, fsync } = this.#context
    const described = new Map<Name, BigIntStats>()
    for (let start = 0; start < files.length; start += GUARDED) {
      if (this.#signal?.aborted || (await root.follow(path)) === null) break
      await eachOf(files.slice(start, start + GUARDED), (file) =>
        this.#attempt(() =>
          this.#unlink(Buffer.concat([path, SEPARATOR, file]), this.#nameIn(name, file), described),
        ),
      )
    }
    const stays = await rmdir(path).then(
      () => false,
      () => true, // Not empty: there is something of another kind in it, or somebody saves here just now.
    )
    if (fsync && stays) await fsyncDirectory(path)
    else if (fsync && described.size > 0) await root.syncAbove(path.toString())
    await eachOf([...described], ([name, version]) => sidecars.remove(name, version))
  }

  async #unlink(path: Buffer, name: Name, described: Map<Name, BigIntStats>): Promise<void> {
    if (this.#signal?.aborted) return
    const version = await lstatIfThere(path)
    if (!(version?.isFile() || version?.isSymbolicLink())) return
    try {
      await removeFile(this.#context.root, path)
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return
      throw error
    }
    this.#deleted += 1
    const { sidecars } = this.#context
    if (sidecars.has(name, version)) described.set(name, version)
  }

  /** Not checked: it comes from the folder itself, and only finds a sidecar. */
  #nameIn(folder: string, entry: Buffer): Name {
    return `${folder}/${this.#context.root.segmentOf(entry.toString())}` as Name
  }

  /** The storage's own folder in a mount holds what is just being written, and what crashes left. */
  async #removeLeftovers(path: Buffer): Promise<void> {
    if (this.#dryRun) return
    for (const entry of await this.#entriesOf(path)) {
      const child = Buffer.concat([path, SEPARATOR, entry.name])
      await this.#attempt(async () => {
        if (entry.isFile() && (await isOlder(child, Date.now() - SWEEP_AGE))) {
          await tolerate(unlink(child), 'ENOENT')
        }
      })
    }
    await rmdir(path).catch(() => {})
  }

  async #entriesOf(path: Buffer): Promise<readonly RawEntry[]> {
    let entries: readonly RawEntry[] = []
    await this.#attempt(async () => {
      entries = await readdirRaw(path)
    })
    return entries
  }

  async #attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      if (!hasCode(error, 'ENOENT', 'ENOTDIR')) this.#failure ??= { error }
    }
  }
}
