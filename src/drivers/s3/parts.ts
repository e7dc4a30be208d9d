import type { Body } from '../../content.js'
import { Problem } from '../../errors.js'

/** A piece of a content that is sent by one request. */
export interface ContentPart {
  readonly bytes: Uint8Array
  /** Gives the memory back for the next part. */
  release(): void
}

const SMALL_CHUNK = 1024
const GATHERED_BYTES = 64 * 1024

/**
 * Cuts a content into parts of equal size, the last one excepted, as R2 wants them. Memory: the parts that are not yet
 * released, whose buffers are used again.
 */
export class PartReader {
  readonly #iterator: AsyncIterator<Uint8Array>
  readonly #partSize: number
  readonly #free: Buffer[] = []
  /** Read from the source, but not yet in a part. */
  #pending: Uint8Array[] = []
  #pendingBytes = 0
  /** The memory of the last piece of `#pending`, if small chunks are put together there. */
  #gathered = Buffer.alloc(0)
  #ended = false

  constructor(chunks: AsyncIterable<Uint8Array>, partSize: number) {
    this.#iterator = chunks[Symbol.asyncIterator]()
    this.#partSize = partSize
  }

  /** The whole content, if it is no larger than a part; else null, and `next` gives the parts. */
  async whole(): Promise<Uint8Array | null> {
    while (this.#pendingBytes <= this.#partSize && (await this.#pull()));
    if (!this.#ended) return null
    const [only] = this.#pending
    return this.#pending.length === 1 && only ? only : Buffer.concat(this.#pending)
  }

  /** The next part, or null after the last one. */
  async next(): Promise<ContentPart | null> {
    const buffer = this.#free.pop() ?? Buffer.allocUnsafeSlow(this.#partSize)
    let filled = 0
    while (filled < this.#partSize && (this.#pendingBytes > 0 || (await this.#pull()))) {
      filled += this.#take(buffer.subarray(filled))
    }
    if (filled === 0) return null
    return { bytes: buffer.subarray(0, filled), release: () => this.#free.push(buffer) }
  }

  /** Leaves the source. */
  async stop(): Promise<void> {
    await this.#iterator.return?.()
  }

  async #pull(): Promise<boolean> {
    if (this.#ended) return false
    const { done, value } = await this.#iterator.next()
    if (done) {
      this.#ended = true
      return false
    }
    this.#keep(value)
    this.#pendingBytes += value.byteLength
    return true
  }

  /** Small chunks are put together: each by itself would take many times its size. */
  #keep(chunk: Uint8Array): void {
    if (chunk.byteLength >= SMALL_CHUNK) {
      this.#pending.push(chunk)
      return
    }
    const last = this.#pending.at(-1)
    let filled = last?.buffer === this.#gathered.buffer ? last.byteOffset + last.byteLength : -1
    if (filled < 0 || filled + chunk.byteLength > this.#gathered.byteLength) {
      this.#gathered = Buffer.allocUnsafeSlow(GATHERED_BYTES)
      this.#pending.push(this.#gathered.subarray(0, 0))
      filled = 0
    }
    this.#gathered.set(chunk, filled)
    const start = this.#pending.pop()?.byteOffset ?? 0
    this.#pending.push(this.#gathered.subarray(start, filled + chunk.byteLength))
  }

  #take(target: Buffer): number {
    const chunk = this.#pending.shift()
    if (chunk === undefined) return 0
    const taken = chunk.subarray(0, target.byteLength)
    target.set(taken)
    if (taken.byteLength < chunk.byteLength) this.#pending.unshift(chunk.subarray(taken.byteLength))
    this.#pendingBytes -= taken.byteLength
    return taken.byteLength
  }
}

/** R2's limit. A larger content is refused before memory is taken for its parts. */
const MAX_OBJECT = 5 * 2 ** 40

/** The part size for a content: the configured one, or one large enough that a known size has 10,000 parts at most. */
export function partSizeFor(body: Body, configured: number): number {
  if (body.size !== undefined && body.size > MAX_OBJECT) {
    throw new Problem(
      'InvalidArgument',
      'the content is larger than 5 TiB, which is the most that a file may have',
    )
  }
  return Math.max(configured, Math.ceil((body.size ?? 0) / MAX_PARTS))
}

/** The limit of R2 and S3. */
export const MAX_PARTS = 10_000
