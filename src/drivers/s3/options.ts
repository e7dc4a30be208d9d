import type { S3Client } from '@aws-sdk/client-s3'
import { isProblem, Problem } from '../../errors.js'
import { isHeaderValue } from '../../headers.js'
import { type Folder, toFolder } from '../../names.js'

/** Keys to sign requests with. */
export interface S3Credentials {
  /** The public half of a key pair. */
  readonly accessKeyId: string
  /** The secret half. */
  readonly secretAccessKey: string
  /** Belongs to temporary credentials only. */
  readonly sessionToken?: string | undefined
  /** When they end; a provider is asked again before that. */
  readonly expiration?: Date | undefined
}

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
  /** Bytes of a part of a large upload, 5 MiB to 5 GiB. 10,000 parts are the most: 78 GiB by default. Default 8 MiB. */
  partSize?: number | undefined
  /** Parts of one upload on their way at a time; each takes `partSize` of memory. Default 4. */
  uploadConcurrency?: number | undefined
  /**
   * How a save finds out that a name is taken. `'condition'`: the server is asked to create only (`If-None-Match`), so
   * that nothing is ever overwritten by accident. A server other than AWS and R2 is tried out before the first such
   * write, on a small object `.stowage/probe-…` that is deleted again; where it has no such writes, they are refused as
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

/** Options of `S3Storage`. */
export interface S3StorageOptions extends S3CommonOptions {
  /** The server's address, `https://s3.example.com`. Default: AWS in the region. */
  endpoint?: string | undefined
  /** Default `us-east-1`. */
  region?: string | undefined
}

/** Options of `R2Storage`. */
export interface R2StorageOptions extends S3CommonOptions {
  /** Cloudflare's account id; or give an `endpoint`. */
  accountId?: string | undefined
  /** The jurisdiction of the bucket, such as `eu`, if it has one. */
  jurisdiction?: string | undefined
  /** `https://<account>.r2.cloudflarestorage.com`; with the bucket as its path, as the dashboard shows it, is fine. */
  endpoint?: string | undefined
  /** Default `auto`. */
  region?: string | undefined
}

/** All options, checked, with their defaults. */
export interface S3Config {
  readonly bucket: string
  /** Without a closing slash; undefined where only the client knows it. */
  readonly endpoint: string | undefined
  readonly region: string
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

/** R2 in the terms of S3. */
export function toS3Options({ accountId, jurisdiction, ...options }: R2StorageOptions): S3StorageOptions {
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
  const { bucket, client, credentials, accessKeyId, secretAccessKey, sessionToken } = options
  if (typeof bucket !== 'string' || !/^[A-Za-z0-9][\w.-]{1,254}$/.test(bucket)) {
    throw misconfigured('bucket must be the name of a bucket')
  }
  if (!client && !credentials && !(accessKeyId && secretAccessKey)) {
    const missing = Object.entries({ accessKeyId, secretAccessKey }).filter(([, value]) => !value)
    throw misconfigured(
      `${missing.map(([option]) => option).join(' and ')} must be given, or a credentials provider, or a client`,
    )
  }
  const partSize = toWhole('partSize', options.partSize, 8 * MIB)
  if (partSize < MIN_PART || partSize > MAX_PART)
    throw misconfigured('partSize must be from 5 MiB to 5 GiB less 5 MiB')
  const region = options.region ?? 'us-east-1'
  const given = options.endpoint ?? (client ? undefined : `https://s3.${region}.amazonaws.com`)
  const endpoint = given === undefined ? undefined : toEndpoint(given, bucket, 'the option endpoint')
  // What is sent to something else by the name of R2 is not taken for R2: it may ignore a condition, and overwrite.
  const host = endpoint === undefined ? '' : new URL(endpoint).hostname
  const isR2 = host.endsWith('.r2.cloudflarestorage.com')
  const isAws = host.endsWith('.amazonaws.com') || host.endsWith('.amazonaws.com.cn')
  return {
    bucket,
    region,
    endpoint,
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

/** Credentials, checked, as a copy. What a file's line break is part of would be no header. */
export function toCredentials(given: S3Credentials): S3Credentials {
  const { accessKeyId, secretAccessKey, expiration } = given
  const sessionToken = given.sessionToken || undefined
  for (const [option, value] of Object.entries({ accessKeyId, secretAccessKey, sessionToken })) {
    if (option === 'sessionToken' && value === undefined) continue
    if (typeof value !== 'string' || !/^[\x21-\x7e]+$/.test(value))
      throw misconfigured(`${option} must be printable ASCII without white space or line breaks`)
  }
  return { accessKeyId, secretAccessKey, sessionToken, expiration: expiration && new Date(expiration) }
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

/** The address of a server, without the bucket that dashboards like to put behind it. `subject` is for the error. */
export function toEndpoint(endpoint: string, bucket: string, subject: string): string {
  const url = parseUrl(endpoint)
  const path = url?.pathname.replace(/\/+$/, '')
  if (
    !url ||
    url.search ||
    url.hash ||
    url.username ||
    url.password ||
    (path !== '' && path !== `/${bucket}`)
  ) {
    throw misconfigured(
      `${subject} must be the address of the server alone, such as https://<account>.r2.cloudflarestorage.com`,
    )
  }
  return url.origin
}

export function toPublicBaseUrl(address: string | undefined, subject: string): string | undefined {
  if (address === undefined) return undefined
  const url = parseUrl(/^[a-z][a-z0-9+.-]*:\/\//i.test(address) ? address : `https://${address}`)
  if (!url || url.search || url.hash || url.username || url.password || address.startsWith('/')) {
    throw misconfigured(`${subject} must be a public address such as https://cdn.example.com`)
  }
  return url.href.replace(/\/+$/, '')
}

/**
 * Milliseconds for the body of a request to be on its way: an uplink of 64 KiB/s for each connection is enough. Nobody
 * tells how much of what was written has left the machine, so all of it is waited for.
 */
export function uploadTime(bytes: number): number {
  return Math.ceil(bytes / 65.536)
}

function parseUrl(text: string): URL | undefined {
  try {
    const url = new URL(text)
    return url.protocol === 'https:' || url.protocol === 'http:' ? url : undefined
  } catch {
    return undefined
  }
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
