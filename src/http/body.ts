import type { Readable } from 'node:stream'
import type { StoredFile } from '../stored-file.js'

/** Bytes up to which a file is read at once: cheaper than a stream. */
const SMALL = 256 * 1024

/** The content of a file for a `Response`. A client that leaves cancels the stream, which frees everything. */
export async function bodyOf(file: StoredFile): Promise<Uint8Array<ArrayBuffer> | ReadableStream | null> {
  if (file.range.length === 0) {
    await file.close()
    return null
  }
  if (file.range.length <= SMALL) return Buffer.from(await file.arrayBuffer())
  return lazily(
    () => file.stream(),
    () => file.close(),
  )
}

const nodeStreams = new WeakMap<ReadableStream, () => Readable>()

/** The Node stream behind a body that nobody has read yet: it spares the listener a conversion there and back. */
export function nodeStreamOf(body: ReadableStream): Readable | undefined {
  return nodeStreams.get(body)?.()
}

function lazily(open: () => Readable, close: () => Promise<void>): ReadableStream {
  let reader: AsyncIterator<Uint8Array> | undefined
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        reader ??= open()[Symbol.asyncIterator]()
        const { done, value } = await reader.next()
        if (done) controller.close()
        else controller.enqueue(value)
      },
      async cancel() {
        await reader?.return?.()
        await close()
      },
    },
    { highWaterMark: 0 },
  )
  nodeStreams.set(body, open)
  return body
}
