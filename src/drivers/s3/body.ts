import { Readable } from 'node:stream'
import { Problem, toError } from '../../errors.js'
import { either } from '../../signals.js'
import type { DeliveredRange, OpenBody } from '../../stored-file.js'
import { clearInterval, clearTimeout, setInterval, setTimeout } from '../../timers.js'
import { analyse } from './failures.js'

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

/** Opens the rest of an object from an offset on, in the version that was opened; null at its end. */
type Reopen = (offset: number, signal: AbortSignal) => Promise<Readable | null>

/**
 * The body of an object. Where the connection breaks, reading goes on from there, in the same version of the object. A
 * reader that rests for long gives its connection back, and gets another when it goes on.
 */
export class ObjectBody implements OpenBody {
  readonly unreadTimeout: number
  readonly #range: DeliveredRange
  readonly #reopen: Reopen
  readonly #signal: AbortSignal | undefined
  /** Bytes that must come in each `unreadTimeout`, while the reader wants them. */
  readonly #leastBytes: number
  #source: Readable
  #received = 0
  #failures = 0
  #closed = false
  /** Stops a request for the rest. */
  #resuming: AbortController | undefined
  /** Whether the reader has enough for now. */
  #paused = false
  /** Fetches the rest, after the source was lost while the reader had enough. */
  #recover: (() => void) | undefined

  constructor(
    source: Readable,
    range: DeliveredRange,
    reopen: Reopen,
    signal: AbortSignal | undefined,
    unreadTimeout: number,
  ) {
    this.unreadTimeout = unreadTimeout
    this.#leastBytes = (LEAST_BYTES_PER_SECOND * unreadTimeout) / 1000
    this.#source = source
    this.#range = range
    this.#reopen = reopen
    this.#signal = signal
    source.on('error', ignore) // An unread body may fail, too, when its connection is given up.
  }

  bytes(): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const { length } = this.#range
      const bytes = Buffer.allocUnsafe(length)
      let filled = 0
      this.#consume({
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
    const unread = setTimeout(() => this.#source.destroy(), this.unreadTimeout).unref()
    const stream: Readable = new Readable({
      read: () => {
        if (started) return this.#wake()
        started = true
        clearTimeout(unread)
        this.#consume({
          data: (chunk) => stream.push(chunk),
          end: () => stream.push(null),
          error: (error) => stream.destroy(toError(error)),
        })
      },
      destroy: (error, done) => {
        clearTimeout(unread)
        this.close().then(() => done(error))
      },
    })
    return stream
  }

  /** The reader wants more. */
  #wake(): void {
    this.#paused = false
    if (this.#recover) this.#recover()
    else this.#source.resume()
  }

  /** Passes on exactly the bytes of the range. */
  #consume(to: Consumer): void {
    const source = this.#source
    const { length } = this.#range
    const begun = this.#received
    let over = false
    const leave = () => {
      over = true
      clearInterval(watch)
      source.destroy()
    }
    const finish = () => {
      leave()
      this.#recover = undefined
      this.#signal?.removeEventListener('abort', onAbort)
    }
    const complete = () => {
      finish()
      to.end()
    }
    const onAbort = () => {
      finish()
      to.error(this.#signal?.reason)
    }
    const recover = (error: unknown) => {
      finish()
      this.#resume(error).then(
        (more) => (more ? this.#consume(to) : to.end()),
        (cause) => to.error(cause),
      )
    }
    // A slow reader may lose its connection; it gets another when it wants more.
    const rest = (error: unknown) => {
      leave()
      this.#recover = () => recover(error)
    }
    // Every body ends here. An `Error` is made only where bytes are missing: its stack takes longer than a small body.
    const broken = (reason: unknown) => {
      if (over) return
      if (this.#received === length) return complete() // Nothing is missing but the end itself.
      const error = toError(reason)
      this.#failures += 1
      if (this.#paused && !this.#closed) rest(error)
      else recover(error)
    }
    let seen = begun
    let rested = false
    // No idle time-out ends a body that trickles. A period in which the reader rested is not judged.
    const watch = setInterval(() => {
      const came = this.#received - seen
      if (this.#paused && came === 0) rest(new Error('the reader rested'))
      else if (!rested && came < this.#leastBytes) broken('the content comes too slowly')
      seen = this.#received
      rested = this.#paused
    }, this.unreadTimeout).unref()
    source.on('data', (chunk: Uint8Array) => {
      if (over) return
      const missing = length - this.#received
      const wanted = chunk.byteLength > missing ? chunk.subarray(0, missing) : chunk
      this.#received += wanted.byteLength
      if (this.#received - begun >= this.#leastBytes) this.#failures = 0
      if (wanted.byteLength > 0 && !to.data(wanted)) {
        this.#paused = true
        rested = true
        source.pause()
      }
      if (wanted.byteLength < chunk.byteLength) complete()
    })
    source.on('end', () => broken('the body ended early'))
    source.on('error', broken)
    source.on('close', () => broken('the connection was closed'))
    this.#signal?.addEventListener('abort', onAbort, { once: true })
    if (this.#signal?.aborted) onAbort()
    else if (source.destroyed) broken(source.errored ?? 'the connection was given up')
  }

  /** False: there is no more. */
  async #resume(error: unknown): Promise<boolean> {
    if (this.#closed) throw new Problem('Aborted', 'the file was closed while it was read')
    if (this.#failures > MAX_RESUMPTIONS)
      throw new Problem('Unavailable', 'the content broke off again and again', { cause: error })
    this.#resuming = new AbortController()
    const { signal } = this.#resuming
    try {
      const source = await this.#reopen(this.#range.offset + this.#received, either(this.#signal, signal))
      if (source === null) return false
      this.#source = source.on('error', ignore)
      if (this.#closed) source.destroy()
      return true
    } catch (cause) {
      const { status } = analyse(cause)
      if (status === 412 || status === 404) {
        throw new Problem(
          'Unavailable',
          'the connection broke, and the file was replaced or deleted meanwhile',
          { cause: error },
        )
      }
      throw cause
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#source.destroy()
    this.#resuming?.abort()
    this.#recover?.()
  }
}

function ignore(): void {}
