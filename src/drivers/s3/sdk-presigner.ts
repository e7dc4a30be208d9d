import type { S3Client, ServiceInputTypes, ServiceOutputTypes } from '@aws-sdk/client-s3'
import { lazily } from '../../load.js'
import type { BucketAddress } from './address.js'
import type { S3Config } from './config.js'
import { uploadHeaders } from './headers.js'
import type { SignedAddress, SignRequest } from './object-api.js'
import { changeRequest, dropChecksums, redirect, type SdkCommand } from './sdk-client.js'
import { fromSdkError } from './sdk-errors.js'
import { fieldsOf } from './sdk-fields.js'
import type { Signer } from './signer.js'
import type { WriteHeaders } from './write-headers.js'

/** The AWS SDK, loaded on first use. */
export const loadSdk = lazily(() => import('@aws-sdk/client-s3'))
const loadPresigner = lazily(() => import('@aws-sdk/s3-request-presigner'))

/** Signs addresses by the AWS SDK, as its clients sign requests. */
export class SdkPresigner {
  readonly #bucket: string
  readonly #writeHeaders: WriteHeaders
  readonly #address: BucketAddress | undefined
  readonly #signer: Signer
  readonly #own: boolean
  readonly #client: () => Promise<S3Client>

  constructor(config: S3Config, signer: Signer, client: () => Promise<S3Client>) {
    this.#bucket = config.bucket
    this.#writeHeaders = config.writeHeaders
    this.#address = config.signingAddress
    this.#signer = signer
    this.#own = config.client === undefined
    this.#client = client
  }

  async sign(request: SignRequest, signal: AbortSignal | undefined): Promise<SignedAddress> {
    const sdk = await loadSdk()
    const target = { Bucket: this.#bucket, Key: request.key }
    const presign = <Input extends ServiceInputTypes, Output extends ServiceOutputTypes>(
      command: SdkCommand<Input, Output>,
    ) => this.#presign(command, request, signal)
    if ('part' in request) {
      const { uploadId, number } = request.part
      return presign(new sdk.UploadPartCommand({ ...target, UploadId: uploadId, PartNumber: number }))
    }
    if (request.method === 'PUT') {
      const { attributes, size, createOnly } = request
      const fields = { ...fieldsOf(attributes), ContentLength: size, ...(createOnly && { IfNoneMatch: '*' }) }
      return presign(new sdk.PutObjectCommand({ ...target, ...fields }))
    }
    const { contentDisposition, contentType } = request.respondWith
    const input = {
      ...target,
      ResponseContentDisposition: contentDisposition,
      ResponseContentType: contentType,
    }
    return request.method === 'GET'
      ? presign(new sdk.GetObjectCommand(input))
      : presign(new sdk.HeadObjectCommand(input))
  }

  async #presign<Input extends ServiceInputTypes, Output extends ServiceOutputTypes>(
    command: SdkCommand<Input, Output>,
    request: SignRequest,
    signal: AbortSignal | undefined,
  ): Promise<SignedAddress> {
    const [client, { getSignedUrl }] = await Promise.all([this.#client(), loadPresigner()])
    signal?.throwIfAborted()
    const { expiresIn, signedAt } = request
    const address = this.#address
    // A part has no headers of its own.
    const writeHeaders = 'size' in request ? this.#writeHeaders : {}
    changeRequest(command, (sent) => {
      // The CRC of no content, which a client with default settings signs, would refuse every upload.
      dropChecksums(sent)
      Object.assign(sent.headers, writeHeaders)
      if (address) redirect(sent, address, request.key)
    })
    const signed = new Set('size' in request ? headersToSign(request, writeHeaders) : [])
    const offset = this.#own ? this.#signer.clockOffset : client.config.systemClockOffset
    try {
      const url = await getSignedUrl(client, command, {
        expiresIn,
        signingDate: new Date(signedAt.getTime() + offset),
        signableHeaders: signed,
        unhoistableHeaders: signed,
      })
      const { expiration } = this.#own
        ? await this.#signer.credentials(signal)
        : await client.config.credentials()
      return { url, endsAt: expiration }
    } catch (error) {
      throw fromSdkError(error)
    }
  }
}

function headersToSign(
  { attributes, createOnly }: Extract<SignRequest, { size: unknown }>,
  writeHeaders: WriteHeaders,
): string[] {
  return ['content-length', ...Object.keys(uploadHeaders(attributes, createOnly, writeHeaders))]
}
