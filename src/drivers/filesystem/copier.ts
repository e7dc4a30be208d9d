import type { BigIntStats } from 'node:fs'
import { toBody } from '../../content.js'
import { type StageCopyRequest, type Staged, sourceReplaced } from '../../driver.js'
import { isProblem, Problem } from '../../errors.js'
import type { Name } from '../../names.js'
import type { Attributes } from '../../types.js'
import { Semaphore } from '../semaphore.js'
import { FileBody } from './body.js'
import type { Context } from './context.js'
import { Draft } from './draft.js'
import { Publication } from './publication.js'
import type { OpenFile, Reader } from './reader.js'
import { closeRead, lstat, lstatIfThere, realpath, unlink } from './syscalls.js'
import { classifySystemError, hasCode } from './system-errors.js'
import { stateOf } from './version.js'
import { removeVersion } from './withdrawal.js'

/** Copies of the process that run side by side. Each needs two descriptors, so more could all wait for their second one. */
const COPIES = new Semaphore(16)

/** Copies and moves files within one root. A move gives the file itself another name, where there are hard links. */
export class Copier {
  readonly #context: Context
  readonly #reader: Reader

  constructor(context: Context, reader: Reader) {
    this.#context = context
    this.#reader = reader
  }

  async stage(request: StageCopyRequest): Promise<Staged> {
    await COPIES.take(request.signal)
    try {
      return (request.move ? await this.#stageMove(request) : null) ?? (await this.#stageCopy(request))
    } finally {
      COPIES.give()
    }
  }

  /** Null where the file has to be copied: there are no hard links, or it is a link itself. */
  async #stageMove(request: StageCopyRequest): Promise<Staged | null> {
    const { from, signal } = request
    const { root } = this.#context
    // Looked at before as well: even a second name for a moment would be a touch of a file outside.
    if (!(await root.holdsParents(from))) return null
    const pinned = await Draft.pin(root, root.pathOf(from))
    if (pinned === null) return null
    try {
      const source = await this.#reader.openPinned(pinned, from, await root.holdsParents(from))
      if (source === null) {
        await unlink(pinned)
        signal?.throwIfAborted()
        return await this.#stageMove(request)
      }
      const { fd, stats, described } = source
      const attributes = attributesFor(request, source)
      const draft = Draft.ofPinned(this.#context, pinned, fd, stats.ino)
      return this.#removingSource(new Publication(this.#context, draft, attributes, described), from, stats)
    } catch (error) {
      await unlink(pinned).catch(() => {})
      // A link: the file that it leads to is copied, and the link goes.
      if (!hasCode(error, 'ELOOP')) throw error
      return null
    }
  }

  async #stageCopy(request: StageCopyRequest): Promise<Staged> {
    const { from, move, signal } = request
    const entry = move ? await lstatIfThere(this.#context.root.pathOf(from)) : null
    const source = await this.#reader.open(from)
    const { fd, stats } = source
    const attributes = attributesFor(request, source)
    const content = new FileBody(fd, { offset: 0, length: Number(stats.size) }).stream()
    const draft = await Draft.write(this.#context, toBody(content), signal).catch((error) => {
      content.destroy()
      throw error
    })
    const publication = new Publication(this.#context, draft, attributes)
    return move
      ? this.#removingSource(publication, from, entry?.isSymbolicLink() ? entry : stats)
      : publication
  }

  /** A publication that ends a move. */
  #removingSource(publication: Publication, from: Name, source: BigIntStats): Staged {
    const { root, sidecars, fsync } = this.#context
    const path = root.pathOf(from)
    return {
      publish: async (name, createOnly) => {
        const target = root.pathOf(name)
        // Two names of one file, by a link among the folders: to remove the one would be to remove the other.
        const taken = createOnly ? null : await lstat(target).catch(() => null)
        if (taken?.ino === source.ino && (await realpath(target)) === (await realpath(path))) return true
        const removing = () => this.#removeSource(from, source, createOnly ? undefined : name)
        if (!(await publication.publish(name, createOnly, removing))) return false
        await root.prune(from)
        if (fsync) await root.syncAbove(path)
        await sidecars.remove(from, source)
        return true
      },
      discard: () => publication.discard(),
    }
  }

  /** `replaced`: the name of a copy that stays if this fails, as what it has replaced is gone. */
  async #removeSource(from: Name, { ino }: BigIntStats, replaced: Name | undefined): Promise<void> {
    try {
      await removeVersion(this.#context.root, from, ino)
    } catch (error) {
      if (replaced === undefined) throw error
      const { code, message, cause } = isProblem(error) ? error : classifySystemError(error)
      const reason = `the copy is at ${JSON.stringify(replaced)}, but the source could not be removed: ${message}`
      throw new Problem(code, reason, { cause })
    }
  }
}

/** The attributes of the copy. Closes a source that is not the wanted version, and throws. */
function attributesFor({ version, contentType }: StageCopyRequest, source: OpenFile): Attributes {
  const { fd, stats, attributes } = source
  if (version !== undefined && stateOf(stats).etag !== version) {
    closeRead(fd)
    throw sourceReplaced()
  }
  return contentType === undefined ? attributes : { ...attributes, contentType }
}
