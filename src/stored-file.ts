import { addAbortSignal, Readable } from 'node:stream'
import { Problem, toError } from './errors.js'
import { clearTimeout, setTimeout } from './timers.js'
import type { FileInfo } from './types.js'

/** The content of an opened file, as a driver returns it. */
export interface OpenBody {
  /** All bytes in one buffer. MUST fail if there are fewer bytes than the range announced. */
  bytes(): Promise<Buffer>
  /** The bytes as they arrive. MUST emit an error if they end early. Destroying it MUST free everything. */
  stream(): Readable
  /** Frees an unread body, and ends a running read. Never fails. Harmless after a read. */
  close(): Promise<void>
  /**
   * Milliseconds until an unread body is closed, so that forgotten handles free everything. Default 60,000. 0: never,
   * because the body itself gives back what it holds while nobody reads.
   */
  readonly unreadTimeout?: number
}

/**
 * Bytes of a file: a `Buffer`, and where the types of Node tell them apart, one of memory that is not shared, as
 * `Response` and `Blob` of the DOM's types want it.
 */
export type Bytes = ReturnType<typeof Buffer.alloc>

const UNREAD_TIMEOUT = 60_000
const BRAND = Symbol.for('stowage.StoredFile')

/** The part of a file that an opened file delivers. */
export interface DeliveredRange {
  /** Bytes before the first one. */
  readonly offset: number
  /** Number of bytes. */
  readonly length: number
}

// Gives the class all fields of FileInfo.
export interface StoredFile extends FileInfo {}

/**
 * An opened file: its {@link FileInfo} and its content. The content can be read once, in one of many forms. `size` is the
 * size of the whole file, also if only a range was opened. `range` is the part that is delivered.
 *
 * A handle that nobody reads, or that is read in part, gives its connection or descriptor back: after 30 seconds, and
 * earlier where others wait for one. It gets another when it is read, in the same version of the file; if the file was
 * replaced or deleted meanwhile, the read fails with `Unavailable`. `close()` or `await using` frees it at once.
 *
 * @example
 * const file = await storage.open('notes/today.txt')
 * console.log(file.size, await file.text())
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the constructor assigns every field of the merged interface.
export class StoredFile {
  /** The delivered part: the whole file, or the requested range. */
  readonly range: DeliveredRange
  readonly #body: OpenBody
  readonly #explain: (error: unknown) => unknown
  readonly #signal: AbortSignal | undefined
  readonly #timer: NodeJS.Timeout | undefined
  #used = false
  #expired = false
  #closed = false
  #stream: Readable | undefined

  /** Made by `Storage.open`. `explain` turns an error of the body into the public one. An abort ends a read. */
  constructor(
    info: FileInfo,
    range: DeliveredRange,
    body: OpenBody,
    explain: (error: unknown) => unknown,
    signal?: AbortSignal,
  ) {
    Object.assign(this, info)
    Object.defineProperty(this, BRAND, { value: true })
    this.range = range
    this.#body = body
    this.#explain = explain
    this.#signal = signal
    const timeout = body.unreadTimeout ?? UNREAD_TIMEOUT
    if (timeout === 0) return
    this.#timer = setTimeout(() => {
      this.#expired = true
      void this.close()
    }, timeout).unref()
  }

  /** The whole content in one buffer. */
  async bytes(): Promise<Bytes> {
    const body = this.#take()
    try {
      this.#signal?.throwIfAborted()
      const bytes = await body.bytes()
      if (!this.#closed) return bytes as Bytes // Drivers read into memory of their own.
    } catch (error) {
      if (!this.#closed) {
        await body.close()
        throw this.#explain(toError(error).name === 'RangeError' ? tooLarge(error) : error)
      }
    }
    throw this.#explain(new Problem('InvalidArgument', 'the file was closed during the read'))
  }

  /** The same as {@link bytes}, under Django's name. */
  read(): Promise<Bytes> {
    return this.bytes()
  }

  /** The whole content as an `ArrayBuffer` of its own. */
  async arrayBuffer(): Promise<ArrayBuffer> {
    const bytes = await this.bytes()
    const copy = new ArrayBuffer(bytes.byteLength)
    new Uint8Array(copy).set(bytes)
    return copy
  }

  /** The content as UTF-8 text. */
  async text(): Promise<string> {
    return (await this.bytes()).toString('utf8')
  }

  /** The content, parsed as JSON. @throws {SyntaxError} if it is not JSON. */
  async json<T = unknown>(): Promise<T> {
    return JSON.parse(await this.text()) as T // The caller knows the type.
  }

  /** The content as a `Blob` with the file's type. */
  async blob(): Promise<Blob> {
    return new Blob([await this.arrayBuffer()], { type: this.contentType })
  }

  /** The content as a Node stream. If the body is cut short, the stream emits `error`. */
  stream(): Readable {
    const stream = explainErrors(this.#take().stream(), this.#explain)
    this.#stream = stream
    return this.#signal ? addAbortSignal(this.#signal, stream) : stream
  }

  /** The content as a web stream. */
  webStream(): ReadableStream<ReturnType<Uint8Array['slice']>> {
    // Node's ReadableStream has a type of its own, and its chunks are not shared memory, as those of a Buffer.
    return Readable.toWeb(this.stream()) as ReadableStream<ReturnType<Uint8Array['slice']>>
  }

  /** The content in chunks, for `for await`. */
  [Symbol.asyncIterator](): AsyncIterator<Bytes> {
    return this.stream()[Symbol.asyncIterator]()
  }

  /** Frees the connection or descriptor. A running read fails. Harmless after a read or another `close`. */
  async close(): Promise<void> {
    this.#used = true
    this.#closed = true
    clearTimeout(this.#timer)
    // Without an error: a reader sees the premature end, and an unread stream must not end the process.
    this.#stream?.destroy()
    await this.#body.close()
  }

  /** The same as {@link close}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #take(): OpenBody {
    if (this.#expired) {
      const reason = 'the opened file was closed because nobody read it; open it again'
      throw this.#explain(new Problem('Unavailable', reason))
    }
    if (this.#used) {
      const reason = 'the content was already read or closed; open the file again'
      throw this.#explain(new Problem('InvalidArgument', reason))
    }
    this.#used = true
    clearTimeout(this.#timer)
    return this.#body
  }
}

/** Whether a value is a {@link StoredFile}, also one of another copy of this package. */
export function isStoredFile(value: unknown): value is StoredFile {
  return typeof value === 'object' && value !== null && BRAND in value
}

/** The same stream; `explain` turns its error into another one. */
export function explainErrors(stream: Readable, explain: (error: unknown) => unknown): Readable {
  const destroy = stream._destroy.bind(stream)
  stream._destroy = (error, done) => destroy(error, (cause) => done(cause && toError(explain(cause))))
  return stream
}

/** The error for a content that is larger than any buffer of Node. */
function tooLarge(cause: unknown): Problem {
  return new Problem('InvalidArgument', 'the content is too large for one buffer; use stream()', { cause })
}
