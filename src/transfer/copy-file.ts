import type { Hash } from 'node:crypto'
import { pipeline, type Readable, Transform } from 'node:stream'
import { crypto } from '../crypto.js'
import { pickAttributes } from '../headers.js'
import { StoredFile } from '../stored-file.js'
import type { ListedFile } from '../types.js'
import { ByteBudget } from './byte-budget.js'
import { corrupt } from './failures.js'
import type { Plan } from './plan.js'
import { readBytes, SMALL_FILE } from './read-bytes.js'
import type { Contents } from './same-content.js'

/** Memory that one large file takes at most: its parts on their way to a server. */
const LARGE_FILE = 48 * 1024 * 1024
/** Memory for each file that may be on its way. */
const BYTES_A_FILE = 4 * 1024 * 1024

/** Copies single files, with content type, headers and metadata. */
export class Copier {
  readonly #plan: Plan
  readonly #contents: Contents
  readonly #signal: AbortSignal
  readonly #budget: ByteBudget

  constructor(plan: Plan, contents: Contents, signal: AbortSignal) {
    this.#plan = plan
    this.#contents = contents
    this.#signal = signal
    this.#budget = new ByteBudget(Math.max(LARGE_FILE, plan.concurrency * BYTES_A_FILE))
  }

  /** Copies a file, and returns its size. */
  async copy(from: ListedFile, to: string, ifExists: 'error' | 'overwrite'): Promise<number> {
    const give = await this.#budget.take(Math.min(from.size, LARGE_FILE))
    try {
      this.#signal.throwIfAborted()
      const file = await this.#plan.source.open(from.name, { signal: this.#signal })
      const hash = this.#plan.verify ? crypto().createHash('md5') : undefined
      if (file.size <= SMALL_FILE) await this.#copyWhole(file, to, ifExists, hash)
      else await this.#copyStream(file, to, ifExists, hash)
      if (hash) await this.#verify(file, to, hash.digest('hex'))
      return file.size
    } finally {
      give()
    }
  }

  async #copyWhole(
    file: StoredFile,
    to: string,
    ifExists: 'error' | 'overwrite',
    hash: Hash | undefined,
  ): Promise<void> {
    const bytes = await readBytes(file, this.#signal)
    hash?.update(bytes)
    await this.#plan.target.save(to, bytes, { ...pickAttributes(file), ifExists, signal: this.#signal })
  }

  async #copyStream(
    file: StoredFile,
    to: string,
    ifExists: 'error' | 'overwrite',
    hash: Hash | undefined,
  ): Promise<void> {
    const sent = tap(file, hash)
    try {
      await this.#plan.target.save(to, sent, { ifExists, signal: this.#signal })
    } finally {
      await sent.close()
    }
  }

  async #verify({ name: from, size }: ListedFile, to: string, digest: string): Promise<void> {
    const { target, operation } = this.#plan
    const signal = this.#signal
    const stored = await target.stat(to, { signal })
    if (stored.size === size && (await this.#contents.md5(target, stored)) === digest) return
    const reason = `the copy ${JSON.stringify(to)} differs from the bytes that were sent`
    const current = await target.stat(to, { signal })
    if (current.etag !== stored.etag)
      throw corrupt(operation, from, `${reason}; another writer has replaced it meanwhile`)
    try {
      await target.delete(to) // Without the signal: an abort must not keep the broken copy.
    } catch (cause) {
      throw corrupt(operation, from, `${reason}, and it could not be deleted`, cause)
    }
    throw corrupt(operation, from, `${reason}; it was deleted, so run the transfer again`)
  }
}

/**
 * The same file, with its content hashed on the way if there is a hash. It keeps its size, so a save on S3 may need no
 * parts. Closing it frees only an unread body; a stream frees its own.
 */
function tap(file: StoredFile, hash: Hash | undefined): StoredFile {
  let taken = false
  const take = (): Readable => {
    taken = true
    if (hash === undefined) return file.stream()
    const hashing = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        hash.update(chunk)
        done(null, chunk)
      },
    })
    // An error of one stream ends the other, and reaches the reader.
    pipeline(file.stream(), hashing, () => {})
    return hashing
  }
  const body = {
    unreadTimeout: 0, // The file sees to that itself.
    bytes: async () => Buffer.concat(await take().toArray()),
    stream: take,
    close: async () => {
      if (!taken) await file.close()
    },
  }
  return new StoredFile(file, file.range, body, (error) => error)
}
