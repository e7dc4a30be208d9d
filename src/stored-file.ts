import { addAbortSignal, Readable } from 'node:stream'
import { Problem, toError } from './errors.js'
import type { FileInfo } from './types.js'

/** The content of an opened file, as a driver hands it out. */
export interface OpenBody {
  /** All the bytes, in one buffer. MUST fail rather than give fewer bytes than the range announced. */
  bytes(): Promise<Buffer>
  /** The bytes as they come. MUST emit an error rather than end early. Destroying it MUST free everything. */
  stream(): Readable
  /** Frees what an unread body holds, and ends a read that is running. Never fails; harmless after a read. */
  close(): Promise<void>
  /** Milliseconds after which an unread body is closed, so that forgotten handles hold nothing for ever. Default 60,000. */
  readonly unreadTimeout?: number
}

const UNREAD_TIMEOUT = 60_000
const BRAND = Symbol.for('stowage.StoredFile')

/** The bytes that an opened file delivers, within the whole file. */
export interface DeliveredRange {
  /** Bytes before the first one. */
  readonly offset: number
  /** Number of bytes. */
  readonly length: number
}

// The fields of a FileInfo, whatever they are, are fields of the class.
export interface StoredFile extends FileInfo {}

/**
 * A file that has been opened: its {@link FileInfo} and its content, which can be read once, in one of many forms.
 * `size` is that of the whole file, also when only a range was opened; `range` says what is delivered.
 *
 * A handle that is never read gives its connection or descriptor back by itself after a while; `close()` or
 * `await using` does it at once.
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the constructor assigns every field of the merged interface.
export class StoredFile {
  /** What is delivered: the whole file, or the part that was asked for. */
  readonly range: DeliveredRange
  readonly #body: OpenBody
  readonly #explain: (error: unknown) => unknown
  readonly #signal: AbortSignal | undefined
  readonly #timer: NodeJS.Timeout
  #used = false
  #expired = false
  #closed = false
  #stream: Readable | undefined

  /** Made by `Storage.open`. `explain` turns what the body throws into what callers see; an abort ends the reading. */
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
    this.#timer = setTimeout(() => {
      this.#expired = true
      void this.close()
    }, body.unreadTimeout ?? UNREAD_TIMEOUT).unref()
  }

  /** The whole content in one buffer. */
  async bytes(): Promise<Buffer> {
    const body = this.#take()
    try {
      this.#signal?.throwIfAborted()
      const bytes = await body.bytes()
      if (!this.#closed) return bytes
    } catch (error) {
      if (!this.#closed) {
        await body.close()
        throw this.#explain(error instanceof RangeError ? tooLarge(error) : error)
      }
    }
    throw this.#explain(new Problem('InvalidArgument', 'the file was closed while it was read'))
  }

  /** The same as {@link bytes}, under Django's name. */
  read(): Promise<Buffer> {
    return this.bytes()
  }

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

  /** The content as JSON. Throws `SyntaxError` where it is none. */
  async json<T = unknown>(): Promise<T> {
    return JSON.parse(await this.text()) as T // The caller says what is in the file.
  }

  /** The content as a `Blob` of the file's type. */
  async blob(): Promise<Blob> {
    return new Blob([await this.arrayBuffer()], { type: this.contentType })
  }

  /** The content as a Node stream. A body that is cut short ends in an `error` event, never in a short success. */
  stream(): Readable {
    const stream = explainErrors(this.#take().stream(), this.#explain)
    this.#stream = stream
    return this.#signal ? addAbortSignal(this.#signal, stream) : stream
  }

  /** The content as a web stream. */
  webStream(): ReadableStream<Uint8Array> {
    return Readable.toWeb(this.stream()) as ReadableStream<Uint8Array> // Node types its own ReadableStream apart.
  }

  [Symbol.asyncIterator](): AsyncIterator<Buffer> {
    return this.stream()[Symbol.asyncIterator]()
  }

  /** Frees what the handle holds. Harmless when it was read, or closed before; a read that is running fails. */
  async close(): Promise<void> {
    this.#used = true
    this.#closed = true
    clearTimeout(this.#timer)
    // Without an error: whoever reads it is told that it ended early, and one that nobody reads must not end the process.
    this.#stream?.destroy()
    await this.#body.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #take(): OpenBody {
    if (this.#expired) {
      const reason = 'the opened file was not read for so long that it was closed; open it again'
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

/** The same stream, whose error is what `explain` makes of it. */
export function explainErrors(stream: Readable, explain: (error: unknown) => unknown): Readable {
  const destroy = stream._destroy.bind(stream)
  stream._destroy = (error, done) => destroy(error, (cause) => done(cause && toError(explain(cause))))
  return stream
}

/** Node has no buffer of this size. */
function tooLarge(cause: RangeError): Problem {
  return new Problem('InvalidArgument', 'the content is too large for one buffer: use stream()', { cause })
}
