import type { S3Client } from '@aws-sdk/client-s3'
import { isProblem, Problem } from '../../errors.js'
import { isHeaderValue } from '../../headers.js'
import { type Folder, toFolder } from '../../names.js'
import { checkConstructorOptions, type OptionNames } from '../../options.js'
import type { Purge } from '../../types.js'
import {
  type Addressing,
  type BucketAddress,
  bucketAddress,
  isAwsHost,
  isR2Host,
  toEndpoint,
  toPublicBaseUrl,
} from './address.js'
import { hasKeys, missingKeys, type S3Credentials, toCredentials } from './keys.js'
import { toWriteHeaders, type WriteHeaders } from './write-headers.js'

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
const S3_OPTIONS: OptionNames<S3StorageOptions> = {
  ...COMMON_OPTIONS,
  endpoint: true,
  region: true,
  addressing: true,
  signingEndpoint: true,
  writeHeaders: true,
}
const R2_OPTIONS: OptionNames<R2StorageOptions> = {
  ...COMMON_OPTIONS,
  accountId: true,
  jurisdiction: true,
  endpoint: true,
  region: true,
  purge: true,
}

/** All options, checked, with their defaults. */
export interface S3Config {
  readonly bucket: string
  /** Without a closing slash; undefined where only the client knows it. */
  readonly endpoint: string | undefined
  readonly addressing: Addressing
  /** The bucket at `endpoint`. */
  readonly address: BucketAddress | undefined
  /** The bucket at `signingEndpoint`. */
  readonly signingAddress: BucketAddress | undefined
  readonly writeHeaders: WriteHeaders
  readonly region: string
  /** Undefined: AWS's default chain, or the client's own. */
  readonly credentials: S3Credentials | (() => Promise<S3Credentials>) | undefined
  /** Without a closing slash. */
  readonly publicBaseUrl: string | undefined
  readonly prefix: Folder
  readonly cacheControl: string
  readonly client: S3Client | undefined
  readonly fastPath: boolean
  readonly connectTimeout: number
  readonly idleTimeout: number
  readonly retryTimeout: number
  readonly maxAttempts: number
  readonly maxConnections: number
  readonly partSize: number
  readonly uploadConcurrency: number
  readonly createOnly: 'condition' | 'check'
  /** Whether the server is known to honour `If-None-Match` on a PUT. */
  readonly conditionalPut: boolean
  readonly conditionalCompletion: boolean | undefined
  /** Whether `CopyObject` takes R2's `cf-copy-destination-if-none-match`. */
  readonly conditionalCopy: boolean
}

export const MIB = 1024 * 1024
/** The smallest part on R2 and S3 (the last one excepted), and the largest. */
const MIN_PART = 5 * MIB
const MAX_PART = 5 * 1024 * MIB - 5 * MIB

/** R2 in the terms of S3. It has no chain of credentials: keys that are missing would be looked for at AWS. */
export function toS3Options(given: R2StorageOptions): S3StorageOptions {
  checkConstructorOptions(given, R2_OPTIONS)
  const { accountId, jurisdiction, purge, ...options } = given
  checkBucket(options)
  if (purge !== undefined && (typeof purge !== 'function' || !options.publicBaseUrl)) {
    throw misconfigured('purge must be a function, and needs publicBaseUrl: the addresses that are cached')
  }
  if (!hasKeys(options)) throw missingKeys(options)
  const endpoint =
    options.endpoint ?? (accountId === undefined ? undefined : accountEndpoint(accountId, jurisdiction))
  if (endpoint === undefined && options.client === undefined)
    throw misconfigured('either endpoint or accountId must be given')
  return {
    ...options,
    region: options.region ?? 'auto',
    endpoint,
  }
}

function accountEndpoint(accountId: string, jurisdiction: string | undefined): string {
  if (!/^\w+$/.test(accountId)) throw misconfigured('accountId must be the id of a Cloudflare account')
  if (jurisdiction !== undefined && !/^[\w-]+$/.test(jurisdiction))
    throw misconfigured('jurisdiction must be one such as "eu"')
  return `https://${accountId}.${jurisdiction ? `${jurisdiction}.` : ''}r2.cloudflarestorage.com`
}

export function toS3Config(options: S3StorageOptions): S3Config {
  checkConstructorOptions(options, S3_OPTIONS)
  checkBucket(options)
  const { bucket, client, credentials, accessKeyId, secretAccessKey, sessionToken } = options
  const chained = accessKeyId === undefined && secretAccessKey === undefined && !sessionToken
  if (!hasKeys(options) && !chained) throw missingKeys(options)
  const partSize = toWhole('partSize', options.partSize, 8 * MIB)
  if (partSize < MIN_PART || partSize > MAX_PART)
    throw misconfigured('partSize must be from 5 MiB to 5 GiB less 5 MiB')
  const region = options.region ?? (hasKeys(options) ? undefined : regionOfEnvironment()) ?? 'us-east-1'
  const given = options.endpoint ?? (client ? undefined : awsEndpoint(region))
  const endpoint = given === undefined ? undefined : toEndpoint(given, bucket, 'the option endpoint')
  const host = endpoint && new URL(endpoint).host
  // Another server under R2's name is not taken for R2: it may ignore a condition, and overwrite.
  const isR2 = host !== undefined && isR2Host(host)
  const isAws = host !== undefined && isAwsHost(host)
  return {
    bucket,
    region,
    endpoint,
    ...toAddresses(options, endpoint),
    writeHeaders: toWriteHeaders(options.writeHeaders),
    credentials:
      credentials ??
      (accessKeyId && secretAccessKey
        ? toCredentials({ accessKeyId, secretAccessKey, sessionToken })
        : undefined),
    publicBaseUrl: toPublicBaseUrl(options.publicBaseUrl, 'the option publicBaseUrl'),
    prefix: toPrefix(options.prefix),
    cacheControl: toCacheControl(options.cacheControl),
    client,
    fastPath: options.fastPath ?? true,
    connectTimeout: toMilliseconds('connectTimeout', options.connectTimeout, 5_000),
    idleTimeout: toMilliseconds('idleTimeout', options.idleTimeout, 30_000),
    retryTimeout: toMilliseconds('retryTimeout', options.retryTimeout, 60_000),
    maxAttempts: toWhole('maxAttempts', options.maxAttempts, 6),
    maxConnections: toWhole('maxConnections', options.maxConnections, 128),
    uploadConcurrency: toWhole('uploadConcurrency', options.uploadConcurrency, 4),
    partSize,
    createOnly: toCreateOnly(options.createOnly),
    conditionalPut: isR2 || isAws || options.conditionalCompletion === true,
    conditionalCompletion: options.conditionalCompletion ?? (isR2 || isAws ? true : undefined),
    conditionalCopy: options.conditionalCopy ?? isR2,
  }
}

function checkBucket({ bucket }: S3CommonOptions): void {
  if (typeof bucket !== 'string' || !/^[A-Za-z0-9][\w.-]{1,254}$/.test(bucket)) {
    throw misconfigured('bucket must be the name of a bucket')
  }
}

/** Where there is a role, there is its region as well. */
function regionOfEnvironment(): string | undefined {
  return process.env.AWS_REGION || process.env.AWS_DEFAULT_REGION || undefined
}

function awsEndpoint(region: string): string {
  return `https://s3.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}`
}

function toAddresses({ bucket, addressing = 'path', signingEndpoint }: S3StorageOptions, endpoint?: string) {
  if (addressing !== 'path' && addressing !== 'virtual') {
    throw misconfigured("addressing must be 'path' or 'virtual'")
  }
  const at = (server: string, subject: string) => bucketAddress(server, bucket, addressing, subject)
  const [own, signing] = ['the option endpoint', 'the option signingEndpoint'] as const
  return {
    addressing,
    address: endpoint === undefined ? undefined : at(endpoint, own),
    signingAddress:
      signingEndpoint === undefined ? undefined : at(toEndpoint(signingEndpoint, bucket, signing), signing),
  }
}

function toCreateOnly(given: unknown): 'condition' | 'check' {
  if (given === undefined || given === 'condition' || given === 'check') return given ?? 'condition'
  throw misconfigured("createOnly must be 'condition' or 'check'")
}

function toPrefix(prefix: string | undefined): Folder {
  try {
    return toFolder(prefix ?? '', true)
  } catch (error) {
    throw isProblem(error) ? misconfigured(`the option prefix is no folder name: ${error.message}`) : error
  }
}

function toCacheControl(value: string | undefined): string {
  if (value !== undefined && !isHeaderValue(value)) throw misconfigured('cacheControl must be a header value')
  return value ?? 'max-age=86400'
}

/**
 * Milliseconds for the body of a request to be on its way: an uplink of 64 KiB/s for each connection is enough. Nobody
 * tells how much of what was written has left the machine, so all of it is waited for.
 */
export function uploadTime(bytes: number): number {
  return Math.ceil(bytes / 65.536)
}

function toWhole(option: string, value: number | undefined, fallback: number): number {
  const number = value ?? fallback
  if (!Number.isSafeInteger(number) || number < 1)
    throw misconfigured(`${option} must be a whole number, 1 or more`)
  return number
}

/** A day at most: what timers take is 25 of them, and some sums of these times are longer. */
function toMilliseconds(option: string, value: number | undefined, fallback: number): number {
  const milliseconds = toWhole(option, value, fallback)
  if (milliseconds > 86_400_000) throw misconfigured(`${option} must be 86,400,000 (a day) or less`)
  return milliseconds
}

function misconfigured(reason: string): Problem {
  return new Problem('Misconfigured', reason)
}
