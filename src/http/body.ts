import type { StoredFile } from '../stored-file.js'

/** The content of a file for a `Response`. A client that leaves cancels the stream, which frees everything. */
export function bodyOf(file: StoredFile): ReadableStream {
  let reader: AsyncIterator<Uint8Array> | undefined
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        reader ??= file.stream()[Symbol.asyncIterator]()
        const { done, value } = await reader.next()
        if (done) controller.close()
        else controller.enqueue(value)
      },
      async cancel() {
        await reader?.return?.()
        await file.close()
      },
    },
    { highWaterMark: 0 },
  )
}
