import { Readable } from 'node:stream'
import { types } from 'node:util'
import { Problem, SourceFailure } from './errors.js'
import type { AttributeSource } from './headers.js'
import { StoredFile } from './stored-file.js'

/** One piece of a streamed content. Strings are UTF-8. */
export type Chunk = string | Uint8Array | ArrayBuffer | ArrayBufferView

/**
 * Whatever can be saved: text (stored as UTF-8), bytes, a `Blob` or `File`, a Node or web stream, any iterable of
 * chunks, or a file that another storage has opened. A view into a larger buffer saves its own bytes only.
 */
export type Content =
  | Chunk
  | Blob
  | Readable
  | ReadableStream
  | Iterable<Chunk>
  | AsyncIterable<Chunk>
  | StoredFile

/** A content ready to be stored: the only form that backends see. */
export interface Body {
  /** Bytes in all, where the content tells. */
  readonly size: number | undefined
  /** All of the bytes, where they are in memory anyway. */
  readonly bytes: Uint8Array | undefined
  /** Whether `chunks` may be called again to have the same bytes once more. */
  readonly replayable: boolean
  /**
   * The bytes as they come. An error of the source is thrown as a `SourceFailure`; an abort as the signal's reason,
   * at once, also while the source stalls. Leaving the loop early destroys the source.
   */
  chunks(signal?: AbortSignal): AsyncIterable<Uint8Array>
}

/**
 * Listens to the errors of a stream that is going to be read later, or never if the save is refused: without a listener
 * an early one (the file is not there) would end the process.
 */
export function silence(content: unknown): void {
  if (isNodeStream(content)) content.on('error', ignore)
}

/** Frees what a content holds that will not be read, or not to its end: a descriptor, a connection. */
export function abandon(content: unknown): void {
  if (isNodeStream(content)) content.destroy()
  else if (content instanceof StoredFile) void content.close()
  else if (content instanceof ReadableStream && !content.locked) content.cancel().catch(ignore)
}

/** Also one of the package `readable-stream`, which is no instance of Node's. */
function isNodeStream(content: unknown): content is Readable {
  if (content instanceof Readable) return true
  if (typeof content !== 'object' || content === null || !(Symbol.asyncIterator in content)) return false
  return (
    typeof Reflect.get(content, 'on') === 'function' && typeof Reflect.get(content, 'destroy') === 'function'
  )
}

/** The attributes that a content brings along: those of a file of another storage. */
export function defaultsOf(content: unknown): AttributeSource {
  return content instanceof StoredFile ? content : {}
}

/** The one coercion of everything that can be saved. What the content itself throws is its source's error. */
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
    // Node's types know Node's own streams only.
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

/** Iterates a source by hand: `for await` could neither tell the source's errors from ours nor leave a stalled source. */
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
  /** A generator may fill one buffer again and again; a stream never touches a chunk that it gave away. */
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
        // Nothing else would end the loop of an iterator that answers nonsense.
        if (typeof result !== 'object' || result === null) {
          throw new Problem('InvalidArgument', `the iterator of the content answers ${describe(result)}`)
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

  /** After a chunk of no bytes. Nothing, without end, must not keep timers, and with them an abort, from their turn. */
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
    // A Node stream is destroyed directly: its iterator would first wait for the chunk that never comes.
    if (isNodeStream(this.#source)) this.#source.destroy()
    else void leave(this.#iterator)
  }
}

/** Whatever the source does on its way out, nobody waits for it, and the reason why it was left counts more. */
async function leave(iterator: AsyncIterator<unknown> | Iterator<unknown>): Promise<void> {
  try {
    await iterator.return?.()
  } catch {
    // A generator that is just running (it has aborted the save itself) cannot be left, for example.
  }
}

const END = Symbol('end')

/** Turns chunks, and at last their end, into bytes. A surrogate pair cut in two by string chunks is put together again. */
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
