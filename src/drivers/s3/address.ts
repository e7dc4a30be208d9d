import { Problem } from '../../errors.js'
import { encodeExtended, encodeExtendedPath } from '../../percent.js'

/** Where the bucket stands in an address: in its path, or in the host name. */
export type Addressing = 'path' | 'virtual'

/** Where the objects of a bucket are. */
export interface BucketAddress {
  /** Scheme, host and port. */
  readonly origin: string
  /** With the port, if it is not the scheme's own. */
  readonly host: string
  /** Everything before the slash and the key; percent-encoded. */
  readonly path: string
}

/** The path of a key, or of the bucket itself. */
export function pathOf({ path }: BucketAddress, key: string | undefined): string {
  if (key !== undefined) return `${path}/${encodeExtendedPath(key)}`
  return path === '' ? '/' : path
}

/** Where a bucket is on a server. `subject` is for the error. */
export function bucketAddress(
  endpoint: string,
  bucket: string,
  addressing: Addressing,
  subject: string,
): BucketAddress {
  const { protocol, host, hostname, pathname } = new URL(endpoint)
  const base = pathname.replace(/\/+$/, '')
  if (addressing === 'path') {
    return { origin: `${protocol}//${host}`, host, path: `${base}/${encodeExtended(bucket)}` }
  }
  if (/^\[|^[\d.]+$/.test(hostname)) {
    throw misconfigured(`${subject} must have a host name for addressing: 'virtual', not an IP address`)
  }
  if (!/^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/.test(bucket.replaceAll('.', '-')) || /\.[.-]|-\./.test(bucket)) {
    throw misconfigured("addressing: 'virtual' needs a bucket whose name can be part of a host name")
  }
  if (protocol === 'https:' && bucket.includes('.')) {
    const reason = "no certificate fits a bucket with a dot in its name: use addressing: 'path'"
    throw misconfigured(`${reason}, or an endpoint by http`)
  }
  return { origin: `${protocol}//${bucket}.${host}`, host: `${bucket}.${host}`, path: base }
}

/**
 * The address of a server, without the bucket that dashboards like to put behind it. It may have a path of its own.
 * `subject` is for the error.
 */
export function toEndpoint(endpoint: string, bucket: string, subject: string): string {
  const url = parseUrl(endpoint)
  const path = url && plainPath(url.pathname)
  if (!url || path === undefined || url.search || url.hash || url.username || url.password) {
    throw misconfigured(
      `${subject} must be the address of the server, such as https://<account>.r2.cloudflarestorage.com, without a query or keys`,
    )
  }
  const end = `/${encodeExtended(bucket)}`
  const base = path.endsWith(end) ? path.slice(0, -end.length) : path
  // These have no paths of their own: it would be another bucket, and the name of this one a folder in it.
  if (base !== '' && (isR2Host(url.host) || isAwsHost(url.host))) {
    throw misconfigured(`${subject} must be the address of the server alone; its path is not the bucket`)
  }
  return url.origin + base
}

/** Whether it is R2 by its own name. Other hosts may ignore a condition, and overwrite. */
export function isR2Host(host: string): boolean {
  return host.endsWith('.r2.cloudflarestorage.com')
}

/** Whether it is AWS by its own name. */
export function isAwsHost(host: string): boolean {
  return /\.amazonaws\.com(?:\.cn)?$/.test(host)
}

/** Encodes a path as signatures need it, without slashes at its end. Undefined if its own encoding is broken. */
function plainPath(pathname: string): string | undefined {
  try {
    return encodeExtendedPath(decodeURIComponent(pathname.replace(/\/+$/, '')))
  } catch {
    return undefined
  }
}

/** An address that `url()` starts with. `subject` is for the error. */
export function toPublicBaseUrl(address: string | undefined, subject: string): string | undefined {
  if (address === undefined) return undefined
  const url = parseUrl(/^[a-z][a-z0-9+.-]*:\/\//i.test(address) ? address : `https://${address}`)
  if (!url || url.search || url.hash || url.username || url.password || address.startsWith('/')) {
    throw misconfigured(`${subject} must be a public address such as https://cdn.example.com`)
  }
  return url.href.replace(/\/+$/, '')
}

function parseUrl(text: string): URL | undefined {
  try {
    const url = new URL(text)
    return url.protocol === 'https:' || url.protocol === 'http:' ? url : undefined
  } catch {
    return undefined
  }
}

function misconfigured(reason: string): Problem {
  return new Problem('Misconfigured', reason)
}
