import type { S3Client } from '@aws-sdk/client-s3'
import type { OptionNames } from '../../options.js'
import type { Purge } from '../../types.js'
import type { Addressing } from './address.js'
import type { S3Credentials } from './keys.js'

export type { S3Credentials } from './keys.js'

/** The options that R2 and every other S3-compatible server have in common. */
export interface S3CommonOptions {
  /** The name of the bucket. */
  bucket: string
  /** The public half of a key pair. */
  accessKeyId?: string | undefined
  /** The secret half. */
  secretAccessKey?: string | undefined
  /** Belongs to temporary credentials only. */
  sessionToken?: string | undefined
  /** Instead of the three above: a function that gets credentials. It is asked again when they are about to expire. */
  credentials?: (() => Promise<S3Credentials>) | undefined
  /** The public address of the bucket, such as a CDN's; `https` where no scheme is given. Default `endpoint/bucket`. */
  publicBaseUrl?: string | undefined
  /** A folder that all names are kept in, out of sight. Default none. */
  prefix?: string | undefined
  /** `Cache-Control` of files that are saved without one. Default `max-age=86400`. */
  cacheControl?: string | undefined
  /** A client to use unchanged, with its own time-outs, retries and middleware. */
  client?: S3Client | undefined
  /**
   * Send requests by the package's own HTTP client, at about a quarter of the SDK's CPU time. False: by the AWS SDK,
   * which is loaded then. Default true; a `client` always means the SDK.
   */
  fastPath?: boolean | undefined
  /** Milliseconds to wait for a connection. Default 5,000. */
  connectTimeout?: number | undefined
  /** Milliseconds to wait while nothing moves on a connection. Default 30,000. */
  idleTimeout?: number | undefined
  /** Milliseconds after which a failing request is not tried again. Queueing and upload time do not count. Default 60,000. */
  retryTimeout?: number | undefined
  /** How often a request is tried. Default 6. */
  maxAttempts?: number | undefined
  /** Connections at a time; further requests wait. Default 128. */
  maxConnections?: number | undefined
  /** Bytes of a part of a large upload, 5 MiB to 5 GiB less 5 MiB. An upload has 10,000 parts at most: 78 GiB. Default 8 MiB. */
  partSize?: number | undefined
  /** Parts of one upload on their way at a time; each takes `partSize` of memory. Default 4. */
  uploadConcurrency?: number | undefined
  /**
   * How a save finds out that a name is taken. `'condition'`: the server is asked to create only (`If-None-Match`), so
   * that nothing is ever overwritten by accident. A server other than AWS and R2 is tried out before the first such
   * write, on a small object `.stowage/probe-put` that is deleted again; where it has no such writes, they are refused as
   * `Unsupported`. `'check'`, for those servers: the storage looks first and then writes. Of two that save one name at
   * the same moment, one may overwrite the other; `signedUpload` gives out a name that is free now, and whatever comes
   * there later is overwritten. Default `'condition'`.
   */
  createOnly?: 'condition' | 'check' | undefined
  /**
   * Whether the server honours `If-None-Match` when a multipart upload is completed, as AWS, R2 and MinIO do and Ceph
   * does not. True says that it does so for every write, and nothing is tried out. Default: true at AWS and R2, else
   * tried out once, when it first matters.
   */
  conditionalCompletion?: boolean | undefined
  /** Whether CopyObject takes R2's header `cf-copy-destination-if-none-match`. Default: whether the endpoint is R2's own. */
  conditionalCopy?: boolean | undefined
}

/**
 * Options of `S3Storage`. Without keys, `credentials` and `client` the keys come from AWS's default credential chain:
 * the environment, the shared files, SSO, a web identity, the container's or the machine's role.
 */
export interface S3StorageOptions extends S3CommonOptions {
  /**
   * The server's address, `https://s3.example.com`. It may have a path of its own; the bucket at its end is left out.
   * Default: AWS in the region.
   */
  endpoint?: string | undefined
  /**
   * The region to sign for. Default `us-east-1`; with AWS's default credential chain `AWS_REGION` or
   * `AWS_DEFAULT_REGION`, if set.
   */
  region?: string | undefined
  /**
   * Where the bucket stands in addresses: `'path'` (default) for `https://s3.example.com/bucket/name`, `'virtual'` for
   * `https://bucket.s3.example.com/name`. A `client` keeps its own setting.
   */
  addressing?: Addressing | undefined
  /**
   * The server's address for signed addresses, where browsers reach it by another host than the application.
   * Default `endpoint`.
   */
  signingEndpoint?: string | undefined
  /**
   * Headers for every put, create and copy, also signed into `signedUpload`: such as `x-amz-acl`,
   * `x-amz-server-side-encryption`, `x-amz-storage-class`. Default none.
   */
  writeHeaders?: Readonly<Record<`x-amz-${string}`, string>> | undefined
}

/** Options of `R2Storage`. */
export interface R2StorageOptions extends S3CommonOptions {
  /** Cloudflare's account id; or give an `endpoint`. */
  accountId?: string | undefined
  /** The jurisdiction of the bucket, such as `eu`, if it has one. */
  jurisdiction?: string | undefined
  /**
   * `https://<account>.r2.cloudflarestorage.com`. It may have a path of its own; the bucket at its end, as the dashboard
   * shows it, is left out.
   */
  endpoint?: string | undefined
  /** The region to sign for. Default `auto`. */
  region?: string | undefined
  /**
   * Called with the public addresses of files that were overwritten, deleted or moved away, so that a CDN forgets them:
   * `cloudflarePurge`. A save waits for it, 5 seconds at most, and never fails with it; failures are events `purge`
   * of the channel `stowage:operation`. Needs `publicBaseUrl`. Default none.
   */
  purge?: Purge | undefined
}

const COMMON_OPTIONS: OptionNames<S3CommonOptions> = {
  bucket: true,
  accessKeyId: true,
  secretAccessKey: true,
  sessionToken: true,
  credentials: true,
  publicBaseUrl: true,
  prefix: true,
  cacheControl: true,
  client: true,
  fastPath: true,
  connectTimeout: true,
  idleTimeout: true,
  retryTimeout: true,
  maxAttempts: true,
  maxConnections: true,
  partSize: true,
  uploadConcurrency: true,
  conditionalCompletion: true,
  conditionalCopy: true,
  createOnly: true,
}

/** The names of {@link S3StorageOptions}. */
export const S3_OPTIONS: OptionNames<S3StorageOptions> = {
  ...COMMON_OPTIONS,
  endpoint: true,
  region: true,
  addressing: true,
  signingEndpoint: true,
  writeHeaders: true,
}

/** The names of {@link R2StorageOptions}. */
export const R2_OPTIONS: OptionNames<R2StorageOptions> = {
  ...COMMON_OPTIONS,
  accountId: true,
  jurisdiction: true,
  endpoint: true,
  region: true,
  purge: true,
}
