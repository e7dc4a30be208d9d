import type { Storage } from '../storage.js'
import type { ListedFile } from '../types.js'
import { ContentHash, digestOf, type EtagDigest, EtagHash, partSizesFor } from './etag-hash.js'
import type { Plan } from './plan.js'
import { scan } from './scan.js'

/** What decides whether two files of one size are the same. */
export type Evidence =
  /** ETags that are MD5s; where only one side has such an ETag, the other side is read. */
  | 'etags'
  /** The same, but a difference counts only if both files were read: some servers have ETags that look like MD5s. */
  | 'certain'
  /** Both files are read. */
  | 'bytes'

/** Compares contents by size and MD5, with as few bytes read as possible. */
export class Contents {
  readonly #plan: Plan
  readonly #signal: AbortSignal

  constructor(plan: Plan, signal: AbortSignal) {
    this.#plan = plan
    this.#signal = signal
  }

  async areSame(ours: ListedFile, theirs: ListedFile, evidence: Evidence): Promise<boolean> {
    if (ours.size !== theirs.size) return false
    if (this.#plan.verify || evidence === 'bytes') return this.#areEqual(ours, theirs)
    const known = await this.#judge(ours, theirs)
    if (known === undefined || (known === false && evidence === 'certain'))
      return this.#areEqual(ours, theirs)
    return known
  }

  /** By ETags, or by one file's bytes and the other's ETag. Undefined where that proves nothing. */
  #judge(ours: ListedFile, theirs: ListedFile): Promise<boolean | undefined> | boolean | undefined {
    const [own, other] = [digestOf(ours.etag), digestOf(theirs.etag)]
    if (own !== undefined && own.text === other?.text) return true
    // Two MD5s of the same kind. Parts may have been cut differently.
    if (own && other && own.parts === undefined && other.parts === undefined) return false
    if (other) return this.#matches(this.#plan.source, ours, other)
    return own && this.#matches(this.#plan.target, theirs, own)
  }

  async #matches(
    storage: Storage,
    file: ListedFile,
    { text, parts }: EtagDigest,
  ): Promise<boolean | undefined> {
    if (parts === undefined) return (await this.md5(storage, file)) === text
    const sizes = partSizesFor(file.size, parts)
    if (sizes.length === 0) return undefined
    const hashes = sizes.map((size) => new EtagHash(size))
    const take = (piece: Uint8Array) => {
      for (const hash of hashes) hash.update(piece)
    }
    await scan(storage, file.name, take, this.#signal)
    // A part size that nobody thought of must not count as a difference.
    return hashes.some((hash) => hash.digest() === text) || undefined
  }

  async #areEqual(ours: ListedFile, theirs: ListedFile): Promise<boolean> {
    const { source, target } = this.#plan
    const [one, other] = await Promise.all([this.md5(source, ours), this.md5(target, theirs)])
    return one === other
  }

  /** The MD5 of a content, in hexadecimal digits. */
  async md5(storage: Storage, { name, size }: Pick<ListedFile, 'name' | 'size'>): Promise<string> {
    const hash = new ContentHash(size)
    await scan(storage, name, (piece) => hash.update(piece), this.#signal)
    return hash.digest() ?? this.md5(storage, { name, size: -1 })
  }
}
