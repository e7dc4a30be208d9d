import { Readable } from 'node:stream'
import type { GetObjectCommandOutput } from '@aws-sdk/client-s3'
import { Problem } from '../../errors.js'
import type { DeliveredRange, OpenBody } from '../../stored-file.js'
import type { ByteRange } from '../../types.js'
import type { S3Connection } from './connection.js'
import { analyse, expectETag, NoS3Answer, readHeader } from './failures.js'

/** How often in a row a body may break off with hardly a byte in between. */
const MAX_RESUMPTIONS = 5
/** A body that comes more slowly than this is given up, and fetched over another connection from there on. */
const LEAST_BYTES_PER_SECOND = 1024

export interface OpenedObject {
  readonly output: GetObjectCommandOutput
  readonly size: number
  readonly range: DeliveredRange
  readonly body: OpenBody
}

/** Gets an object, or a range of it that is not empty. */
export async function openObject(
  connection: S3Connection,
  key: string,
  range: ByteRange | undefined,
  signal: AbortSignal | undefined,
): Promise<OpenedObject> {
  const { output, stream, size, delivered } = await getObject(connection, key, range, undefined, signal)
  const reopen = async (offset: number) => {
    const rest = { offset, length: delivered.offset + delivered.length - offset }
    return (await getObject(connection, key, rest, output.ETag, signal)).stream
  }
  const { idleTimeout } = connection.config
  return {
    output,
    size,
    range: delivered,
    body: new ObjectBody(stream, delivered, reopen, signal, idleTimeout),
  }
}

async function getObject(
  connection: S3Connection,
  key: string,
  range: ByteRange | undefined,
  IfMatch: string | undefined,
  signal: AbortSignal | undefined,
) {
  const input = {
    Bucket: connection.config.bucket,
    Key: key,
    ...(range && { Range: toHeader(range) }),
    ...(IfMatch && { IfMatch }),
  }
  return connection.run(signal, async ({ send, sdk }) => {
    const output = await send(new sdk.GetObjectCommand(input))
    const stream = output.Body
    if (!(stream instanceof Readable)) throw new NoS3Answer()
    try {
      return { output: expectETag(output), stream, ...toDelivered(output, range) }
    } catch (error) {
      stream.on('error', ignore).destroy()
      throw error
    }
  })
}

/** RFC 9110 §14.1.2. A suffix takes no length: what is too much is not read. */
function toHeader({ offset, length }: ByteRange): string {
  if (offset < 0) return `bytes=${offset}`
  return `bytes=${offset}-${length === undefined ? '' : offset + length - 1}`
}

/** What the server delivers, which must be what was asked for: some ignore ranges. */
function toDelivered(output: GetObjectCommandOutput, range: ByteRange | undefined) {
  const { ContentLength, ContentRange } = output
  if (ContentLength === undefined)
    throw new Problem('Corrupt', 'the server does not tell the length of the file')
  if (range === undefined) return { size: ContentLength, delivered: { offset: 0, length: ContentLength } }
  const match = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(ContentRange ?? '')
  const [offset, end, size] = [Number(match?.[1]), Number(match?.[2]), Number(match?.[3])]
  // The two lengths of one answer differ: somebody on the way is wrong.
  if (match && end - offset + 1 !== ContentLength) throw new NoS3Answer()
  const expected = range.offset < 0 ? Math.max(0, size + range.offset) : range.offset
  if (!match || offset !== expected) {
    throw new Problem('Corrupt', 'the server delivers another range than was asked for')
  }
  return { size, delivered: { offset, length: Math.min(ContentLength, range.length ?? ContentLength) } }
}

interface Consumer {
  /** Answers whether it wants more now. */
  data(chunk: Uint8Array): boolean
  end(): void
  error(error: unknown): void
}

/** The body of an object. Where the connection breaks, reading goes on from there, in the same version of the object. */
class ObjectBody implements OpenBody {
  readonly unreadTimeout: number
  readonly #range: DeliveredRange
  readonly #reopen: (offset: number) => Promise<Readable>
  readonly #signal: AbortSignal | undefined
  /** What is to come in each `unreadTimeout`, while the reader wants it. */
  readonly #leastBytes: number
  #source: Readable
  #received = 0
  #failures = 0
  #ended = false
  /** Whether the reader has enough for now. */
  #paused = false
  /** Goes on after a break that came while the reader had enough. */
  #recover: (() => void) | undefined

  constructor(
    source: Readable,
    range: DeliveredRange,
    reopen: (offset: number) => Promise<Readable>,
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
    const stream: Readable = new Readable({
      read: () => {
        if (started) return this.#wake()
        started = true
        this.#consume({
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

  /** The reader wants more. */
  #wake(): void {
    const recover = this.#recover
    this.#paused = false
    this.#recover = undefined
    if (recover) recover()
    else this.#source.resume()
  }

  /** Passes on what is expected, no less and no more. */
  #consume(to: Consumer): void {
    const source = this.#source
    const { length } = this.#range
    const begun = this.#received
    let over = false
    const finish = () => {
      over = true
      clearInterval(watch)
      this.#signal?.removeEventListener('abort', onAbort)
    }
    const complete = () => {
      finish()
      this.#ended = true
      source.destroy()
      to.end()
    }
    const broken = (error: unknown) => {
      if (over) return
      finish()
      if (this.#ended) return
      if (this.#signal?.aborted) return to.error(this.#signal.reason)
      if (this.#received === length) return complete() // Nothing is missing but the end itself.
      const recover = () => {
        this.#resume(error).then(
          (more) => (more ? this.#consume(to) : to.end()),
          (cause) => to.error(cause),
        )
      }
      // A slow reader may lose its connection; it gets another when it wants more.
      if (this.#paused) this.#recover = recover
      else recover()
    }
    const onAbort = () => source.destroy(toError(this.#signal?.reason))
    let seen = begun
    let rested = false
    // No idle time-out ends a body of which a byte comes now and then. What the reader lets wait is not judged.
    const watch = setInterval(() => {
      if (!rested && this.#received - seen < this.#leastBytes) {
        source.destroy(new Error('the content comes too slowly'))
      }
      seen = this.#received
      rested = this.#paused
    }, this.unreadTimeout)
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
    source.on('end', () => {
      if (over) return
      if (this.#received === length) complete()
      else broken(new Error('the body ended early'))
    })
    source.on('error', broken)
    source.on('close', () => broken(new Error('the connection was closed')))
    this.#signal?.addEventListener('abort', onAbort, { once: true })
    if (this.#signal?.aborted) onAbort()
    else if (source.destroyed) broken(source.errored ?? new Error('the connection was given up'))
  }

  /** False: there is no more. */
  async #resume(error: unknown): Promise<boolean> {
    this.#source.destroy()
    this.#failures += 1
    if (this.#failures > MAX_RESUMPTIONS || this.#ended)
      throw new Problem('Unavailable', 'the content broke off again and again', { cause: error })
    try {
      this.#source = await this.#reopen(this.#range.offset + this.#received)
      this.#source.on('error', ignore)
      return true
    } catch (cause) {
      const { status } = analyse(cause)
      // In this version of the file there is nothing where it should go on: what was announced at first was too long.
      // Where the answer tells the size (Ceph's does not), it must be what is here.
      const told = readHeader(cause, 'content-range')
      if (status === 416 && (told === '' || told === `bytes */${this.#range.offset + this.#received}`)) {
        this.#ended = true
        return false
      }
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
    this.#ended = true
    this.#source.destroy()
  }
}

function ignore(): void {}

function toError(value: unknown): Error {
  return value instanceof Error ? value : new Error(String(value), { cause: value })
}
