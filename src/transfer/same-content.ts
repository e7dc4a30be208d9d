import type { Storage } from '../storage.js'
import type { ListedFile } from '../types.js'
import { digestOf, type EtagDigest, EtagHash, md5, partSizesFor } from './etag-hash.js'
import type { Plan } from './plan.js'
import { readBytes, SMALL_FILE } from './read-bytes.js'

/** What decides whether two files of one size are the same. */
export type Evidence =
  /** ETags that are MD5s; where only one side has such an ETag, the other side is read. */
  | 'etags'
  /** The same, but a difference counts only if both files were read: some servers have ETags that look like MD5s. */
  | 'certain'
  /** Both files are read. */
  | 'bytes'

type Read = readonly [storage: Storage, file: ListedFile]

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
    const { source, target, verify } = this.#plan
    const [a, b]: [Read, Read] = [
      [source, ours],
      [target, theirs],
    ]
    if (verify || evidence === 'bytes') return this.#areEqual(a, b)
    const [own, other] = [digestOf(ours.etag), digestOf(theirs.etag)]
    if (own?.text === other?.text && own !== undefined) return true
    const known = await this.#judge(a, b, own, other)
    if (known === undefined || (known === false && evidence === 'certain')) return this.#areEqual(a, b)
    return known
  }

  /** By one file's bytes and the other's ETag. Undefined where that proves nothing. */
  async #judge(
    ours: Read,
    theirs: Read,
    own: EtagDigest | undefined,
    other: EtagDigest | undefined,
  ): Promise<boolean | undefined> {
    // Two MD5s of the same kind are compared already. Parts may have been cut differently.
    if (own && other && own.parts === undefined && other.parts === undefined) return false
    if (other) return this.#matches(ours, other)
    return own && this.#matches(theirs, own)
  }

  async #matches([storage, file]: Read, { text, parts }: EtagDigest): Promise<boolean | undefined> {
    const sizes = parts === undefined ? [undefined] : partSizesFor(file.size, parts)
    if (sizes.length === 0) return undefined
    const found = await this.digests(storage, file, sizes)
    // A part size that nobody thought of must not count as a difference.
    return found.includes(text) || (parts === undefined ? false : undefined)
  }

  async #areEqual(a: Read, b: Read): Promise<boolean> {
    const [[one], [other]] = await Promise.all([this.digests(...a), this.digests(...b)])
    return one === other
  }

  /** The digests of a content, one for each part size, in one read. Undefined stands for the MD5 of all of it. */
  async digests(
    storage: Storage,
    { name }: ListedFile,
    partSizes: readonly (number | undefined)[] = [undefined],
  ): Promise<string[]> {
    const file = await storage.open(name, { signal: this.#signal })
    if (file.size <= SMALL_FILE && partSizes.length === 1 && partSizes[0] === undefined) {
      return [md5(await readBytes(file, this.#signal))]
    }
    const hashes = partSizes.map((size) => new EtagHash(size))
    for await (const chunk of file.stream()) for (const hash of hashes) hash.update(chunk)
    return hashes.map((hash) => hash.digest())
  }
}
