import type { CorsRule, LifecycleRule } from '../drivers/s3/bucket-config.js'
import { toS3Config } from '../drivers/s3/config.js'
import { S3Driver } from '../drivers/s3/driver.js'
import type { S3StorageOptions } from '../drivers/s3/options.js'
import { inContext, Problem } from '../errors.js'
import { type ExpiryRule, toExpiryRules } from '../expiry-rules.js'
import { toFolder } from '../names.js'
import { ABORT_OPTIONS, checkOptions, type OptionNames, toCutoff } from '../options.js'
import { Storage } from '../storage.js'
import type { AbortOptions, Purge } from '../types.js'
import { PrefixedDriver } from '../wrappers/prefixed.js'
import { PurgingDriver } from '../wrappers/purging.js'

/** Options of {@link S3Storage.abortStaleUploads}. */
export interface StaleUploadsOptions extends AbortOptions {
  /** Seconds since an upload was begun. Default a week. */
  olderThan?: number | undefined
}

/** Options of {@link S3Storage.setLifecycle}. */
export interface LifecycleOptions extends AbortOptions {
  /** Folders that shall have no rule of this package any more. Default none. */
  remove?: readonly string[] | undefined
}

/** Options of {@link S3Storage.setCors}. */
export interface CorsOptions extends AbortOptions {
  /** Origins of the pages that upload: scheme, host and port, no path. `'*'` for all. */
  origins: readonly string[]
  /** Request headers besides those of an upload, such as `x-amz-meta-user` for metadata. Default none. */
  headers?: readonly string[] | undefined
}

const CORS_OPTIONS: OptionNames<CorsOptions> = { ...ABORT_OPTIONS, origins: true, headers: true }
const LIFECYCLE_OPTIONS: OptionNames<LifecycleOptions> = { ...ABORT_OPTIONS, remove: true }
const STALE_UPLOADS_OPTIONS: OptionNames<StaleUploadsOptions> = { ...ABORT_OPTIONS, olderThan: true }

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

  /** `kind` is the first word of `toString()`. `purge`: see `R2StorageOptions`. */
  constructor(options: S3StorageOptions, kind = 'S3Storage', purge?: Purge) {
    const config = inContext({ operation: `new ${kind}` }, () => toS3Config(options))
    const { bucket, prefix } = config
    const driver = new S3Driver(config, `${kind}(${bucket})`)
    const files = prefix === '' ? driver : new PrefixedDriver(() => driver, prefix, driver.label)
    super(purge ? new PurgingDriver(files, purge) : files)
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
  async abortStaleUploads(options: StaleUploadsOptions = {}): Promise<{
    /** How many uploads were aborted. */
    aborted: number
  }> {
    return this.perform('abortStaleUploads', undefined, options, async (signal) => {
      checkOptions(options, STALE_UPLOADS_OPTIONS)
      const before = toCutoff(options.olderThan, 1)
      return { aborted: await this.#driver.abortUploads(this.#prefix, before, signal) }
    })
  }

  /**
   * The expiry rules that {@link setLifecycle} has written below the storage's prefix. Rules of others are left out.
   *
   * @throws {StorageError} `PermissionDenied`, `Unavailable`, …
   */
  async getLifecycle(options: AbortOptions = {}): Promise<ExpiryRule[]> {
    return this.perform('getLifecycle', undefined, options, async (signal) => {
      checkOptions(options, ABORT_OPTIONS)
      return (await this.#driver.config()).expiry(this.#prefix, signal)
    })
  }

  /**
   * All lifecycle rules of the bucket, also those of other folders and other programs.
   *
   * @throws {StorageError} `PermissionDenied`, `Unavailable`, …
   */
  async getLifecycleRules(options: AbortOptions = {}): Promise<LifecycleRule[]> {
    return this.perform('getLifecycleRules', undefined, options, async (signal) => {
      checkOptions(options, ABORT_OPTIONS)
      return (await this.#driver.config()).lifecycle(this.#prefix, signal)
    })
  }

  /**
   * Writes expiry rules into the bucket, so that the server deletes files by itself, within a day or so. Takes the rules
   * of `expire`. Replaces this package's own rules for the same folders; all other rules stay as they are. Uploads that
   * were never completed are aborted after 7 days. With `remove` the rules of these folders go; the one that aborts uploads
   * stays. Two calls at the same moment may undo each other.
   *
   * The keys need the right to change the bucket: on R2 an "Admin Read & Write" token.
   *
   * @throws {InvalidNameError} for a prefix that is empty or breaks the naming rule.
   * @throws {StorageError} `InvalidArgument` for a rule, `PermissionDenied`, `Unavailable`, …
   * @example await storage.setLifecycle(defaultExpiry)
   */
  async setLifecycle(rules: readonly ExpiryRule[], options: LifecycleOptions = {}): Promise<void> {
    return this.perform('setLifecycle', undefined, options, async (signal) => {
      checkOptions(options, LIFECYCLE_OPTIONS)
      const checked = toExpiryRules(rules)
      const removed = toFolders(options.remove ?? [])
      const both = removed.find((folder) => checked.some(({ prefix }) => prefix === folder))
      if (both !== undefined) {
        throw new Problem('InvalidArgument', `${JSON.stringify(both)} has a rule, and is to be removed`)
      }
      await (await this.#driver.config()).setExpiry(this.#prefix, checked, removed, signal)
    })
  }

  /**
   * The rights that the bucket gives to pages of other origins, by all of its rules.
   *
   * @throws {StorageError} `PermissionDenied`, `Unavailable`, …
   */
  async getCors(options: AbortOptions = {}): Promise<CorsRule[]> {
    return this.perform('getCors', undefined, options, async (signal) => {
      checkOptions(options, ABORT_OPTIONS)
      return (await this.#driver.config()).cors(signal)
    })
  }

  /**
   * Writes the rule that uploads from browsers need: `GET`, `PUT` and `HEAD`, the headers of `signedUpload`, and `ETag`
   * exposed for multipart uploads. Replaces this package's own rule; all other rules stay as they are. It may take 30
   * seconds until R2 applies it.
   *
   * @throws {StorageError} `InvalidArgument` for an origin or a header, `PermissionDenied`, `Unavailable`, …
   * @example await storage.setCors({ origins: ['https://app.example.com'] })
   */
  async setCors(options: CorsOptions): Promise<void> {
    return this.perform('setCors', undefined, options, async (signal) => {
      checkOptions(options, CORS_OPTIONS)
      const { origins, headers = [] } = options
      expectAll(
        'origins',
        origins,
        /^(?:\*|https?:\/\/[^/?#\s]+)$/,
        'origins such as "https://app.example.com", without a path or a slash at the end, or "*"',
      )
      if (origins.length === 0) throw new Problem('InvalidArgument', 'origins must not be empty')
      expectAll('headers', headers, /^[\w-]+$/, 'names of headers, such as "x-amz-meta-user"')
      await (await this.#driver.config()).setCors(origins, headers, signal)
    })
  }
}

function toFolders(folders: unknown): string[] {
  if (!Array.isArray(folders)) throw new Problem('InvalidArgument', 'remove must be an array of folders')
  return folders.map((folder: unknown) => toFolder(folder, false))
}

function expectAll(option: string, values: unknown, pattern: RegExp, what: string): void {
  const isRight = (value: unknown) => typeof value === 'string' && pattern.test(value)
  if (Array.isArray(values) && values.every(isRight)) return
  const wrong: unknown = Array.isArray(values) ? values.find((value) => !isRight(value)) : undefined
  const which = typeof wrong === 'string' ? `; ${JSON.stringify(wrong)} is none` : ''
  throw new Problem('InvalidArgument', `${option} must be an array of ${what}${which}`)
}
