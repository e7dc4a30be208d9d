import type { Hash } from 'node:crypto'
import { crypto } from '../crypto.js'

/** The MD5 in an ETag: of the content, or of the MD5s of its parts. ETags of other kinds have no such form. */
export interface EtagDigest {
  /** 32 hexadecimal digits, and for a multipart upload `-` and the number of parts. */
  readonly text: string
  /** The number of parts. Undefined for the MD5 of the whole content. */
  readonly parts: number | undefined
}

export function digestOf(etag: string): EtagDigest | undefined {
  // The ETags of other kinds are seldom so long.
  if (etag.length < 34) return undefined
  const [, md5, parts] = /^"([0-9a-f]{32})(?:-([1-9]\d{0,4}))?"$/i.exec(etag) ?? []
  if (md5 === undefined) return undefined
  const text = md5.toLowerCase()
  return parts === undefined ? { text, parts: undefined } : { text: `${text}-${parts}`, parts: Number(parts) }
}

/** The MD5 of a content that has a known size. One that comes in one piece costs one call. */
export class ContentHash {
  readonly #size: number
  #whole: string | undefined
  #hash: Hash | undefined
  #isLonger = false

  constructor(size: number) {
    this.#size = size
  }

  update(piece: Uint8Array): void {
    if (this.#hash) this.#hash.update(piece)
    else if (this.#whole !== undefined) this.#isLonger = true
    else if (piece.byteLength === this.#size) this.#whole = crypto().hash('md5', piece, 'hex')
    else this.#hash = crypto().createHash('md5').update(piece)
  }

  /** Undefined where the content is longer than it should be. */
  digest(): string | undefined {
    if (this.#isLonger) return undefined
    return this.#whole ?? (this.#hash ?? crypto().createHash('md5')).digest('hex')
  }
}

/** The ETag that a content gets by an upload in parts. */
export class EtagHash {
  readonly #partSize: number
  readonly #whole = crypto().createHash('md5')
  #part: Hash | undefined
  #filled = 0
  #parts = 0

  constructor(partSize: number) {
    this.#partSize = partSize
  }

  update(bytes: Uint8Array): void {
    for (let offset = 0; offset < bytes.byteLength; ) {
      const piece = bytes.subarray(offset, offset + this.#partSize - this.#filled)
      this.#part ??= crypto().createHash('md5')
      this.#part.update(piece)
      this.#filled += piece.byteLength
      offset += piece.byteLength
      if (this.#filled === this.#partSize) this.#endPart(this.#part)
    }
  }

  /** In the form of {@link EtagDigest}. */
  digest(): string {
    if (this.#filled > 0 || this.#parts === 0) this.#endPart(this.#part ?? crypto().createHash('md5'))
    return `${this.#whole.digest('hex')}-${this.#parts}`
  }

  #endPart(part: Hash): void {
    this.#whole.update(part.digest())
    this.#part = undefined
    this.#filled = 0
    this.#parts += 1
  }
}

const MIB = 1024 * 1024
/** Part sizes of this package, the AWS CLI, rclone and others, most likely first. */
const USUAL_PART_SIZES = [8, 5, 16, 10, 32, 64, 100, 128, 256, 512, 1024].map((size) => size * MIB)
/** Sizes that are tried: each costs an MD5 of the whole content. */
const MOST_SIZES = 4

/** The part sizes by which a content of `size` bytes has so many parts. */
export function partSizesFor(size: number, parts: number): number[] {
  const least = Math.ceil(size / parts)
  const sizes = [...USUAL_PART_SIZES, Math.ceil(least / MIB) * MIB, least, Math.ceil(size / 10_000)]
  const fitting = sizes.filter((each) => each > 0 && Math.max(1, Math.ceil(size / each)) === parts)
  // A single part is the whole content, however large a part may be.
  return parts === 1 ? [Math.max(size, 1)] : [...new Set(fitting)].slice(0, MOST_SIZES)
}
