import { readText } from '../../error-fields.js'
import { once } from '../../load.js'
import { type BucketAddress, pathOf } from './address.js'
import type { S3Config } from './config.js'
import { exchange, type HttpRequest, type HttpResponse } from './exchange.js'
import {
  attributeHeaders,
  contentMd5,
  copySource,
  R2_COPY_CREATE_ONLY,
  rangeHeader,
  stateOf,
  uploadHeaders,
} from './headers.js'
import {
  CONTENTS,
  completion,
  DELETED,
  deletion,
  PARTS,
  readDeletion,
  readError,
  readPage,
  readParts,
  readUploads,
  SETTINGS,
  settingOf,
} from './messages.js'
import type * as api from './object-api.js'
import { type Connections, openPool } from './pool.js'
import { notFromS3, S3Error } from './s3-error.js'
import type { Signer } from './signer.js'
import type { WriteHeaders } from './write-headers.js'
import { parseXml, textOf, type XmlDocument, type XmlElement } from './xml.js'
import type { RowShape } from './xml-rows.js'

/** A request of one verb, before it is signed. */
interface Request {
  readonly method: HttpRequest['method']
  readonly key?: string
  readonly query?: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array
  readonly streamed?: boolean
  /** Whether the server may take long before it answers. */
  readonly slow?: boolean
}

const NOTHING = {}

/** The object API by requests of our own: one signature, and one exchange over one pool of connections. */
export class HttpObjectApi implements api.ObjectApi {
  readonly #signer: Signer
  readonly #bucket: string
  readonly #address: BucketAddress
  /** Where signed addresses lead. */
  readonly #signingAddress: BucketAddress
  readonly #writeHeaders: WriteHeaders
  readonly #pool: () => Promise<Connections>

  constructor(address: BucketAddress, config: S3Config, signer: Signer) {
    this.#signer = signer
    this.#bucket = config.bucket
    this.#address = address
    this.#signingAddress = config.signingAddress ?? address
    this.#writeHeaders = config.writeHeaders
    this.#pool = once(() => openPool(address.origin, config))
  }

  async put(request: api.PutRequest, call: api.Call): Promise<api.Tagged> {
    const { key, bytes, md5, attributes, createOnly, ifMatch } = request
    const headers = this.#headersOf(attributes)
    if (md5 !== undefined) headers['content-md5'] = md5
    if (createOnly) headers['if-none-match'] = '*'
    if (ifMatch !== undefined) headers['if-match'] = ifMatch
    return tagOf(await this.#send({ method: 'PUT', key, headers, body: bytes }, call))
  }

  async get({ key, range, ifMatch }: api.GetRequest, call: api.Call): Promise<api.OpenObject> {
    const headers: Record<string, string> = {}
    if (range) headers.range = rangeHeader(range)
    if (ifMatch !== undefined) headers['if-match'] = ifMatch
    const response = await this.#send({ method: 'GET', key, headers, streamed: true }, call)
    const { stream: body, headers: answer } = response
    if (!body) throw notFromS3(response.status, answer)
    if (answer.etag === undefined) {
      body.on('error', () => {}).destroy()
      throw notFromS3(response.status, answer)
    }
    return { ...stateOf(answer), contentRange: answer['content-range'], body }
  }

  async head({ key }: api.KeyRequest, call: api.Call): Promise<api.ObjectState> {
    const response = await this.#send({ method: 'HEAD', key }, call)
    tagOf(response)
    return stateOf(response.headers)
  }

  async delete({ key }: api.KeyRequest, call: api.Call): Promise<void> {
    expectEmpty(await this.#send({ method: 'DELETE', key }, call))
  }

  async deleteMany(keys: readonly string[], call: api.Call): Promise<api.DeleteResult> {
    const body = Buffer.from(deletion(keys))
    const headers = { 'content-md5': contentMd5(body) }
    const request: Request = { method: 'POST', query: { delete: '' }, headers, body }
    return readDeletion(await this.#sendForXml(request, 'DeleteResult', call, DELETED))
  }

  async list({ prefix, shallow, after, token }: api.ListRequest, call: api.Call): Promise<api.ListPage> {
    // XML cannot carry every character of a key.
    const query: Record<string, string> = { 'list-type': '2', 'encoding-type': 'url', prefix }
    if (shallow) query.delimiter = '/'
    if (after !== undefined) query['start-after'] = after
    if (token !== undefined) query['continuation-token'] = token
    return readPage(await this.#sendForXml({ method: 'GET', query }, 'ListBucketResult', call, CONTENTS))
  }

  async copy(request: api.CopyRequest, call: api.Call): Promise<api.Tagged> {
    const { key, fromKey, attributes, ifMatch, createOnly } = request
    const headers = this.#headersOf(attributes)
    headers['x-amz-copy-source'] = copySource(this.#bucket, fromKey)
    headers['x-amz-metadata-directive'] = attributes ? 'REPLACE' : 'COPY'
    if (ifMatch !== undefined) headers['x-amz-copy-source-if-match'] = ifMatch
    if (createOnly) headers[R2_COPY_CREATE_ONLY] = '*'
    // The answer begins with 200 before the copy is done; whether it was done is in the body only.
    const sent = this.#sendForXml({ method: 'PUT', key, headers, slow: true }, 'CopyObjectResult', call)
    return { etag: fieldOf(await sent, 'ETag') }
  }

  async createUpload({ key, attributes }: api.CreateUploadRequest, call: api.Call): Promise<api.Upload> {
    const headers = this.#headersOf(attributes)
    const request: Request = { method: 'POST', key, query: { uploads: '' }, headers }
    const document = await this.#sendForXml(request, 'InitiateMultipartUploadResult', call)
    return { key, uploadId: fieldOf(document, 'UploadId') }
  }

  async uploadPart(request: api.UploadPartRequest, call: api.Call): Promise<api.Tagged> {
    const { key, uploadId, number, bytes } = request
    const query = { partNumber: String(number), uploadId }
    return tagOf(await this.#send({ method: 'PUT', key, query, body: bytes }, call))
  }

  async copyPart(request: api.CopyPartRequest, call: api.Call): Promise<api.CopiedPart> {
    const { key, uploadId, number, fromKey, range } = request
    const query = { partNumber: String(number), uploadId }
    const headers: Record<string, string> = { 'x-amz-copy-source': copySource(this.#bucket, fromKey) }
    if (range) headers['x-amz-copy-source-range'] = `bytes=${range.start}-${range.end}`
    const response = await this.#send({ method: 'PUT', key, query, headers, slow: true }, call)
    const document = await documentOf(response, 'CopyPartResult')
    const encryption = response.headers['x-amz-server-side-encryption']
    return { etag: fieldOf(document, 'ETag'), encryption }
  }

  async completeUpload(request: api.CompleteUploadRequest, call: api.Call): Promise<void> {
    const { key, uploadId, parts, createOnly } = request
    const headers = createOnly ? { 'if-none-match': '*' } : NOTHING
    const body = Buffer.from(completion(parts))
    // A server may put several parts together at length.
    const slow = parts.length > 1
    const sent = { method: 'POST', key, query: { uploadId }, headers, body, slow } as const
    const { root } = await this.#sendForXml(sent, 'CompleteMultipartUploadResult', call)
    if (root.children.length === 0) throw notFromS3(200)
  }

  async abortUpload({ key, uploadId }: api.Upload, call: api.Call): Promise<void> {
    expectEmpty(await this.#send({ method: 'DELETE', key, query: { uploadId } }, call))
  }

  async listParts({ key, uploadId, after }: api.ListPartsRequest, call: api.Call): Promise<api.PartPage> {
    const query: Record<string, string> = { uploadId }
    if (after !== undefined) query['part-number-marker'] = String(after)
    return readParts(await this.#sendForXml({ method: 'GET', key, query }, 'ListPartsResult', call, PARTS))
  }

  async listUploads(
    { prefix, after, plain }: api.ListUploadsRequest,
    call: api.Call,
  ): Promise<api.UploadPage> {
    const query: Record<string, string> = { uploads: '', prefix }
    if (!plain) query['encoding-type'] = 'url'
    if (after) {
      query['key-marker'] = after.key
      query['upload-id-marker'] = after.uploadId
    }
    return readUploads(await this.#sendForXml({ method: 'GET', query }, 'ListMultipartUploadsResult', call))
  }

  async getSetting(setting: api.BucketSetting, call: api.Call): Promise<XmlElement> {
    const request: Request = { method: 'GET', query: { [setting]: '' } }
    return (await this.#sendForXml(request, SETTINGS[setting], call)).root
  }

  async putSetting(setting: api.BucketSetting, rules: string, call: api.Call): Promise<void> {
    const body = Buffer.from(settingOf(setting, rules))
    const headers = { 'content-md5': contentMd5(body) }
    expectEmpty(await this.#send({ method: 'PUT', query: { [setting]: '' }, headers, body }, call))
  }

  async sign(request: api.SignRequest, signal: AbortSignal | undefined): Promise<api.SignedAddress> {
    const { method, key, expiresIn, signedAt } = request
    const query: Record<string, string> = {}
    let headers: Record<string, string> = NOTHING
    if ('part' in request) {
      query.partNumber = String(request.part.number)
      query.uploadId = request.part.uploadId
    } else if (request.method === 'PUT') {
      // Every client sends the length on its own; browsers let nobody else set it.
      headers = uploadHeaders(request.attributes, request.createOnly, this.#writeHeaders)
      headers['content-length'] = String(request.size)
    } else {
      const { contentDisposition, contentType } = request.respondWith
      if (contentDisposition !== undefined) query['response-content-disposition'] = contentDisposition
      if (contentType !== undefined) query['response-content-type'] = contentType
    }
    const found = this.#signer.credentials(signal)
    const credentials = found instanceof Promise ? await found : found
    const { origin, host } = this.#signingAddress
    const path = pathOf(this.#signingAddress, key)
    const signable = { method, host, path, query, headers }
    const signed = this.#signer.presigned(signable, credentials, signedAt, expiresIn)
    return { url: `${origin}${path}?${signed}`, endsAt: credentials.expiration }
  }

  /** The headers of a write. */
  #headersOf(attributes: api.ObjectAttributes | undefined): Record<string, string> {
    return Object.assign(attributes ? attributeHeaders(attributes) : {}, this.#writeHeaders)
  }

  /** Sends a request within its turn. Anything but a success is an error. */
  #send(request: Request, call: api.Call): Promise<HttpResponse> {
    const { method, key, query = NOTHING, headers = NOTHING, streamed = false, slow = false } = request
    const body = request.body ?? null
    const { signal } = call
    return call.take({ bytes: body?.byteLength ?? 0, slow }, async (turn) => {
      const pool = await this.#pool()
      const found = this.#signer.credentials(signal)
      const credentials = found instanceof Promise ? await found : found
      const { host } = this.#address
      const path = pathOf(this.#address, key)
      const signed = this.#signer.signed({ method, host, path, query, headers }, credentials)
      const sent: HttpRequest = {
        method,
        path: signed.query === '' ? path : `${path}?${signed.query}`,
        headers: signed.headers,
        body,
        streamed,
      }
      const response = await exchange(pool, sent, turn.timeout, signal).catch((cause: unknown) => {
        throw signal?.aborted ? cause : noAnswer(cause)
      })
      if (response.status >= 300) throw await readError(response.text, response.status, response.headers)
      response.stream?.onceArrived(turn.hold())
      return response
    })
  }

  /** The same where the success is a document. */
  async #sendForXml(
    request: Request,
    rootName: string,
    call: api.Call,
    shape?: RowShape,
  ): Promise<XmlDocument> {
    return documentOf(await this.#send(request, call), rootName, shape)
  }
}

/** A success may be of no S3 server, or an error that came after the status had been sent. */
async function documentOf(
  { text, status, headers }: HttpResponse,
  rootName: string,
  shape?: RowShape,
): Promise<XmlDocument> {
  const document = await parseXml(text, shape)
  if (document?.root.name === rootName) return document
  if (document?.root.name === 'Error') throw await readError(text, 500, headers)
  throw notFromS3(status, headers)
}

function fieldOf({ root }: XmlDocument, name: string): string {
  const text = textOf(root, name)
  if (!text) throw notFromS3(200)
  return text
}

/** The page of a proxy must not count as a delete. */
function expectEmpty({ text, status, headers }: HttpResponse): void {
  if (text !== '') throw notFromS3(status, headers)
}

/** The ETag, which no answer about an object lacks. */
function tagOf({ status, headers }: HttpResponse): api.Tagged {
  if (headers.etag === undefined) throw notFromS3(status, headers)
  return { etag: headers.etag }
}

function noAnswer(cause: unknown): S3Error {
  // Some errors of undici's parser have no code.
  const unparsed = readText(cause, 'name') === 'HTTPParserError' ? 'HPE_INVALID' : undefined
  return new S3Error('no answer came', { code: readText(cause, 'code') ?? unparsed, cause })
}
