import { Readable } from 'node:stream'
import { types } from 'node:util'
import { Problem, RejectedUpload, SourceFailure } from './errors.js'
import { clearInterval, clearTimeout, setImmediate, setInterval, setTimeout } from './timers.js'

/** Anything that gives chunks one after the other. */
export type Source = AsyncIterable<unknown> | Iterable<unknown> | ReadableStream

/** How a source is read. */
export interface SourceOptions {
  /** Milliseconds without a chunk after which the source counts as dead. 0 waits for ever. */
  readonly timeout: number
  readonly signal: AbortSignal | undefined
}

/** Milliseconds between two looks at a source that gives nothing. */
const WATCH_INTERVAL = 1000
/** Bounds for the rest of a refused request, which is read so that its client sees the answer. */
export const DRAIN_BYTES = 16 * 1024 * 1024
/** The same in milliseconds. */
export const DRAIN_TIME = 10_000

/** A stream of Node's, or of the package `readable-stream`, or of another realm. */
export function isNodeStream(value: unknown): value is Readable {
  if (value instanceof Readable) return true
  if (typeof value !== 'object' || value === null || !(Symbol.asyncIterator in value)) return false
  return typeof Reflect.get(value, 'on') === 'function' && typeof Reflect.get(value, 'destroy') === 'function'
}

/** A web stream, also one of a polyfill. */
export function isWebStream(value: unknown): value is ReadableStream {
  return typeof value === 'object' && value !== null && 'getReader' in value && 'locked' in value
}

/**
 * The request of an HTTP server, or a file of its form as busboy parses it. The connection carries the answer as well,
 * and a parser waits for all of its files to be read.
 */
function isOfRequest(stream: Readable): boolean {
  return ('httpVersion' in stream && 'socket' in stream) || 'truncated' in stream
}

/** Ends a stream that is not read to its end. */
export function releaseStream(stream: Readable): void {
  if (isOfRequest(stream)) drain(stream)
  else stream.destroy()
}

const draining = new WeakSet<Readable>()

/** Reads on and forgets: a request that is destroyed takes the answer with it. */
function drain(request: Readable): void {
  if (request.destroyed || request.readableEnded || draining.has(request)) return
  draining.add(request)
  let left = DRAIN_BYTES
  const timer = setTimeout(() => request.destroy(), DRAIN_TIME).unref()
  // By `readable`, since an iterator that waits for its next chunk keeps the stream from flowing.
  const discard = () => {
    for (let chunk: unknown = request.read(); chunk !== null; chunk = request.read()) {
      left -= Buffer.isBuffer(chunk) ? chunk.byteLength : String(chunk).length
    }
    if (left < 0) request.destroy()
  }
  request.on('readable', discard)
  request.once('close', () => clearTimeout(timer))
  request.once('end', () => clearTimeout(timer))
  discard()
}

/** Iterates a source by hand: `for await` cannot separate the source's errors from ours, nor leave a stalled source. */
export function readSource(open: () => Source, options: SourceOptions): AsyncIterable<Uint8Array> {
  return {
    [Symbol.asyncIterator]: () => {
      try {
        return new SourceReader(open(), options)
      } catch (error) {
        throw error instanceof Problem ? error : new SourceFailure(error)
      }
    },
  }
}

class SourceReader implements AsyncIterator<Uint8Array> {
  readonly #source: Source
  readonly #iterator: AsyncIterator<unknown> | Iterator<unknown>
  readonly #timeout: number
  readonly #signal: AbortSignal | undefined
  readonly #encode = chunkEncoder()
  /** Whether chunks need no copy. A stream does not reuse a chunk; a generator may refill one buffer. */
  readonly #givesAway: boolean
  readonly #watch: NodeJS.Timeout
  #rejectPending: ((reason: unknown) => void) | undefined
  /** When the pending chunk was asked for. */
  #askedAt = 0
  #bytes = 0
  #done = false
  #aborted = false
  #emptyChunks = 0

  constructor(source: Source, { timeout, signal }: SourceOptions) {
    // A stream that is aborted before its first chunk is asked for has no other listener.
    if (isNodeStream(source)) source.on('error', () => {})
    this.#source = source
    this.#iterator = iteratorOf(source)
    this.#givesAway = isNodeStream(source) || isWebStream(source)
    this.#timeout = timeout
    this.#signal = signal
    signal?.addEventListener('abort', this.#onAbort)
    this.#watch = setInterval(() => this.#look(), WATCH_INTERVAL).unref()
  }

  next(): Promise<IteratorResult<Uint8Array>> {
    // An abort between two chunks must not look like the end of the content.
    if (this.#aborted) return Promise.reject(this.#signal?.reason)
    if (this.#done) return Promise.resolve({ done: true, value: undefined })
    return new Promise((resolve, reject) => {
      if (this.#signal?.aborted) {
        this.#finish(true)
        reject(this.#signal.reason)
        return
      }
      this.#rejectPending = reject
      this.#askedAt = Date.now()
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
          throw new Problem('InvalidArgument', `the iterator of the content answers ${describe(result)}`)
        }
        if (result.done) this.#expectWhole()
        const encoded = this.#encode(result.done ? END : result.value)
        const bytes = this.#givesAway ? encoded : new Uint8Array(encoded)
        this.#bytes += bytes.byteLength
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

  /** A parser of forms that reached its limit ends the file as if nothing were missing, and says so here. */
  #expectWhole(): void {
    if (Reflect.get(this.#source, 'truncated') !== true) return
    throw new RejectedUpload({ reason: 'size', limit: this.#bytes, found: this.#bytes })
  }

  /** Continues after an empty chunk. Endless empty chunks must not starve the event loop: an abort needs its turn. */
  #pullOn(resolve: (result: IteratorResult<Uint8Array>) => void, reject: (reason: unknown) => void): void {
    this.#emptyChunks += 1
    if (this.#emptyChunks % 64 !== 0) this.#pull(resolve, reject)
    else setImmediate(() => this.#done || this.#pull(resolve, reject))
  }

  /** A source that stopped without a word, such as a part of a form whose client has left. */
  #look(): void {
    const reject = this.#rejectPending
    if (!reject) return
    const waited = Date.now() - this.#askedAt
    if (waited >= WATCH_INTERVAL && isNodeStream(this.#source) && wasCut(this.#source)) {
      this.#finish(true)
      reject(new Problem('Aborted', 'the stream was closed before its end'))
    } else if (this.#timeout > 0 && waited >= this.#timeout) {
      this.#finish(true)
      reject(new Problem('Aborted', `the source of the content gave nothing for ${this.#timeout} ms`))
    }
  }

  #onAbort = (): void => {
    this.#aborted = true
    this.#rejectPending?.(this.#signal?.reason)
    this.#finish(true)
  }

  #finish(release: boolean): void {
    if (this.#done) return
    this.#done = true
    this.#rejectPending = undefined
    clearInterval(this.#watch)
    this.#signal?.removeEventListener('abort', this.#onAbort)
    if (!release) return
    // Releases a Node stream directly: its iterator would first wait for a chunk that may never come.
    if (isNodeStream(this.#source)) releaseStream(this.#source)
    else void leave(this.#iterator)
  }
}

/** Destroyed without an error, with bytes missing: nothing more will be heard of it. */
function wasCut(stream: Readable): boolean {
  return stream.destroyed && !stream.readableEnded
}

function iteratorOf(source: Source): AsyncIterator<unknown> | Iterator<unknown> {
  if (isNodeStream(source) && isOfRequest(source) && typeof source.iterator === 'function') {
    return source.iterator({ destroyOnReturn: false })
  }
  if (Symbol.asyncIterator in source) return source[Symbol.asyncIterator]()
  if (isWebStream(source)) return chunksOf(source)
  return source[Symbol.iterator]()
}

/** For polyfills, whose streams may lack an iterator. */
async function* chunksOf(stream: ReadableStream): AsyncGenerator<unknown> {
  const reader = stream.getReader()
  let done = false
  try {
    for (;;) {
      const result = await reader.read()
      done = result.done
      if (result.done) return
      yield result.value
    }
  } finally {
    if (!done) await reader.cancel()
    reader.releaseLock()
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
    if (!(types.isAnyArrayBuffer(chunk) || ArrayBuffer.isView(chunk))) {
      throw new Problem(
        'InvalidArgument',
        `a chunk of the content must be a string or bytes, not ${describe(chunk)}`,
      )
    }
    const bytes = bytesOf(chunk)
    return before.byteLength > 0 ? Buffer.concat([before, bytes]) : bytes
  }
}

/** The bytes of a buffer or a view, without a copy. */
export function bytesOf(data: ArrayBufferLike | ArrayBufferView): Uint8Array {
  if (data instanceof Uint8Array) return data
  return ArrayBuffer.isView(data)
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    : new Uint8Array(data)
}

/** Names the kind of a value, for messages. */
export function describe(value: unknown): string {
  if (value === null) return 'null'
  if (typeof value !== 'object') return typeof value
  return value.constructor?.name ? `an object of type ${value.constructor.name}` : 'an object'
}
