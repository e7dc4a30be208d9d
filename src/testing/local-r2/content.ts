import { createHash } from 'node:crypto'

const patternPeriod = 251
/** A whole number of periods, so that a slice at any offset modulo the period is followed by enough bytes. */
const patternBlock = Buffer.from(
  Uint8Array.from({ length: patternPeriod * 4096 }, (_, index) => index % patternPeriod),
)

/**
 * The bytes of the repeatable content: the byte at offset `i` is `i % 251`. Upload these when the server discards
 * bodies, and what it serves is byte for byte what was sent.
 */
export function* patternChunks(start: number, end: number): Generator<Buffer> {
  for (let offset = start; offset < end; ) {
    const from = offset % patternPeriod
    const chunk = patternBlock.subarray(from, Math.min(patternBlock.length, from + end - offset))
    yield chunk
    offset += chunk.length
  }
}

/** What an object or a part holds: the chunks as they came off the wire, or only their size and MD5. */
export class Content {
  private constructor(
    readonly size: number,
    readonly md5: string,
    readonly chunks: readonly Buffer[] | undefined,
  ) {}

  static kept(chunks: readonly Buffer[], md5?: string): Content {
    const size = chunks.reduce((sum, chunk) => sum + chunk.length, 0)
    return new Content(size, md5 ?? md5Of(chunks), chunks)
  }

  /** Serves the repeatable content in place of the discarded bytes. */
  static discarded(size: number, md5: string): Content {
    return new Content(size, md5, undefined)
  }

  /** Claims any size at no cost; the MD5 is made up when it is over 16 MiB. */
  static pattern(size: number): Content {
    const cheap = size <= 16 * 1024 * 1024
    return new Content(
      size,
      cheap ? md5Of(patternChunks(0, size)) : md5Of([Buffer.from(`pattern ${size}`)]),
      undefined,
    )
  }

  /** The parts one after the other; their MD5 is not computed, as a multipart ETag does not need it. */
  static joined(parts: readonly Content[]): Content {
    const size = parts.reduce((sum, part) => sum + part.size, 0)
    const chunks = parts.every((part) => part.chunks) ? parts.flatMap((part) => part.chunks ?? []) : undefined
    return new Content(size, '', chunks)
  }

  /** The bytes from `start` up to, not including, `end`. */
  *slices(start = 0, end = this.size): Generator<Buffer> {
    if (this.chunks === undefined) {
      yield* patternChunks(start, end)
      return
    }
    let offset = 0
    for (const chunk of this.chunks) {
      const from = Math.max(start - offset, 0)
      const to = Math.min(end - offset, chunk.length)
      if (from < to) yield chunk.subarray(from, to)
      offset += chunk.length
      if (offset >= end) return
    }
  }

  /** A copy of a range, as UploadPartCopy makes; shares the bytes. */
  range(start: number, end: number): Content {
    if (start === 0 && end === this.size && this.md5 !== '') return this
    if (this.chunks === undefined) return Content.pattern(end - start)
    return Content.kept([...this.slices(start, end)])
  }

  bytes(): Buffer {
    return Buffer.concat([...this.slices()])
  }
}

function md5Of(chunks: Iterable<Buffer>): string {
  const hash = createHash('md5')
  for (const chunk of chunks) hash.update(chunk)
  return hash.digest('hex')
}
