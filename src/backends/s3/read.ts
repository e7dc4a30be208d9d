import { Readable } from 'node:stream'
import type { GetObjectCommandOutput } from '@aws-sdk/client-s3'
import { Problem } from '../../errors.js'
import type { DeliveredRange, OpenBody } from '../../stored-file.js'
import type { ByteRange } from '../../types.js'
import type { S3Connection } from './connection.js'
import { analyse } from './failures.js'

/** How often in a row a body may break off without a byte in between. */
const MAX_RESUMPTIONS = 5

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
  const { output, stream } = await getObject(connection, key, range && toHeader(range), undefined, signal)
  try {
    const { size, delivered } = toDelivered(output, range)
    const reopen = async (offset: number) => {
      const rest = toHeader({ offset, length: delivered.offset + delivered.length - offset })
      return (await getObject(connection, key, rest, output.ETag, signal)).stream
    }
    return { output, size, range: delivered, body: new ObjectBody(stream, delivered, reopen, signal) }
  } catch (error) {
    stream.destroy()
    throw error
  }
}

async function getObject(
  connection: S3Connection,
  key: string,
  Range: string | undefined,
  IfMatch: string | undefined,
  signal: AbortSignal | undefined,
): Promise<{ output: GetObjectCommandOutput; stream: Readable }> {
  const input = {
    Bucket: connection.config.bucket,
    Key: key,
    ...(Range && { Range }),
    ...(IfMatch && { IfMatch }),
  }
  const output = await connection.run(signal, ({ client, sdk, options }) =>
    client.send(new sdk.GetObjectCommand(input), options),
  )
  if (output.Body instanceof Readable) return { output, stream: output.Body }
  throw new Problem('Unavailable', 'the answer is none of an S3 server: check the endpoint')
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
  const expected = range.offset < 0 ? Math.max(0, size + range.offset) : range.offset
  if (!match || offset !== expected || end - offset + 1 !== ContentLength) {
    throw new Problem('Corrupt', 'the server delivers another range than was asked for')
  }
  return { size, delivered: { offset, length: Math.min(ContentLength, range.length ?? ContentLength) } }
}

/** The body of an object. Where the connection breaks, reading goes on from there, in the same version of the object. */
class ObjectBody implements OpenBody {
  readonly #range: DeliveredRange
  readonly #reopen: (offset: number) => Promise<Readable>
  readonly #signal: AbortSignal | undefined
  #source: Readable
  #received = 0
  #failures = 0
  #ended = false

  constructor(
    source: Readable,
    range: DeliveredRange,
    reopen: (offset: number) => Promise<Readable>,
    signal: AbortSignal | undefined,
  ) {
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
        end: () => resolve(bytes),
        error: reject,
      })
    })
  }

  stream(): Readable {
    const source = () => this.#source
    let started = false
    const stream: Readable = new Readable({
      read: () => {
        if (started) source().resume()
        else {
          started = true
          this.#consume({
            data: (chunk) => stream.push(chunk),
            end: () => stream.push(null),
            error: (e) => stream.destroy(toError(e)),
          })
        }
      },
      destroy: (error, done) => {
        this.close().then(() => done(error))
      },
    })
    return stream
  }

  /** Passes on what is expected, no less and no more; `data` answers false to be asked later. */
  #consume(to: { data(chunk: Uint8Array): boolean; end(): void; error(error: unknown): void }): void {
    const source = this.#source
    const { length } = this.#range
    let over = false
    const finish = (then: () => void) => {
      if (over) return
      over = true
      this.#signal?.removeEventListener('abort', onAbort)
      then()
    }
    const onAbort = () => source.destroy(toError(this.#signal?.reason))
    const broken = (error: unknown) => {
      finish(() => {
        if (this.#ended) return
        if (this.#signal?.aborted) return to.error(this.#signal.reason)
        this.#resume(error).then(
          () => this.#consume(to),
          (cause) => to.error(cause),
        )
      })
    }
    source.on('data', (chunk: Uint8Array) => {
      if (over) return
      const wanted =
        chunk.byteLength > length - this.#received ? chunk.subarray(0, length - this.#received) : chunk
      this.#received += wanted.byteLength
      this.#failures = 0
      const more = wanted.byteLength === 0 || to.data(wanted)
      if (this.#received === length && wanted.byteLength < chunk.byteLength) complete()
      else if (!more) source.pause()
    })
    const complete = () =>
      finish(() => {
        this.#ended = true
        source.destroy()
        to.end()
      })
    source.on('end', () =>
      this.#received === length ? complete() : broken(new Error('the body ended early')),
    )
    source.on('error', broken)
    source.on('close', () => broken(new Error('the connection was closed')))
    this.#signal?.addEventListener('abort', onAbort, { once: true })
    if (this.#signal?.aborted) onAbort()
    if (source.destroyed) broken(source.errored)
  }

  async #resume(error: unknown): Promise<void> {
    this.#source.destroy()
    this.#failures += 1
    if (this.#failures > MAX_RESUMPTIONS || this.#ended)
      throw new Problem('Unavailable', 'the content broke off again and again', { cause: error })
    try {
      this.#source = await this.#reopen(this.#range.offset + this.#received)
      this.#source.on('error', ignore)
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
    this.#ended = true
    this.#source.destroy()
  }
}

function ignore(): void {}

function toError(value: unknown): Error {
  return value instanceof Error ? value : new Error(String(value), { cause: value })
}
