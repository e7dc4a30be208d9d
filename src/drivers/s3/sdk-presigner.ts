import type { S3Client, ServiceInputTypes, ServiceOutputTypes } from '@aws-sdk/client-s3'
import { lazily } from '../../load.js'
import type { S3Config } from './config.js'
import { uploadHeaders } from './headers.js'
import type { SignedAddress, SignRequest } from './object-api.js'
import { changeRequest, dropChecksums, loadSdk, redirect, type SdkCommand } from './sdk-client.js'
import { fromSdkError } from './sdk-errors.js'
import { fieldsOf } from './sdk-fields.js'
import type { Signer } from './signer.js'
import type { WriteHeaders } from './write-headers.js'

const loadPresigner = lazily(() => import('@aws-sdk/s3-request-presigner'))

/** Signs addresses by the AWS SDK, as its clients sign requests. */
export class SdkPresigner {
  readonly #config: S3Config
  readonly #signer: Signer
  readonly #client: () => Promise<S3Client>

  constructor(config: S3Config, signer: Signer, client: () => Promise<S3Client>) {
    this.#config = config
    this.#signer = signer
    this.#client = client
  }

  async sign(request: SignRequest, signal: AbortSignal | undefined): Promise<SignedAddress> {
    const sdk = await loadSdk()
    const target = { Bucket: this.#config.bucket, Key: request.key }
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
    const { signingAddress: address, client: given } = this.#config
    // A part has no headers of its own.
    const writeHeaders = 'size' in request ? this.#config.writeHeaders : {}
    changeRequest(command, (sent) => {
      // The CRC of no content, which a client with default settings signs, would refuse every upload.
      dropChecksums(sent)
      Object.assign(sent.headers, writeHeaders)
      if (address) redirect(sent, address, request.key)
    })
    const signed = new Set('size' in request ? headersToSign(request, writeHeaders) : [])
    const offset = given ? given.config.systemClockOffset : this.#signer.clockOffset
    try {
      const url = await getSignedUrl(client, command, {
        expiresIn,
        signingDate: new Date(signedAt.getTime() + offset),
        signableHeaders: signed,
        unhoistableHeaders: signed,
      })
      const { expiration } = given ? await given.config.credentials() : await this.#signer.credentials(signal)
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
