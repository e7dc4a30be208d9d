import { ofBytes } from '../content.js'
import { crypto } from '../crypto.js'
import type { Name } from '../names.js'
import type { Attributes } from '../types.js'
import {
  type CompletedUpload,
  type CompleteUploadRequest,
  type CreateUploadRequest,
  noSuchUpload,
  type PartReceiver,
  partReplaced,
  type SignPartRequest,
  type StorePartRequest,
  type UploadDriver,
  type UploadedPart,
  type UploadRequest,
} from '../upload-driver.js'
import { SAMPLE_BYTES } from '../uploads.js'
import { claimed, type Stage } from './claimed-upload.js'
import type { LocalSigner } from './local-signer.js'

interface MemoryUpload {
  readonly name: Name
  readonly attributes: Attributes
  readonly parts: Map<number, { readonly etag: string; readonly bytes: Buffer }>
  changedAt: number
}

/** Direct uploads in a `Map`. */
export class MemoryUploads implements UploadDriver {
  readonly receiver: PartReceiver
  readonly #uploads = new Map<string, MemoryUpload>()
  readonly #signer: LocalSigner
  readonly #stage: Stage

  constructor(signer: LocalSigner, stage: Stage) {
    this.#signer = signer
    this.#stage = stage
    this.receiver = {
      verify: (address) => signer.verifyPart(address),
      store: (request) => this.#store(request),
    }
  }

  async create({ name, attributes }: CreateUploadRequest): Promise<string> {
    const id = crypto().randomBytes(16).toString('base64url')
    this.#uploads.set(id, { name, attributes, parts: new Map(), changedAt: Date.now() })
    return id
  }

  async list(request: UploadRequest): Promise<readonly UploadedPart[]> {
    return [...this.#get(request).parts]
      .map(([number, { etag, bytes }]) => ({ number, etag, size: bytes.byteLength }))
      .sort((a, b) => a.number - b.number)
  }

  async signPart(request: SignPartRequest): Promise<string> {
    this.#get(request)
    return this.#signer.signPart(request)
  }

  async complete(request: CompleteUploadRequest): Promise<CompletedUpload> {
    const { id, name, signal } = request
    const upload = this.#get(request)
    const parts = request.parts.map(({ number, etag }) => {
      const part = upload.parts.get(number)
      if (part?.etag !== etag) throw partReplaced()
      return part.bytes
    })
    const bytes = Buffer.concat(parts)
    const claim = {
      take: async () => {
        if (!this.#uploads.delete(id)) throw noSuchUpload()
      },
      giveBack: async () => {
        this.#uploads.set(id, upload)
      },
      remove: async () => {},
    }
    return {
      size: bytes.byteLength,
      contentType: upload.attributes.contentType,
      sample: async () => bytes.subarray(0, SAMPLE_BYTES),
      stage: async (contentType) => {
        const attributes = { ...upload.attributes, contentType }
        const staged = await this.#stage({ name, body: ofBytes(bytes), attributes, signal, progress() {} })
        return claimed(staged, claim)
      },
      discard: async () => {
        this.#uploads.delete(id)
      },
    }
  }

  async abort(request: UploadRequest): Promise<void> {
    this.#get(request)
    this.#uploads.delete(request.id)
  }

  async sweep(before: Date): Promise<number> {
    const stale = [...this.#uploads].filter(([, { changedAt }]) => changedAt < before.getTime())
    for (const [id] of stale) this.#uploads.delete(id)
    return stale.length
  }

  async #store(request: StorePartRequest): Promise<string> {
    const { number, body, signal } = request
    this.#get(request)
    const chunks: Uint8Array[] = []
    for await (const chunk of body.chunks(signal)) chunks.push(chunk)
    const bytes = Buffer.concat(chunks)
    const etag = `"${crypto().createHash('md5').update(bytes).digest('hex')}"`
    // It may be gone by now.
    const upload = this.#get(request)
    upload.parts.set(number, { etag, bytes })
    upload.changedAt = Date.now()
    return etag
  }

  #get({ id, name }: UploadRequest): MemoryUpload {
    const upload = this.#uploads.get(id)
    if (upload?.name !== name) throw noSuchUpload()
    return upload
  }
}
