import type { Staged, StageRequest } from '../../driver.js'
import { Problem } from '../../errors.js'
import { either } from '../../signals.js'
import { newWriteId, toObjectAttributes } from './attributes.js'
import type { S3Connection } from './connection.js'
import { isTaken } from './look.js'
import { uploadMultipart } from './multipart.js'
import type { ObjectAttributes } from './object-api.js'
import { PartReader, partSizeFor } from './parts.js'
import type { PublisherChoice } from './publishers/choose.js'

/** Stores contents: a small one by one request, a large one in parts. */
export class Writer {
  readonly #connection: S3Connection
  readonly #publishers: PublisherChoice

  constructor(connection: S3Connection, publishers: PublisherChoice) {
    this.#connection = connection
    this.#publishers = publishers
  }

  async stage(request: StageRequest): Promise<Staged> {
    const { body, signal, progress } = request
    const { config } = this.#connection
    const attributes = toObjectAttributes(request.attributes, config.cacheControl)
    const partSize = partSizeFor(body, config.partSize)
    if (body.bytes !== undefined && body.bytes.byteLength <= partSize) {
      progress(body.bytes.byteLength)
      return this.#stagedPut(body.bytes, attributes, signal)
    }
    const stop = new AbortController()
    const newReader = () => new PartReader(body.chunks(either(signal, stop.signal)), partSize)
    const parts = newReader()
    const bytes = body.bytes === undefined ? await parts.whole() : null
    if (bytes) {
      progress(bytes.byteLength)
      return this.#stagedPut(bytes, attributes, signal)
    }
    return this.#stagedUpload(request, { attributes, stop, first: parts, newReader })
  }

  #stagedPut(bytes: Uint8Array, attributes: ObjectAttributes, signal: AbortSignal | undefined): Staged {
    return {
      publish: async (name, createOnly) => {
        const write = { key: name, writeId: newWriteId(), createOnly, signal }
        return (await this.#publishers.forPut(write)).put({ ...write, bytes, attributes })
      },
      discard: async () => {},
    }
  }

  #stagedUpload({ body, signal, progress }: StageRequest, upload: StagedUpload): Staged {
    const connection = this.#connection
    const { attributes, stop, first, newReader } = upload
    let parts: PartReader | undefined
    return {
      publish: async (name, createOnly) => {
        if (createOnly && (await isTaken(connection, name, signal))) return false
        const write = { key: name, writeId: newWriteId(), createOnly, signal }
        // Chosen before the content is sent: a choice that fails afterwards would waste it.
        const publisher = await this.#publishers.get(write)
        parts = parts === undefined ? first : newReader()
        const published = await uploadMultipart(
          connection,
          { ...write, parts, stop, attributes, progress },
          (target, sent) => publisher.complete(write, target, sent),
        )
        if (published) return true
        if (body.replayable) return false
        throw new Problem(
          'AlreadyExists',
          'the name was taken while the stream was uploaded; nothing was overwritten, but a stream cannot be sent again',
        )
      },
      discard: () => (parts ?? first).stop(),
    }
  }
}

interface StagedUpload {
  readonly attributes: ObjectAttributes
  readonly stop: AbortController
  /** Has read the beginning of the content. */
  readonly first: PartReader
  newReader(): PartReader
}
