import { Readable } from 'node:stream'
import { Problem } from '../../errors.js'
import type { DeliveredRange, OpenBody } from '../../stored-file.js'
import type { Reader, RestingReaders } from '../resting-readers.js'
import { closeRead, LONGEST_CALL, read } from './syscalls.js'

const CHUNK_BYTES = 128 * 1024

/** How a body gives its descriptor back while its reader rests. */
export interface Resting {
  readonly readers: RestingReaders
  /** Opens the same version of the file again. */
  reopen(): Promise<number>
}

/** The content of an open file, within a range. Owns the descriptor. */
export class FileBody implements OpenBody, Reader {
  readonly unreadTimeout = 0
  restingSince: number | undefined = performance.now()
  readonly #range: DeliveredRange
  readonly #resting: Resting | undefined
  /** Undefined while the reader rests without one. */
  #fd: number | undefined
  #closed = false
  /** Runs. */
  #reading: Promise<number> | undefined

  /** Without `resting`, the descriptor stays until the end. */
  constructor(fd: number, range: DeliveredRange, resting?: Resting) {
    this.#fd = fd
    this.#range = range
    this.#resting = resting
    resting?.readers.add(this)
  }

  async bytes(): Promise<Buffer> {
    const { offset, length } = this.#range
    try {
      const bytes = allocate(length)
      for (let done = 0; done < length; ) {
        done += await this.#readInto(bytes, done, Math.min(length - done, LONGEST_CALL), offset + done)
      }
      return bytes
    } finally {
      void this.close()
    }
  }

  stream(): Readable {
    let { offset, length } = this.#range
    const pull = async (): Promise<Buffer | null> => {
      if (length === 0) return null
      const chunk = Buffer.allocUnsafe(Math.min(length, CHUNK_BYTES))
      const bytesRead = await this.#readInto(chunk, 0, chunk.byteLength, offset)
      offset += bytesRead
      length -= bytesRead
      return chunk.subarray(0, bytesRead)
    }
    const stream: Readable = new Readable({
      highWaterMark: CHUNK_BYTES,
      read: () => {
        pull().then(
          (chunk) => stream.push(chunk),
          (error: Error) => stream.destroy(error),
        )
      },
      destroy: (error, done) => {
        void this.close().then(() => done(error))
      },
    })
    return stream
  }

  /** Gives the descriptor back. It must not be closed, and given to another file, under a running read. */
  release(): boolean {
    const fd = this.#fd
    if (fd === undefined || this.#reading) return false
    this.#fd = undefined
    closeRead(fd)
    return true
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#reading?.catch(() => {})
    this.#resting?.readers.delete(this)
    this.release()
  }

  async #readInto(buffer: Buffer, start: number, length: number, position: number): Promise<number> {
    if (this.#closed) throw new Problem('InvalidArgument', 'the file was closed')
    const reading =
      this.#fd === undefined
        ? this.#reopen().then((fd) => read(fd, buffer, start, length, position))
        : read(this.#fd, buffer, start, length, position)
    this.#reading = reading
    this.restingSince = undefined
    try {
      const bytesRead = await reading
      // Saves never change a file in place; somebody else did.
      if (bytesRead === 0) throw new Problem('Corrupt', 'the file became shorter while it was read')
      return bytesRead
    } finally {
      this.#reading = undefined
      this.restingSince = performance.now()
    }
  }

  async #reopen(): Promise<number> {
    if (!this.#resting) throw new Problem('InvalidArgument', 'the file was closed')
    this.#fd = await this.#resting.reopen()
    this.#resting.readers.add(this)
    return this.#fd
  }
}

function allocate(length: number): Buffer {
  try {
    return Buffer.allocUnsafe(length)
  } catch (cause) {
    throw new Problem('InvalidArgument', 'the content is too large for one buffer: use stream()', { cause })
  }
}
