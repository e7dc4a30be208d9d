import { Readable } from 'node:stream'
import type { FileState, OpenedFile, ReadRequest } from '../../driver.js'
import { Problem } from '../../errors.js'
import type { Name } from '../../names.js'
import { resolveRange } from '../../ranges.js'
import { toFileState } from './attributes.js'
import type { S3Connection } from './connection.js'
import { isMissing } from './failures.js'
import { headObject, type SizedObject } from './head.js'
import { explainHead, explainRead } from './look.js'
import { isPlaceholder } from './publishers/placeholder.js'
import { openObject } from './read.js'

/** Finds and opens files. A placeholder is none. */
export class Reader {
  readonly #connection: S3Connection
  /** A HEAD cannot tell a missing key from a missing bucket; this remembers that the bucket was seen. */
  #bucketSeen = false

  constructor(connection: S3Connection) {
    this.#connection = connection
  }

  async read({ name, range, signal }: ReadRequest): Promise<OpenedFile> {
    if (range?.length === 0) return this.#readNothing(name, range, signal)
    const opened = await openObject(this.#connection, name, range, signal).catch((error: unknown) => {
      throw explainRead(error)
    })
    const { state, size, range: delivered, body } = opened
    if (isPlaceholder(state)) {
      await body.close()
      throw noSuchFile()
    }
    return { state: toFileState(state, size), range: delivered, body }
  }

  /** HTTP has no range of zero bytes. */
  async #readNothing(
    name: Name,
    range: ReadRequest['range'],
    signal: AbortSignal | undefined,
  ): Promise<OpenedFile> {
    const state = await this.head(name, signal)
    if (state === null) throw noSuchFile()
    const body = {
      unreadTimeout: 0, // It holds nothing.
      bytes: async () => Buffer.alloc(0),
      stream: () => Readable.from([]),
      close: async () => {},
    }
    return { state, range: resolveRange(range, state.size), body }
  }

  async head(name: Name, signal: AbortSignal | undefined): Promise<FileState | null> {
    const found = await this.#find(name, signal)
    if (found === null) {
      await this.#expectBucket(name, signal)
      return null
    }
    this.#bucketSeen = true
    return isPlaceholder(found) ? null : toFileState(found, found.size)
  }

  async #find(name: Name, signal: AbortSignal | undefined): Promise<SizedObject | null> {
    try {
      return await headObject(this.#connection, name, signal)
    } catch (error) {
      throw await explainHead(this.#connection, name, error, signal)
    }
  }

  /** After a HEAD has not found an object: throws where the bucket is missing, or nobody can tell. */
  async #expectBucket(name: Name, signal: AbortSignal | undefined): Promise<void> {
    if (this.#bucketSeen) return
    try {
      // A GET says which of the two is missing, and needs no permission beyond reading.
      const { body } = await openObject(this.#connection, name, undefined, signal)
      await body.close()
    } catch (error) {
      if (!isMissing(error)) throw error
    }
    this.#bucketSeen = true
  }

  /** The object of a file. @throws {Problem} `NotFound` */
  async find(name: Name, signal: AbortSignal | undefined): Promise<SizedObject> {
    const found = await this.#find(name, signal)
    if (found !== null && !isPlaceholder(found)) return found
    await this.#expectBucket(name, signal)
    throw noSuchFile()
  }
}

function noSuchFile(): Problem {
  return new Problem('NotFound', 'there is no such file')
}
