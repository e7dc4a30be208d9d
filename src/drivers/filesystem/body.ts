import { Readable } from 'node:stream'
import { Problem } from '../../errors.js'
import type { DeliveredRange, OpenBody } from '../../stored-file.js'
import { clearTimeout, setTimeout } from '../../timers.js'
import { closeRead, LONGEST_CALL, read } from './syscalls.js'

const CHUNK_BYTES = 128 * 1024
/** Milliseconds after which a stream that nobody has begun to read gives its descriptor back. */
const UNREAD_TIMEOUT = 60_000

/** The content of an open file, within a range. Owns the descriptor. */
export class FileBody implements OpenBody {
  readonly #range: DeliveredRange
  #fd: number | undefined
  #reading: Promise<number> | undefined

  constructor(fd: number, range: DeliveredRange) {
    this.#fd = fd
    this.#range = range
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
    const stream = new Readable({
      highWaterMark: CHUNK_BYTES,
      read() {
        clearTimeout(unread)
        pull().then(
          (chunk) => this.push(chunk),
          (error: Error) => this.destroy(error),
        )
      },
      destroy: (error, done) => {
        clearTimeout(unread)
        void this.close().then(() => done(error))
      },
    })
    const unread = setTimeout(() => stream.destroy(), UNREAD_TIMEOUT).unref()
    return stream
  }

  async close(): Promise<void> {
    const fd = this.#fd
    this.#fd = undefined
    if (fd === undefined) return
    // A descriptor must not be closed, and given to another file, under a running read.
    await this.#reading?.catch(() => {})
    closeRead(fd)
  }

  async #readInto(buffer: Buffer, start: number, length: number, position: number): Promise<number> {
    if (this.#fd === undefined) throw new Problem('InvalidArgument', 'the file was closed')
    const reading = read(this.#fd, buffer, start, length, position)
    this.#reading = reading
    const bytesRead = await reading
    // Saves never change a file in place; somebody else did.
    if (bytesRead === 0) throw new Problem('Corrupt', 'the file became shorter while it was read')
    return bytesRead
  }
}

function allocate(length: number): Buffer {
  try {
    return Buffer.allocUnsafe(length)
  } catch (cause) {
    throw new Problem('InvalidArgument', 'the content is too large for one buffer: use stream()', { cause })
  }
}
