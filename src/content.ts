import { Readable } from 'node:stream'
import { types } from 'node:util'
import { Problem, SourceFailure } from './errors.js'
import type { AttributeSource } from './headers.js'
import { StoredFile } from './stored-file.js'

/** One piece of a streamed content. Strings are UTF-8. */
export type Chunk = string | Uint8Array | ArrayBuffer | ArrayBufferView

/**
 * What `save` accepts: text (stored as UTF-8), bytes, a `Blob` or `File`, a Node or web stream, any iterable of chunks,
 * or a file opened from a storage. A view into a larger buffer saves only its own bytes.
 */
export type Content =
  | Chunk
  | Blob
  | Readable
  | ReadableStream
  | Iterable<Chunk>
  | AsyncIterable<Chunk>
  | StoredFile

/** A content that is ready to be stored. Drivers get contents only in this form. */
export interface Body {
  /** Total bytes, or undefined if unknown. */
  readonly size: number | undefined
  /** All bytes, if they are in memory already. */
  readonly bytes: Uint8Array | undefined
  /** Whether `chunks` can be called again for the same bytes. */
  readonly replayable: boolean
  /**
   * The bytes as they arrive. An error of the source is thrown as a `SourceFailure`. An abort throws the signal's
   * reason at once, even if the source stalls. Leaving the loop early destroys the source.
   */
  chunks(signal?: AbortSignal): AsyncIterable<Uint8Array>
}

/**
 * Adds an error listener to a stream that is read later, or never if the save is refused. Without a listener an early
 * error, such as a missing file, would end the process.
 */
export function silence(content: unknown): void {
  if (isNodeStream(content)) content.on('error', ignore)
}

/** Frees the descriptor or connection of a content that is not read to its end. */
export function abandon(content: unknown): void {
  if (isNodeStream(content)) content.destroy()
  else if (content instanceof StoredFile) void content.close()
  else if (content instanceof ReadableStream && !content.locked) content.cancel().catch(ignore)
}

/** Also accepts streams of the package `readable-stream`, which are not instances of Node's class. */
function isNodeStream(content: unknown): content is Readable {
  if (content instanceof Readable) return true
  if (typeof content !== 'object' || content === null || !(Symbol.asyncIterator in content)) return false
  return (
    typeof Reflect.get(content, 'on') === 'function' && typeof Reflect.get(content, 'destroy') === 'function'
  )
}

/** The attributes that a content brings along. Only a `StoredFile` has any. */
export function defaultsOf(content: unknown): AttributeSource {
  return content instanceof StoredFile ? content : {}
}

/** Turns a content into a body: the only coercion. An error that the content throws is a `SourceFailure`. */
export function toBody(content: Content): Body {
  try {
    return coerce(content)
  } catch (error) {
    throw error instanceof Problem ? error : new SourceFailure(error)
  }
}

function coerce(content: Content): Body {
  if (typeof content === 'string') return ofBytes(Buffer.from(content))
  if (types.isAnyArrayBuffer(content)) return ofBytes(new Uint8Array(content))
  if (ArrayBuffer.isView(content)) return ofBytes(bytesOf(content))
  if (content instanceof Blob) {
    return {
      size: content.size,
      bytes: undefined,
      replayable: true,
      chunks: (signal) => read(() => content.stream(), signal),
    }
  }
  if (content instanceof StoredFile) return ofStream(() => content.stream(), content.range.length)
  if (isNodeStream(content)) {
    if (content.readableEnded || (content.destroyed && !content.errored)) {
      throw new Problem(
        'InvalidArgument',
        'the stream was already read or closed, so there is nothing to save',
      )
    }
    return ofStream(() => content)
  }
  if (content instanceof ReadableStream) {
    if (content.locked) throw new Problem('InvalidArgument', 'the stream is locked by another reader')
    // Node's types accept only Node's own streams.
    if (Reflect.apply(Readable.isDisturbed, undefined, [content]))
      throw new Problem('InvalidArgument', 'the stream was already read from')
  }
  if (isIterable(content)) return ofStream(() => content)
  throw new Problem(
    'InvalidArgument',
    `the content must be a string, bytes, a Blob, a stream or an iterable of those, not ${describe(content)}`,
  )
}

/** A body of bytes in memory. */
export function ofBytes(bytes: Uint8Array): Body {
  return {
    size: bytes.byteLength,
    bytes,
    replayable: true,
    async *chunks() {
      if (bytes.byteLength > 0) yield bytes
    },
  }
}

function ofStream(open: () => Source, size?: number): Body {
  return { size, bytes: undefined, replayable: false, chunks: (signal) => read(open, signal) }
}

type Source = AsyncIterable<unknown> | Iterable<unknown> | ReadableStream

/** Iterates a source by hand: `for await` cannot separate the source's errors from ours, nor leave a stalled source. */
function read(open: () => Source, signal: AbortSignal | undefined): AsyncIterable<Uint8Array> {
  return {
    [Symbol.asyncIterator]: () => {
      try {
        return new SourceReader(open(), signal)
      } catch (error) {
        throw error instanceof Problem ? error : new SourceFailure(error)
      }
    },
  }
}

class SourceReader implements AsyncIterator<Uint8Array> {
  readonly #source: Source
  readonly #iterator: AsyncIterator<unknown> | Iterator<unknown>
  readonly #signal: AbortSignal | undefined
  readonly #encode = chunkEncoder()
  /** Whether chunks need no copy. A stream does not reuse a chunk; a generator may refill one buffer. */
  readonly #givesAway: boolean
  #rejectPending: ((reason: unknown) => void) | undefined
  #done = false
  #emptyChunks = 0

  constructor(source: Source, signal: AbortSignal | undefined) {
    silence(source) // One that is aborted before its first chunk is asked for has no other listener.
    this.#source = source
    this.#iterator =
      Symbol.asyncIterator in source
        ? source[Symbol.asyncIterator]()
        : (source as Iterable<unknown>)[Symbol.iterator]()
    this.#givesAway = isNodeStream(source) || source instanceof ReadableStream
    this.#signal = signal
    signal?.addEventListener('abort', this.#onAbort)
  }

  next(): Promise<IteratorResult<Uint8Array>> {
    if (this.#done) return Promise.resolve({ done: true, value: undefined })
    return new Promise((resolve, reject) => {
      if (this.#signal?.aborted) {
        this.#finish(true)
        reject(this.#signal.reason)
        return
      }
      this.#rejectPending = reject
      this.#pull(resolve, reject)
    })
  }

  async return(): Promise<IteratorResult<Uint8Array>> {
    this.#finish(true)
    return { done: true, value: undefined }
  }

  #pull(resolve: (result: IteratorResult<Uint8Array>) => void, reject: (reason: unknown) => void): void {
    const failed = (error: unknown) => {
      this.#finish(true)
      reject(error instanceof Problem ? error : new SourceFailure(error))
    }
    const received = (result: IteratorResult<unknown>) => {
      try {
        // A broken iterator without result objects would otherwise loop for ever.
        if (typeof result !== 'object' || result === null) {
          throw new Problem(
            'InvalidArgument',
            `the content's iterator returned ${describe(result)} instead of a result object`,
          )
        }
        const encoded = this.#encode(result.done ? END : result.value)
        const bytes = this.#givesAway ? encoded : new Uint8Array(encoded)
        if (bytes.byteLength > 0) {
          this.#rejectPending = undefined
          if (result.done) this.#finish(false)
          resolve({ done: false, value: bytes })
        } else if (result.done) {
          this.#finish(false)
          resolve({ done: true, value: undefined })
        } else {
          this.#pullOn(resolve, reject)
        }
      } catch (error) {
        failed(error)
      }
    }
    try {
      Promise.resolve(this.#iterator.next()).then(received, failed)
    } catch (error) {
      failed(error)
    }
  }

  /** Continues after an empty chunk. Endless empty chunks must not starve the event loop: an abort needs its turn. */
  #pullOn(resolve: (result: IteratorResult<Uint8Array>) => void, reject: (reason: unknown) => void): void {
    this.#emptyChunks += 1
    if (this.#emptyChunks % 64 !== 0) this.#pull(resolve, reject)
    else setImmediate(() => this.#done || this.#pull(resolve, reject))
  }

  #onAbort = (): void => {
    this.#rejectPending?.(this.#signal?.reason)
    this.#finish(true)
  }

  #finish(release: boolean): void {
    if (this.#done) return
    this.#done = true
    this.#rejectPending = undefined
    this.#signal?.removeEventListener('abort', this.#onAbort)
    if (!release) return
    // Destroys a Node stream directly: its iterator would first wait for a chunk that may never come.
    if (isNodeStream(this.#source)) this.#source.destroy()
    else void leave(this.#iterator)
  }
}

/** Ends the iterator. Nobody waits for it, and its errors are ignored: the reason for leaving matters more. */
async function leave(iterator: AsyncIterator<unknown> | Iterator<unknown>): Promise<void> {
  try {
    await iterator.return?.()
  } catch {
    // For example, a running generator that aborted the save itself cannot be ended.
  }
}

const END = Symbol('end')

/** Turns chunks, and finally `END`, into bytes. Joins a surrogate pair that two string chunks have split. */
function chunkEncoder(): (chunk: unknown) => Uint8Array {
  let half = ''
  return (chunk) => {
    if (typeof chunk === 'string') {
      let text = half + chunk
      half = ''
      const last = text.charCodeAt(text.length - 1)
      if (last >= 0xd800 && last <= 0xdbff) {
        half = text.slice(-1)
        text = text.slice(0, -1)
      }
      return Buffer.from(text)
    }
    const before = Buffer.from(half)
    half = ''
    if (chunk === END) return before
    if (!(chunk instanceof ArrayBuffer || ArrayBuffer.isView(chunk))) {
      throw new Problem(
        'InvalidArgument',
        `a chunk of the content must be a string or bytes, not ${describe(chunk)}`,
      )
    }
    const bytes = chunk instanceof ArrayBuffer ? new Uint8Array(chunk) : bytesOf(chunk)
    return before.byteLength > 0 ? Buffer.concat([before, bytes]) : bytes
  }
}

function bytesOf(view: ArrayBufferView): Uint8Array {
  return view instanceof Uint8Array ? view : new Uint8Array(view.buffer, view.byteOffset, view.byteLength)
}

function isIterable(value: unknown): value is AsyncIterable<unknown> | Iterable<unknown> {
  return (
    typeof value === 'object' && value !== null && (Symbol.asyncIterator in value || Symbol.iterator in value)
  )
}

function describe(value: unknown): string {
  if (value === null) return 'null'
  if (typeof value !== 'object') return typeof value
  return value.constructor?.name ? `an object of type ${value.constructor.name}` : 'an object'
}

function ignore(): void {}
