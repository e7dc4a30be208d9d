import type { ScanRequest } from '../../driver.js'
import { Problem } from '../../errors.js'
import { Pace } from './pace.js'
import type { Reader } from './reader.js'
import { closeRead, read, readNow } from './syscalls.js'

/** Bytes of a piece: they stay in the processor's cache from the read to the consumer. */
const PIECE = 256 * 1024

/** Reads whole files for somebody who keeps nothing of them. */
export class Scanner {
  readonly #reader: Reader
  readonly #pace = new Pace()
  /** For pieces that are read and consumed in one go. */
  #shared: Buffer | undefined

  constructor(reader: Reader) {
    this.#reader = reader
  }

  /** Calls `take` with each piece of a file. */
  async scan({ name, signal, take }: ScanRequest): Promise<void> {
    const pace = this.#pace
    if (pace.isTired) await pace.rest()
    const opened = pace.isFast() ? pace.time(() => this.#reader.openContentNow(name)) : undefined
    const { fd, size } = opened ?? (await this.#reader.openContent(name))
    let reading: Promise<number> | undefined
    let own: Buffer | undefined
    try {
      for (let offset = 0; offset < size; ) {
        if (pace.isTired) await pace.rest()
        signal?.throwIfAborted()
        const length = Math.min(size - offset, PIECE)
        let piece: Buffer
        let bytesRead: number
        if (pace.isFast()) {
          this.#shared ??= Buffer.allocUnsafeSlow(PIECE)
          piece = this.#shared
          const [position, buffer] = [offset, piece]
          bytesRead = pace.time(() => readNow(fd, buffer, length, position))
        } else {
          own ??= Buffer.allocUnsafe(length)
          piece = own
          reading = read(fd, piece, 0, length, offset)
          bytesRead = await untilAborted(reading, signal)
          reading = undefined
        }
        // Saves never change a file in place; somebody else did.
        if (bytesRead === 0) throw new Problem('Corrupt', 'the file became shorter while it was read')
        take(piece.subarray(0, bytesRead))
        offset += bytesRead
      }
    } finally {
      // A descriptor must not be given to another file under a read that still waits for the disk.
      if (reading === undefined) closeRead(fd)
      else void reading.catch(() => {}).then(() => closeRead(fd))
    }
  }
}

/** The same, but an abort ends the wait: a disk may never answer. */
async function untilAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work
  let onAbort = () => {}
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason)
    signal.addEventListener('abort', onAbort)
  })
  try {
    return await Promise.race([work, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
