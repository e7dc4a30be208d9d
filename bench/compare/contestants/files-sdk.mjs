import { Readable } from 'node:stream'
import { createFiles } from 'files-sdk'
import { fs } from 'files-sdk/fs'
import { partly } from '../outcome.mjs'

export const packages = [
  'files-sdk',
  '@aws-sdk/client-s3',
  '@aws-sdk/lib-storage',
  '@aws-sdk/s3-presigned-post',
  '@aws-sdk/s3-request-presigner',
]
/** `url` gives a `file://` address; the gateway's guide: files-sdk.dev/docs/ui/server/gateway. */
export const signedOnDisk = partly('no address; an HTTP gateway instead')
export const createOnly = { s3: 'condition: create' }

export function disk(root) {
  return ofAdapter(fs({ root }))
}

export async function s3({ kind, options }, { timeout } = {}) {
  // The adapter has no option for it, so this is the AWS SDK's variable: see sdk-client.mjs.
  process.env.AWS_REQUEST_CHECKSUM_CALCULATION = 'WHEN_REQUIRED'
  process.env.AWS_RESPONSE_CHECKSUM_VALIDATION = 'WHEN_REQUIRED'
  const { s3: adapter } = await import('files-sdk/s3')
  const { endpoint, region = 'auto', bucket, accessKeyId, secretAccessKey } = options
  const credentials = { accessKeyId, secretAccessKey }
  const settings = { bucket, region, endpoint, forcePathStyle: true, conditional: true, credentials }
  const storage = ofAdapter(adapter(settings), timeout)
  return {
    ...storage,
    saveNew: (name, content) => storage.files.upload(name, content, { condition: { type: 'create' } }),
    ...(kind === 'r2' && { signedUpload: (name, file) => signedUploadToR2(options, name, file) }),
  }
}

/** Its adapter for R2 refuses a size, and its guide says to leave it out. */
async function signedUploadToR2({ endpoint, bucket, accessKeyId, secretAccessKey }, name, { contentType }) {
  const { r2 } = await import('files-sdk/r2')
  const files = createFiles({ adapter: r2({ endpoint, bucket, accessKeyId, secretAccessKey }) })
  return files.signedUploadUrl(name, { expiresIn: 3600, contentType })
}

function ofAdapter(adapter, timeout) {
  const options = { adapter, ...(timeout && { timeout }) }
  const files = createFiles(options)
  const toBody = (content) => (content instanceof Readable ? Readable.toWeb(content) : content)
  return {
    files,
    save: (name, content, { contentType, metadata } = {}) =>
      files.upload(name, toBody(content), { contentType, metadata }),
    saveNew: (name, content) => files.upload(name, content),
    async saveChecked(name, content, { maxSize, allowedTypes }) {
      const { contentType } = await import('files-sdk/content-type')
      const { validation } = await import('files-sdk/validation')
      const plugins = [
        ...(allowedTypes ? [contentType({ onMismatch: 'reject', onUnknown: 'reject' })] : []),
        validation({ ...(maxSize && { maxSize }), ...(allowedTypes && { allowedTypes }) }),
      ]
      return createFiles({ ...options, plugins }).upload(name, toBody(content))
    },
    read: async (name) => Buffer.from(await (await files.download(name)).arrayBuffer()),
    async stat(name) {
      const { type, metadata } = await files.head(name)
      return { contentType: type, metadata }
    },
    async *list() {
      for await (const { key } of files.listAll()) yield key
    },
    delete: (name) => files.delete(name),
    signedUrl: (name) => files.url(name),
    signedUpload: (name, { size, contentType }) =>
      files.signedUploadUrl(name, { expiresIn: 3600, contentType, minSize: size, maxSize: size }),
  }
}
