import { writeAll } from './syscalls.js'

const SMALL_CHUNK = 16 * 1024
const GATHERED_BYTES = 64 * 1024

/** Writes chunks as they come, small ones together: a trip through the thread pool for each would take most of the time. */
export class ChunkWriter {
  readonly #fd: number
  #gathered: Buffer | undefined
  #filled = 0

  constructor(fd: number) {
    this.#fd = fd
  }

  async write(chunk: Uint8Array): Promise<void> {
    const small = chunk.byteLength < SMALL_CHUNK
    if (!small || this.#filled + chunk.byteLength > GATHERED_BYTES) await this.flush()
    if (!small) return writeAll(this.#fd, chunk)
    this.#gathered ??= Buffer.allocUnsafeSlow(GATHERED_BYTES)
    this.#gathered.set(chunk, this.#filled)
    this.#filled += chunk.byteLength
  }

  async flush(): Promise<void> {
    if (this.#gathered && this.#filled > 0) await writeAll(this.#fd, this.#gathered.subarray(0, this.#filled))
    this.#filled = 0
  }
}
