import { toS3Options } from '../drivers/s3/config.js'
import type { R2StorageOptions } from '../drivers/s3/options.js'
import { inContext } from '../errors.js'
import { S3Storage } from './s3.js'

/**
 * Files in a Cloudflare R2 bucket, by its S3 API.
 *
 * `url()` gives addresses below `publicBaseUrl`, the custom domain or CDN of the bucket; private files are handed out by
 * `signedUrl`. Requests are path-style and never have an ACL. A name may be written about once a second, which R2
 * limits; faster writes are slowed down.
 *
 * @example
 * const storage = new R2Storage({
 *   accountId: '0123456789abcdef0123456789abcdef',
 *   bucket: 'chat-files',
 *   accessKeyId: process.env.R2_ACCESS_KEY_ID,
 *   secretAccessKey: process.env.R2_SECRET_ACCESS_KEY,
 *   publicBaseUrl: 'https://cdn.example.com',
 * })
 */
export class R2Storage extends S3Storage {
  constructor(options: R2StorageOptions) {
    super(
      inContext({ operation: 'new R2Storage' }, () => toS3Options(options)),
      'R2Storage',
      options.purge,
    )
  }
}
