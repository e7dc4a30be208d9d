import type { Body } from '../../content.js'
import { crypto } from '../../crypto.js'
import type { Name } from '../../names.js'
import type {
  CompletedUpload,
  CompleteUploadRequest,
  CreateUploadRequest,
  PartReceiver,
  SignPartRequest,
  StorePartRequest,
  UploadDriver,
  UploadedPart,
  UploadRequest,
} from '../../upload-driver.js'
import { SAMPLE_BYTES } from '../../uploads.js'
import { claimed, type Stage } from '../claimed-upload.js'
import type { LocalSigner } from '../local-signer.js'
import { hasMark, withMark } from '../upload-mark.js'
import type { Context } from './context.js'
import { readPart, writePart } from './part-file.js'
import type { Reader } from './reader.js'
import { UploadFolder } from './upload-folder.js'

/** Direct uploads: a folder each, out of sight, until the parts are put together as the content of a save. */
export class FileSystemUploads implements UploadDriver {
  readonly receiver: PartReceiver
  readonly #context: Context
  readonly #signer: LocalSigner
  readonly #stage: Stage
  readonly #reader: Reader

  constructor(context: Context, signer: LocalSigner, reader: Reader, stage: Stage) {
    this.#context = context
    this.#signer = signer
    this.#reader = reader
    this.#stage = stage
    this.receiver = {
      verify: (address) => signer.verifyPart(address),
      store: (request) => this.#store(request),
    }
  }

  async create({ name, attributes }: CreateUploadRequest): Promise<string> {
    const id = crypto().randomBytes(16).toString('base64url')
    await new UploadFolder(this.#context, id).create({ name, attributes })
    return id
  }

  async list(request: UploadRequest): Promise<readonly UploadedPart[]> {
    return (await this.#open(request)).folder.list()
  }

  async signPart(request: SignPartRequest): Promise<string> {
    await this.#open(request)
    return this.#signer.signPart(request)
  }

  async complete(request: CompleteUploadRequest): Promise<CompletedUpload> {
    const { name, parts, signal } = request
    const { folder, attributes } = await this.#open(request)
    const body = bodyOf(folder, parts)
    return {
      size: parts.reduce((sum, { size }) => sum + size, 0),
      contentType: attributes.contentType,
      sample: () => sampleOf(folder, parts),
      stage: async (contentType) => {
        const marked = withMark({ ...attributes, contentType }, request)
        return claimed(
          await this.#stage({ name, body, attributes: marked, signal, progress() {} }),
          folder.claim,
        )
      },
      discard: () => folder.remove(),
    }
  }

  async isPublished(request: UploadRequest, as: Name): Promise<boolean> {
    const found = await this.#reader.describe(as)
    return found !== null && hasMark(found.attributes, request)
  }

  async abort(request: UploadRequest): Promise<void> {
    await (await this.#open(request)).folder.remove()
  }

  async #store(request: StorePartRequest): Promise<string> {
    const { number, body, signal } = request
    const { folder } = await this.#open(request)
    const { path, etag } = await writePart(this.#context, body, signal)
    await folder.put(path, number)
    return etag
  }

  async #open({ id, name }: UploadRequest) {
    const folder = new UploadFolder(this.#context, id)
    const { attributes } = await folder.read(name)
    return { folder, attributes }
  }
}

function bodyOf(folder: UploadFolder, parts: readonly UploadedPart[]): Body {
  return {
    size: parts.reduce((sum, { size }) => sum + size, 0),
    bytes: undefined,
    replayable: true,
    async *chunks(signal) {
      for (const part of parts) {
        for await (const chunk of readPart(folder.pathOf(part.number), part)) {
          signal?.throwIfAborted()
          yield chunk
        }
      }
    },
  }
}

async function sampleOf(folder: UploadFolder, parts: readonly UploadedPart[]): Promise<Buffer> {
  const chunks: Buffer[] = []
  let left = SAMPLE_BYTES
  for (const part of parts) {
    for await (const chunk of readPart(folder.pathOf(part.number), part, left)) {
      chunks.push(chunk)
      left -= chunk.byteLength
    }
    if (left <= 0) break
  }
  return Buffer.concat(chunks)
}
