import fs, { type BigIntStats } from 'node:fs'
import type { Body } from '../../content.js'
import { ChunkWriter } from './chunk-writer.js'
import type { Context } from './context.js'
import { setFileMode } from './modes.js'
import type { Root } from './root.js'
import {
  close,
  copyFile,
  fstat,
  fsync,
  isCoarse,
  link,
  lstatIfThere,
  MODIFY,
  NO_HARD_LINKS,
  open,
  setTimes,
  unlink,
  writeAll,
} from './syscalls.js'
import { hasCode } from './system-errors.js'
import { createTemp, tempFolder, tempPath } from './temp.js'

interface DraftFile {
  readonly path: string
  readonly fd: number
  readonly ino: bigint
  readonly coarse: boolean
  readonly pinned: boolean
}

/** A file under a temporary name, until it is published or discarded. */
export class Draft {
  readonly #context: Context
  #path: string
  /** Open until the draft is sealed. */
  #fd: number | undefined
  #ino: bigint
  #pinned: boolean
  #coarse: boolean
  /** Whether a power cut could take changes of the file. A moved file may have been written without `fsync`. */
  #dirty = true

  private constructor(context: Context, { path, fd, ino, coarse, pinned }: DraftFile) {
    this.#context = context
    this.#path = path
    this.#fd = fd
    this.#ino = ino
    this.#coarse = coarse
    this.#pinned = pinned
  }

  /** Writes content to a temporary file. On failure nothing is left of it. */
  static async write(
    context: Context,
    body: Body,
    signal: AbortSignal | undefined,
    progress: (bytes: number) => void = () => {},
  ): Promise<Draft> {
    const created = await createTemp(context.root, context.fileMode)
    const draft = new Draft(context, { ...created, pinned: false })
    try {
      await write(created.fd, body, signal, progress)
      return draft
    } catch (error) {
      await draft.discard()
      throw error
    }
  }

  /** Gives an existing file a temporary second name. Null where the filesystem has no hard links. */
  static async pin(root: Root, path: string): Promise<string | null> {
    const temp = tempPath(tempFolder(root))
    for (let attempt = 1; ; attempt++) {
      try {
        await link(path, temp)
        return temp
      } catch (error) {
        if (hasCode(error, 'EXDEV', ...NO_HARD_LINKS)) return null
        // The source is missing, then the second attempt fails as well; or there has never been a save.
        if (!hasCode(error, 'ENOENT') || attempt > 1) throw error
        await root.makeDirectory(tempFolder(root))
      }
    }
  }

  /** A file pinned at `path` and opened as `fd`; both belong to the draft from here on. */
  static ofPinned(context: Context, path: string, fd: number, ino: bigint): Draft {
    return new Draft(context, { path, fd, ino, coarse: false, pinned: true })
  }

  get path(): string {
    return this.#path
  }

  get ino(): bigint {
    return this.#ino
  }

  /** Whether the file is still there under its old name as well, so that nothing about it may change. */
  get isPinned(): boolean {
    return this.#pinned
  }

  /** Whether its time may be that of another version, because the filesystem has coarse times. */
  get hasCoarseTime(): boolean {
    return this.#coarse
  }

  async stat(): Promise<BigIntStats> {
    return fstat(await this.#opened())
  }

  /** Sets the modification time, in seconds. Returns what the filesystem made of it. */
  async setTime(time: number): Promise<BigIntStats> {
    const fd = await this.#opened()
    this.#dirty = true
    setTimes(fd, time)
    return fstat(fd)
  }

  async #opened(): Promise<number> {
    this.#fd ??= await open(this.#path, MODIFY)
    return this.#fd
  }

  /** The content is complete: makes it durable and closes it. */
  async seal(): Promise<void> {
    const fd = this.#fd
    if (fd === undefined) return
    if (this.#context.fsync && this.#dirty) await fsync(fd)
    this.#dirty = false
    this.#fd = undefined
    await close(fd)
  }

  /** Goes on with a copy of the file in another folder, which nobody else has a name for. */
  async moveToCopy(folder: string): Promise<void> {
    const copy = tempPath(folder)
    const { COPYFILE_EXCL, COPYFILE_FICLONE } = fs.constants
    await copyFile(this.#path, copy, COPYFILE_EXCL | COPYFILE_FICLONE)
    const [before, fd] = [this.#path, this.#fd]
    this.#path = copy
    this.#fd = undefined
    this.#pinned = false
    this.#dirty = true
    if (fd !== undefined) void close(fd).catch(() => {})
    await unlink(before).catch(() => {})
    const opened = await this.#opened()
    const stats = fstat(opened)
    this.#ino = stats.ino
    this.#coarse = isCoarse(stats.mtimeNs)
    await setFileMode(opened, stats, this.#context.fileMode)
  }

  /** Whether the temporary file is still there. Somebody may have removed the root, or all of `.stowage`. */
  async isThere(): Promise<boolean> {
    return (await lstatIfThere(this.#path)) !== null
  }

  /** The temporary name became the file's own. */
  release(): void {
    this.#path = ''
  }

  /** Takes the temporary name away. A failure is only a leak, which the sweep finds. */
  async removeTemp(): Promise<void> {
    const path = this.#path
    this.#path = ''
    if (path !== '') await unlink(path).catch(() => {})
  }

  /** Removes all that is left. MUST NOT fail. */
  async discard(): Promise<void> {
    const fd = this.#fd
    this.#fd = undefined
    if (fd !== undefined) await close(fd).catch(() => {})
    await this.removeTemp()
  }
}

async function write(
  fd: number,
  body: Body,
  signal: AbortSignal | undefined,
  progress: (bytes: number) => void,
): Promise<void> {
  let bytes = 0
  if (body.bytes) {
    await writeAll(fd, body.bytes, signal)
    bytes = body.bytes.byteLength
  } else {
    const writer = new ChunkWriter(fd)
    for await (const chunk of body.chunks(signal)) {
      await writer.write(chunk)
      bytes += chunk.byteLength
      progress(bytes)
    }
    await writer.flush()
  }
  progress(bytes)
}
