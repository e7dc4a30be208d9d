import { Problem } from '../../errors.js'
import { either } from '../../signals.js'
import { marked } from './attributes.js'
import { orAborted, withinASecond } from './bounds.js'
import type { S3Connection } from './connection.js'
import type { CreateUploadRequest, ObjectAttributes, Part, Upload } from './object-api.js'
import { type ContentPart, MAX_PARTS, type PartReader } from './parts.js'
import type { MarkedWrite } from './write-once.js'

/** A content that is larger than a part. */
export interface MultipartWrite extends MarkedWrite {
  readonly parts: PartReader
  readonly attributes: ObjectAttributes
  /** Stops the source's reader, too. */
  readonly stop: AbortController
  progress(bytes: number): void
}

/** Publishes an upload. False: create-only, and the name is taken. */
export type Complete = (upload: Upload, parts: readonly Part[]) => Promise<boolean>

/** Uploads a content in parts. False: the name was taken at the end. On any failure no part is left. */
export async function uploadMultipart(
  connection: S3Connection,
  write: MultipartWrite,
  complete: Complete,
): Promise<boolean> {
  return inUpload(connection, write, write.attributes, async (upload) =>
    complete(upload, await uploadParts(connection, write, upload)),
  )
}

/** Creates an upload, and aborts it unless `work` has completed it. */
export async function inUpload(
  connection: S3Connection,
  write: MarkedWrite,
  attributes: ObjectAttributes,
  work: (upload: Upload) => Promise<boolean>,
): Promise<boolean> {
  const { api } = connection
  const request = { key: write.key, attributes: marked(attributes, write.writeId) }
  const upload = await createUpload(connection, request, write.signal)
  let completed = false
  try {
    completed = await work(upload)
    return completed
  } finally {
    // Parts that are left cost money until the bucket's lifecycle rule takes them, so it is worth a moment.
    if (!completed) await withinASecond(connection.attemptQuietly((call) => api.abortUpload(upload, call)))
  }
}

/**
 * Creates an upload. After an abort the answer is waited for, for a moment: the server may have begun the upload, and
 * only its id can abort it.
 */
export async function createUpload(
  connection: S3Connection,
  request: CreateUploadRequest,
  signal: AbortSignal | undefined,
): Promise<Upload> {
  signal?.throwIfAborted()
  const { api } = connection
  const stop = new AbortController()
  const creating = connection.run(stop.signal, (call) => api.createUpload(request, call))
  try {
    return await orAborted(creating, signal)
  } catch (error) {
    const undone = creating.then((upload) =>
      connection.attemptQuietly((call) => api.abortUpload(upload, call)),
    )
    await withinASecond(undone)
    stop.abort(error)
    throw error
  }
}

async function uploadParts(
  connection: S3Connection,
  { parts, signal, stop, progress }: MultipartWrite,
  upload: Upload,
): Promise<Part[]> {
  const completed: Part[] = []
  const running = new Set<Promise<void>>()
  const ended = either(signal, stop.signal)
  let failure: { readonly error: unknown } | undefined
  let bytes = 0
  const fail = (error: unknown) => {
    failure ??= { error }
    stop.abort(error)
  }
  const send = async (part: ContentPart, number: number) => {
    const request = { ...upload, number, bytes: part.bytes }
    const { etag } = await connection.run(ended, (call) => connection.api.uploadPart(request, call))
    completed[number - 1] = { number, etag }
    bytes += part.bytes.byteLength
    part.release()
    progress(bytes)
  }
  try {
    for (let number = 1; failure === undefined; number++) {
      const part = await parts.next()
      if (part === null) break
      if (number > MAX_PARTS) {
        throw new Problem(
          'InvalidArgument',
          `the stream is longer than ${MAX_PARTS} parts: set a larger partSize on the storage`,
        )
      }
      const task = send(part, number).catch(fail)
      running.add(task)
      void task.finally(() => running.delete(task))
      if (running.size >= connection.config.uploadConcurrency) await Promise.race(running)
    }
  } catch (error) {
    fail(error)
  }
  await Promise.all(running)
  if (failure !== undefined) throw failure.error
  return completed
}
