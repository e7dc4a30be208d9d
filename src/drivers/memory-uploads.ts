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
import { hasMark, withMark } from './upload-mark.js'

interface MemoryUpload {
  readonly name: Name
  readonly attributes: Attributes
  readonly parts: Map<number, { readonly etag: string; readonly bytes: Buffer }>
  changedAt: number
  /** The completion that publishes it now. */
  publication?: Promise<void> | undefined
}

/** The attributes of a file. */
type Find = (name: Name) => Attributes | undefined

/** Direct uploads in a `Map`. */
export class MemoryUploads implements UploadDriver {
  readonly receiver: PartReceiver
  readonly #uploads = new Map<string, MemoryUpload>()
  readonly #signer: LocalSigner
  readonly #stage: Stage
  readonly #find: Find

  constructor(signer: LocalSigner, stage: Stage, find: Find) {
    this.#signer = signer
    this.#stage = stage
    this.#find = find
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
    let end = () => {}
    const claim = {
      take: async () => {
        while (upload.publication) await upload.publication
        if (!this.#uploads.has(id)) throw noSuchUpload()
        upload.publication = new Promise((resolve) => {
          end = resolve
        })
      },
      giveBack: async () => {
        upload.publication = undefined
        end()
      },
      remove: async () => {
        this.#uploads.delete(id)
        upload.publication = undefined
        end()
      },
    }
    return {
      size: bytes.byteLength,
      contentType: upload.attributes.contentType,
      sample: async () => bytes.subarray(0, SAMPLE_BYTES),
      stage: async (contentType) => {
        const attributes = withMark({ ...upload.attributes, contentType }, request)
        const staged = await this.#stage({ name, body: ofBytes(bytes), attributes, signal, progress() {} })
        return claimed(staged, claim)
      },
      discard: async () => {
        this.#uploads.delete(id)
      },
    }
  }

  async isPublished(request: UploadRequest, as: Name): Promise<boolean> {
    const attributes = this.#find(as)
    return attributes !== undefined && hasMark(attributes, request)
  }

  async abort(request: UploadRequest): Promise<void> {
    this.#get(request)
    this.#uploads.delete(request.id)
  }

  /** Discards the uploads without a change since a time. Returns their number. */
  sweep(before: Date): number {
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
