import { Readable } from 'node:stream'
import type { S3Client, ServiceInputTypes, ServiceOutputTypes } from '@aws-sdk/client-s3'
import { once } from '../../load.js'
import type { S3Config } from './config.js'
import { contentMd5, copySource, R2_COPY_CREATE_ONLY, rangeHeader } from './headers.js'
import { keyDecoder, SETTINGS, settingOf, wholeSecond } from './messages.js'
import type * as api from './object-api.js'
import { notFromS3 } from './s3-error.js'
import {
  changeRequest,
  createClient,
  dropChecksums,
  keepAnswer,
  loadSdk,
  type SdkCommand,
  sendWithin,
} from './sdk-client.js'
import { fromSdkError } from './sdk-errors.js'
import { fieldsOf, isAnswer, stateOf, tagOf } from './sdk-fields.js'
import { SdkPresigner } from './sdk-presigner.js'
import { SdkStream } from './sdk-stream.js'
import type { Signer } from './signer.js'
import type { WriteHeaders } from './write-headers.js'
import { parseXml, type XmlElement } from './xml.js'

type Sdk = Awaited<ReturnType<typeof loadSdk>>

const SMALL: api.Load = { bytes: 0, slow: false }
const SLOW: api.Load = { bytes: 0, slow: true }

/** The object API by an AWS client: the caller's own, or one that is made here. */
export class SdkObjectApi implements api.ObjectApi {
  readonly #bucket: string
  readonly #writeHeaders: WriteHeaders
  readonly #signer: Signer
  readonly #own: boolean
  readonly #client: () => Promise<S3Client>
  readonly #presigner: SdkPresigner

  constructor(config: S3Config, signer: Signer) {
    this.#bucket = config.bucket
    this.#writeHeaders = config.writeHeaders
    this.#signer = signer
    this.#own = config.client === undefined
    this.#client = once(async () => config.client ?? createClient(await loadSdk(), config, signer))
    this.#presigner = new SdkPresigner(config, signer, this.#client)
  }

  async put(request: api.PutRequest, call: api.Call): Promise<api.Tagged> {
    const { key, bytes, md5, attributes, createOnly, ifMatch } = request
    const input = {
      ...this.#target(key),
      ...fieldsOf(attributes),
      Body: bytes,
      ContentLength: bytes.byteLength,
      ContentMD5: md5,
      ...(createOnly && { IfNoneMatch: '*' }),
      ...(ifMatch !== undefined && { IfMatch: ifMatch }),
    }
    const load = { bytes: bytes.byteLength, slow: false }
    return tagOf(await this.#send((sdk) => this.#write(new sdk.PutObjectCommand(input)), call, load))
  }

  async get({ key, range, ifMatch }: api.GetRequest, call: api.Call): Promise<api.OpenObject> {
    const input = {
      ...this.#target(key),
      ...(range && { Range: rangeHeader(range) }),
      ...(ifMatch && { IfMatch: ifMatch }),
    }
    const output = await this.#send((sdk) => new sdk.GetObjectCommand(input), call, SMALL)
    const body = output.Body
    if (!(body instanceof Readable)) throw notFromS3(200)
    if (output.ETag === undefined && isAnswer(output)) {
      body.on('error', () => {}).destroy()
      throw notFromS3(200)
    }
    return { ...stateOf(output), contentRange: output.ContentRange, body: new SdkStream(body) }
  }

  async head({ key }: api.KeyRequest, call: api.Call): Promise<api.ObjectState> {
    const output = await this.#send((sdk) => new sdk.HeadObjectCommand(this.#target(key)), call, SMALL)
    tagOf(output)
    return stateOf(output)
  }

  async delete({ key }: api.KeyRequest, call: api.Call): Promise<void> {
    await this.#send((sdk) => new sdk.DeleteObjectCommand(this.#target(key)), call, SMALL)
  }

  async deleteMany(keys: readonly string[], call: api.Call): Promise<api.DeleteResult> {
    const input = { Bucket: this.#bucket, Delete: { Objects: keys.map((Key) => ({ Key })) } }
    const makeCommand = (sdk: Sdk) => {
      const command = new sdk.DeleteObjectsCommand(input)
      // The SDK sends a checksum of a newer kind, which older servers, such as Swift, do not take for the MD5.
      changeRequest(command, ({ headers, body }) => {
        if (typeof body === 'string') headers['content-md5'] = contentMd5(body)
      })
      return command
    }
    const output = await this.#send(makeCommand, call, SMALL)
    const { Deleted = [], Errors = [] } = output
    if (Deleted.length + Errors.length === 0 && isAnswer(output)) throw notFromS3(200)
    return {
      deleted: Deleted.map(({ Key = '' }) => Key),
      errors: Errors.map(({ Key: key = '', Code: code = '' }) => ({ key, code })),
    }
  }

  async list({ prefix, shallow, after, token }: api.ListRequest, call: api.Call): Promise<api.ListPage> {
    const input = {
      Bucket: this.#bucket,
      Prefix: prefix,
      EncodingType: 'url' as const, // XML cannot carry every character of a key.
      ...(shallow && { Delimiter: '/' }),
      ...(after !== undefined && { StartAfter: after }),
      ...(token !== undefined && { ContinuationToken: token }),
    }
    const page = await this.#send((sdk) => new sdk.ListObjectsV2Command(input), call, SMALL)
    // The SDK takes any answer of status 200 for an empty list, also the page of a captive portal.
    if (page.KeyCount === undefined && page.Name === undefined && isAnswer(page)) throw notFromS3(200)
    const decode = keyDecoder(page.EncodingType)
    return {
      keys: (page.Contents ?? []).map(({ Key = '', Size = 0, LastModified, ETag = '' }) => ({
        key: decode(Key),
        size: Size,
        lastModified: wholeSecond(LastModified?.getTime() ?? 0),
        etag: ETag,
      })),
      prefixes: (page.CommonPrefixes ?? []).map(({ Prefix = '' }) => decode(Prefix)),
      truncated: page.IsTruncated === true,
      next: page.NextContinuationToken,
    }
  }

  async copy(request: api.CopyRequest, call: api.Call): Promise<api.Tagged> {
    const { key, fromKey, attributes, ifMatch, createOnly } = request
    const input = {
      ...this.#target(key),
      ...fieldsOf(attributes),
      CopySource: copySource(this.#bucket, fromKey), // The SDK does not encode it.
      MetadataDirective: attributes ? ('REPLACE' as const) : ('COPY' as const),
      ...(ifMatch !== undefined && { CopySourceIfMatch: ifMatch }),
    }
    const makeCommand = (sdk: Sdk) => {
      const command = this.#write(new sdk.CopyObjectCommand(input))
      if (createOnly)
        changeRequest(command, ({ headers }) => Object.assign(headers, { [R2_COPY_CREATE_ONLY]: '*' }))
      return command
    }
    const { CopyObjectResult, $metadata } = await this.#send(makeCommand, call, SLOW)
    return tagOf({ ETag: CopyObjectResult?.ETag, $metadata })
  }

  async createUpload({ key, attributes }: api.CreateUploadRequest, call: api.Call): Promise<api.Upload> {
    const input = { ...this.#target(key), ...fieldsOf(attributes) }
    const makeCommand = (sdk: Sdk) => this.#write(new sdk.CreateMultipartUploadCommand(input))
    const { UploadId } = await this.#send(makeCommand, call, SMALL)
    if (!UploadId) throw notFromS3(200)
    return { key, uploadId: UploadId }
  }

  async uploadPart(request: api.UploadPartRequest, call: api.Call): Promise<api.Tagged> {
    const { number, bytes } = request
    const part = { PartNumber: number, Body: bytes, ContentLength: bytes.byteLength }
    const input = { ...this.#upload(request), ...part }
    const load = { bytes: bytes.byteLength, slow: false }
    return tagOf(await this.#send((sdk) => new sdk.UploadPartCommand(input), call, load))
  }

  async copyPart(request: api.CopyPartRequest, call: api.Call): Promise<api.CopiedPart> {
    const { fromKey, range, number } = request
    const input = {
      ...this.#upload(request),
      PartNumber: number,
      CopySource: copySource(this.#bucket, fromKey),
      ...(range && { CopySourceRange: `bytes=${range.start}-${range.end}` }),
    }
    const output = await this.#send((sdk) => new sdk.UploadPartCopyCommand(input), call, SLOW)
    const tag = tagOf({ ETag: output.CopyPartResult?.ETag, $metadata: output.$metadata })
    return { ...tag, encryption: output.ServerSideEncryption }
  }

  async completeUpload(request: api.CompleteUploadRequest, call: api.Call): Promise<void> {
    const { parts, createOnly } = request
    const input = {
      ...this.#upload(request),
      MultipartUpload: { Parts: parts.map(({ number, etag }) => ({ PartNumber: number, ETag: etag })) },
      ...(createOnly && { IfNoneMatch: '*' }),
    }
    const load = parts.length > 1 ? SLOW : SMALL
    const output = await this.#send((sdk) => new sdk.CompleteMultipartUploadCommand(input), call, load)
    if (!output.ETag && !output.Key && !output.Location && isAnswer(output)) throw notFromS3(200)
  }

  async abortUpload(upload: api.Upload, call: api.Call): Promise<void> {
    const input = this.#upload(upload)
    await this.#send((sdk) => new sdk.AbortMultipartUploadCommand(input), call, SMALL)
  }

  async listParts(request: api.ListPartsRequest, call: api.Call): Promise<api.PartPage> {
    const { after } = request
    const input = {
      ...this.#upload(request),
      ...(after !== undefined && { PartNumberMarker: String(after) }),
    }
    const page = await this.#send((sdk) => new sdk.ListPartsCommand(input), call, SMALL)
    if (page.UploadId === undefined && page.Key === undefined && isAnswer(page)) throw notFromS3(200)
    return {
      parts: (page.Parts ?? []).map(({ PartNumber: number = 0, ETag: etag = '', Size: size = 0 }) => ({
        number,
        etag,
        size,
      })),
      next: page.IsTruncated ? Number(page.NextPartNumberMarker ?? 0) : undefined,
    }
  }

  async listUploads(
    { prefix, after, plain }: api.ListUploadsRequest,
    call: api.Call,
  ): Promise<api.UploadPage> {
    const marker = after && { KeyMarker: after.key, UploadIdMarker: after.uploadId }
    const encoding = plain ? {} : { EncodingType: 'url' as const }
    const input = { Bucket: this.#bucket, Prefix: prefix, ...encoding, ...marker }
    const page = await this.#send((sdk) => new sdk.ListMultipartUploadsCommand(input), call, SMALL)
    if (page.Bucket === undefined && isAnswer(page)) throw notFromS3(200)
    const decode = keyDecoder(page.EncodingType)
    const next = { key: decode(page.NextKeyMarker ?? ''), uploadId: page.NextUploadIdMarker ?? '' }
    return {
      uploads: (page.Uploads ?? []).flatMap(({ Key, UploadId, Initiated }) =>
        Key === undefined || UploadId === undefined || Initiated === undefined
          ? []
          : [{ key: decode(Key), uploadId: UploadId, initiated: Initiated }],
      ),
      saysEncoding: page.EncodingType !== undefined,
      next: page.IsTruncated ? next : undefined,
    }
  }

  /** The SDK leaves out what it does not know; a rule of somebody else has to come back whole. */
  async getSetting(setting: api.BucketSetting, call: api.Call): Promise<XmlElement> {
    const input = { Bucket: this.#bucket }
    let text = ''
    const keep = (answer: string) => {
      text = answer
    }
    await (setting === 'cors'
      ? this.#send((sdk) => keepAnswer(new sdk.GetBucketCorsCommand(input), keep), call, SMALL)
      : this.#send(
          (sdk) => keepAnswer(new sdk.GetBucketLifecycleConfigurationCommand(input), keep),
          call,
          SMALL,
        ))
    const root = (await parseXml(text))?.root
    if (root?.name !== SETTINGS[setting]) throw notFromS3(200)
    return root
  }

  async putSetting(setting: api.BucketSetting, rules: string, call: api.Call): Promise<void> {
    const body = settingOf(setting, rules)
    const Bucket = this.#bucket
    const CORSConfiguration = { CORSRules: [] } // Replaced by the body, as the other one is.
    await (setting === 'cors'
      ? this.#send(
          (sdk) => withBody(new sdk.PutBucketCorsCommand({ Bucket, CORSConfiguration }), body),
          call,
          SMALL,
        )
      : this.#send(
          (sdk) => withBody(new sdk.PutBucketLifecycleConfigurationCommand({ Bucket }), body),
          call,
          SMALL,
        ))
  }

  sign(request: api.SignRequest, signal: AbortSignal | undefined): Promise<api.SignedAddress> {
    return this.#presigner.sign(request, signal)
  }

  #target(key: string) {
    return { Bucket: this.#bucket, Key: key }
  }

  /** A command that stores an object, with the headers that the server wants for this. */
  #write<Input extends ServiceInputTypes, Output extends ServiceOutputTypes>(
    command: SdkCommand<Input, Output>,
  ): SdkCommand<Input, Output> {
    changeRequest(command, ({ headers }) => Object.assign(headers, this.#writeHeaders))
    return command
  }

  #upload({ key, uploadId }: api.Upload) {
    return { ...this.#target(key), UploadId: uploadId }
  }

  /** Sends a command within its turn. */
  #send<Input extends ServiceInputTypes, Output extends ServiceOutputTypes>(
    makeCommand: (sdk: Sdk) => SdkCommand<Input, Output>,
    call: api.Call,
    load: api.Load,
  ): Promise<Output> {
    const { signal } = call
    return call.take(load, async (turn) => {
      const [client, sdk] = await Promise.all([this.#client(), loadSdk()])
      // The SDK would believe any date.
      if (this.#own) client.config.systemClockOffset = this.#signer.clockOffset
      const command = makeCommand(sdk)
      try {
        const output = await (turn.timeout === undefined
          ? client.send(command, signal ? { abortSignal: signal } : {})
          : sendWithin(turn.timeout, client, command, signal))
        if ('Body' in output && output.Body instanceof Readable) output.Body.once('close', turn.hold())
        return output
      } catch (error) {
        throw signal?.aborted ? error : fromSdkError(error)
      }
    })
  }
}

/** A command that sends this document instead of what the SDK makes of its input. */
function withBody<Input extends ServiceInputTypes, Output extends ServiceOutputTypes>(
  command: SdkCommand<Input, Output>,
  body: string,
): SdkCommand<Input, Output> {
  changeRequest(command, (sent) => {
    dropChecksums(sent)
    sent.body = body
    sent.headers['content-length'] = String(Buffer.byteLength(body))
    sent.headers['content-md5'] = contentMd5(body)
  })
  return command
}
