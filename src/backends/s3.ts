import { S3Driver } from '../drivers/s3/driver.js'
import { type S3StorageOptions, toS3Config } from '../drivers/s3/options.js'
import { inContext, Problem } from '../errors.js'
import { ABORT_OPTIONS, checkOptions, type OptionNames } from '../options.js'
import { Storage } from '../storage.js'
import type { AbortOptions } from '../types.js'
import { PrefixedDriver } from '../wrappers/prefixed.js'

/** Options of {@link S3Storage.abortStaleUploads}. */
export interface StaleUploadsOptions extends AbortOptions {
  /** Seconds since an upload was begun. Default a week. */
  olderThan?: number | undefined
}

const STALE_UPLOADS_OPTIONS: OptionNames<StaleUploadsOptions> = { ...ABORT_OPTIONS, olderThan: true }
const WEEK = 7 * 24 * 60 * 60

/**
 * Files in a bucket of any S3-compatible server: AWS S3, MinIO, Ceph, … The AWS SDK is loaded only
 * for a `client` of yours, or with `fastPath: false`. Without keys, AWS's default credential chain is loaded instead.
 *
 * A content of at most one part (8 MiB) is one request, a larger one a multipart upload; both are create-only on the
 * server's side unless told to overwrite. Requests that may pass are tried again. Sends no ACL
 * unless `writeHeaders` has one.
 *
 * `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` of the environment are honoured, except by a `client` of yours.
 */
export class S3Storage extends Storage {
  readonly #driver: S3Driver
  readonly #prefix: string

  /** `kind` is the first word of `toString()`. */
  constructor(options: S3StorageOptions, kind = 'S3Storage') {
    const config = inContext({ operation: `new ${kind}` }, () => toS3Config(options))
    const { bucket, prefix } = config
    const driver = new S3Driver(config, `${kind}(${bucket})`)
    super(prefix === '' ? driver : new PrefixedDriver(() => driver, prefix, driver.label))
    this.#driver = driver
    this.#prefix = prefix === '' ? '' : `${prefix}/`
  }

  /**
   * Aborts the multipart uploads below the prefix that were begun more than `olderThan` seconds ago and never ended,
   * such as those of a process that was killed: nobody sees their parts, but they are paid for. R2 does so by itself
   * after a week, most other servers by a lifecycle rule of the bucket. Uploads of other programs below the prefix are
   * aborted, too, so `olderThan` must be more than the longest upload takes. Default a week.
   *
   * @throws {StorageError} `InvalidArgument` for the option, `Unavailable`, `PermissionDenied`, …
   */
  async abortStaleUploads(options: StaleUploadsOptions = {}): Promise<{ aborted: number }> {
    return this.perform('abortStaleUploads', undefined, options, async (signal) => {
      checkOptions(options, STALE_UPLOADS_OPTIONS)
      const { olderThan = WEEK } = options
      if (!Number.isSafeInteger(olderThan) || olderThan < 1) {
        throw new Problem('InvalidArgument', 'olderThan must be a whole number of seconds, 1 or more')
      }
      const before = new Date(Date.now() - olderThan * 1000)
      const aborted = await this.#driver.abortUploads(this.#prefix, before, signal)
      // Direct uploads that were complete, and never published.
      return { aborted: aborted + (await this.#driver.uploads.sweep(before, signal)) }
    })
  }
}
