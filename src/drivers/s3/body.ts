import { Readable } from 'node:stream'
import { Problem, toError } from '../../errors.js'
import { either } from '../../signals.js'
import type { DeliveredRange, OpenBody } from '../../stored-file.js'
import { clearInterval, setInterval } from '../../timers.js'
import { type Reader, type RestingReaders, replacedMeanwhile } from '../resting-readers.js'
import { analyse } from './failures.js'
import type { ObjectStream } from './object-api.js'

/** Interruptions in a row, with hardly a byte in between, before a body is given up. */
const MAX_RESUMPTIONS = 5
/** A slower body is fetched over another connection from there on. */
const LEAST_BYTES_PER_SECOND = 1024

interface Consumer {
  /** True: it wants more now. */
  data(chunk: Uint8Array): boolean
  end(): void
  error(error: unknown): void
}

/** How a body is read. */
export interface ObjectBodyOptions {
  /** The bytes that are read. */
  readonly range: DeliveredRange
  /** Opens the rest of the object from an offset on, in the version that was opened; null at its end. */
  reopen(offset: number, signal: AbortSignal): Promise<ObjectStream | null>
  readonly signal: AbortSignal | undefined
  /** Where it is while it rests. */
  readonly readers: RestingReaders
  /** Milliseconds in which some bytes must come while the reader wants them. */
  readonly patience: number
}

/**
 * The body of an object. Where the connection breaks, reading goes on from there, in the same version of the object. A
 * reader that rests gives its connection back, and gets another when it goes on.
 */
export class ObjectBody implements OpenBody, Reader {
  readonly unreadTimeout = 0
  restingSince: number | undefined = performance.now()
  readonly #options: ObjectBodyOptions
  /** Bytes that must come in each `patience`, while the reader wants them. */
  readonly #leastBytes: number
  /** Undefined where the rest has to be fetched. */
  #source: ObjectStream | undefined
  /** From the first wish for bytes until the last one or an error. */
  #consumer: Consumer | undefined
  #received = 0
  #failures = 0
  #closed = false
  /** Stops a request for the rest. */
  #resuming: AbortController | undefined
  /** Ends the work on the source. */
  #leave = ignore

  constructor(source: ObjectStream, options: ObjectBodyOptions) {
    this.#leastBytes = (LEAST_BYTES_PER_SECOND * options.patience) / 1000
    this.#options = options
    this.#source = source
    source.on('error', ignore) // An unread body may fail, too, when its connection is given up.
    options.readers.add(this)
  }

  bytes(): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const bytes = Buffer.allocUnsafe(this.#options.range.length)
      let filled = 0
      this.#begin({
        data: (chunk) => {
          bytes.set(chunk, filled)
          filled += chunk.byteLength
          return true
        },
        end: () => resolve(bytes.subarray(0, filled)),
        error: reject,
      })
    })
  }

  stream(): Readable {
    let started = false
    const stream: Readable = new Readable({
      read: () => {
        if (started) return this.#wake()
        started = true
        this.#begin({
          data: (chunk) => stream.push(chunk),
          end: () => stream.push(null),
          error: (error) => stream.destroy(toError(error)),
        })
      },
      destroy: (error, done) => {
        this.close().then(() => done(error))
      },
    })
    return stream
  }

  /** Gives the connection back, unless that is free already. */
  release(): boolean {
    const source = this.#source
    if (source === undefined || source.destroyed || source.hasArrived) return false
    this.#drop()
    return true
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#resuming?.abort()
    if (this.#consumer) this.#fail(new Problem('Aborted', 'the file was closed while it was read'))
    else this.#finish()
  }

  #begin(consumer: Consumer): void {
    const { signal } = this.#options
    this.restingSince = undefined
    this.#consumer = consumer
    signal?.addEventListener('abort', this.#onAbort, { once: true })
    if (signal?.aborted) this.#onAbort()
    else this.#goOn()
  }

  readonly #onAbort = (): void => this.#fail(this.#options.signal?.reason)

  #goOn(): void {
    if (this.#source) this.#consume(this.#source)
    else if (this.#received === this.#options.range.length) this.#complete()
    else this.#fetch(undefined)
  }

  /** The consumer wants more. */
  #wake(): void {
    this.restingSince = undefined
    if (this.#source) this.#source.resume()
    else this.#goOn()
  }

  #complete(): void {
    const consumer = this.#consumer
    this.#finish()
    consumer?.end()
  }

  #fail(error: unknown): void {
    const consumer = this.#consumer
    this.#finish()
    consumer?.error(error)
  }

  #finish(): void {
    this.#consumer = undefined
    this.#drop()
    this.#options.readers.delete(this)
    this.#options.signal?.removeEventListener('abort', this.#onAbort)
  }

  #drop(): void {
    this.#leave()
    this.#source?.destroy()
    this.#source = undefined
  }

  /** Passes on exactly the bytes of the range. */
  #consume(source: ObjectStream): void {
    const { range, patience } = this.#options
    const { length } = range
    const begun = this.#received
    let over = false
    // Every body ends here. An `Error` is made only where bytes are missing: its stack takes longer than a small body.
    const broken = (reason: unknown) => {
      if (over) return
      if (this.#received === length) return this.#complete() // Nothing is missing but the end itself.
      this.#drop()
      // A reader that rests may lose its connection; it gets another when it wants more.
      if (this.restingSince !== undefined) return
      this.#failures += 1
      this.#fetch(toError(reason))
    }
    let seen = begun
    let rested = false
    // No idle time-out ends a body that trickles. A period in which the reader rested is not judged.
    const watch = setInterval(() => {
      if (!rested && this.#received - seen < this.#leastBytes) broken('the content comes too slowly')
      seen = this.#received
      rested = this.restingSince !== undefined
    }, patience).unref()
    this.#leave = () => {
      over = true
      clearInterval(watch)
    }
    source.on('data', (chunk: Uint8Array) => {
      if (over) return
      const missing = length - this.#received
      const wanted = chunk.byteLength > missing ? chunk.subarray(0, missing) : chunk
      this.#received += wanted.byteLength
      if (this.#received - begun >= this.#leastBytes) this.#failures = 0
      // A listener may end the read.
      if (wanted.byteLength > 0 && !this.#consumer?.data(wanted) && !over) {
        rested = true
        this.restingSince = performance.now()
        source.pause()
      }
      if (wanted.byteLength < chunk.byteLength) this.#complete()
    })
    source.on('end', () => broken('the body ended early'))
    source.on('error', broken)
    source.on('close', () => broken('the connection was closed'))
    if (source.destroyed) broken(source.errored ?? 'the connection was given up')
  }

  /** Fetches the rest. `cause`: why it did not come before. */
  #fetch(cause: Error | undefined): void {
    this.#resume(cause).then(
      (source) => {
        source?.on('error', ignore)
        if (!this.#consumer) source?.destroy()
        else if (source === null) this.#complete()
        else {
          this.#source = source
          this.#options.readers.add(this)
          this.#consume(source)
        }
      },
      (error) => this.#fail(error),
    )
  }

  /** Null: there is no more. */
  async #resume(cause: Error | undefined): Promise<ObjectStream | null> {
    const { range, signal, reopen } = this.#options
    if (this.#closed) throw new Problem('InvalidArgument', 'the file was closed')
    if (this.#failures > MAX_RESUMPTIONS)
      throw new Problem('Unavailable', 'the content broke off again and again', { cause })
    this.#resuming = new AbortController()
    const stop = this.#resuming.signal
    try {
      const offset = range.offset + this.#received
      return await reopen(offset, either(signal, stop))
    } catch (error) {
      const { status } = analyse(error)
      throw status === 412 || status === 404 ? replacedMeanwhile(cause ?? error) : error
    }
  }
}

function ignore(): void {}
