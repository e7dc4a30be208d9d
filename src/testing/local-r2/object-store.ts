import { createHash, randomBytes } from 'node:crypto'
import { Content } from './content.js'

/** What travels with an object besides its bytes. */
export interface Attributes {
  /** System headers by lower-case name: content-type, cache-control, … */
  readonly headers: Readonly<Record<string, string>>
  /** Custom metadata by lower-case name, decoded. */
  readonly metadata: Readonly<Record<string, string>>
  readonly storageClass: string
}

export interface StoredObject extends Attributes {
  /** In the form last uploaded; identity is by NFC. */
  readonly key: string
  readonly content: Content
  /** Without quotes. */
  readonly etag: string
  readonly lastModifiedMs: number
  /** Of an object that was uploaded in parts. */
  readonly partSizes?: readonly number[]
}

export interface Upload extends Attributes {
  readonly key: string
  readonly uploadId: string
  readonly initiatedMs: number
  readonly parts: Map<number, { content: Content; lastModifiedMs: number }>
}

export const plainAttributes: Attributes = {
  headers: { 'content-type': 'application/octet-stream' },
  metadata: {},
  storageClass: 'STANDARD',
}

/** One bucket in memory: objects by NFC key, open multipart uploads by id. */
export class Bucket {
  readonly uploads = new Map<string, Upload>()
  /** The documents of its settings: `lifecycle`, `cors`. */
  readonly settings = new Map<string, string>()
  readonly #objects = new Map<string, StoredObject>()
  readonly #lastWriteMs = new Map<string, number>()
  #sorted: readonly StoredObject[] | undefined

  constructor(readonly name: string) {}

  get size(): number {
    return this.#objects.size
  }

  get(key: string): StoredObject | undefined {
    return this.#objects.get(key.normalize('NFC'))
  }

  put(object: StoredObject): void {
    this.#objects.set(object.key.normalize('NFC'), object)
    this.#sorted = undefined
  }

  delete(key: string): void {
    if (this.#objects.delete(key.normalize('NFC'))) this.#sorted = undefined
  }

  clear(): void {
    this.#objects.clear()
    this.uploads.clear()
    this.settings.clear()
    this.#lastWriteMs.clear()
    this.#sorted = undefined
  }

  /** Every object in UTF-8 byte order of its key. */
  sorted(): readonly StoredObject[] {
    this.#sorted ??= sortByKey([...this.#objects.values()])
    return this.#sorted
  }

  keys(): string[] {
    return this.sorted().map((object) => object.key)
  }

  /** Puts an object there without a request: given bytes, or the repeatable content in any size. */
  plant(
    key: string,
    content: string | Uint8Array | number = '',
    attributes: Partial<Attributes> = {},
  ): StoredObject {
    const held = typeof content === 'number' ? Content.pattern(content) : Content.kept([Buffer.from(content)])
    const object = {
      ...plainAttributes,
      ...attributes,
      key,
      content: held,
      etag: held.md5,
      lastModifiedMs: Date.now(),
    }
    this.put(object)
    return object
  }

  /** Notes a write of the key; false when the one before was less than `intervalMs` ago. */
  noteWrite(key: string, nowMs: number, intervalMs: number): boolean {
    const identity = key.normalize('NFC')
    if (nowMs - (this.#lastWriteMs.get(identity) ?? Number.NEGATIVE_INFINITY) < intervalMs) return false
    this.#lastWriteMs.set(identity, nowMs)
    return true
  }

  open(key: string, attributes: Attributes, nowMs: number): Upload {
    const upload = {
      ...attributes,
      key,
      uploadId: randomBytes(32).toString('base64url'),
      initiatedMs: nowMs,
      parts: new Map(),
    }
    this.uploads.set(upload.uploadId, upload)
    return upload
  }
}

/** md5 of the parts' MD5s, then how many they are. */
export function multipartEtag(parts: readonly Content[]): string {
  const hash = createHash('md5')
  for (const part of parts) hash.update(Buffer.from(part.md5, 'hex'))
  return `${hash.digest('hex')}-${parts.length}`
}

/** UTF-8 byte order, which JavaScript's own string order is not beyond the basic plane. */
export function sortByKey<T extends { readonly key: string }>(entries: readonly T[]): T[] {
  return entries
    .map((entry) => ({ entry, bytes: Buffer.from(entry.key, 'utf8') }))
    .sort((a, b) => Buffer.compare(a.bytes, b.bytes))
    .map(({ entry }) => entry)
}

export function compareKeys(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a, 'utf8'), Buffer.from(b, 'utf8'))
}
