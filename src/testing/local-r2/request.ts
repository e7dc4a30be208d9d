import type { IncomingMessage } from 'node:http'
import { S3Error } from './errors.js'
import { percentDecode, utf8 } from './percent.js'

/** One request as it stood on the wire, path-style: `/bucket/key?query`. */
export class S3Request {
  readonly method: string
  readonly rawPath: string
  readonly rawQuery: string
  /** Lower-case names; a repeated header is joined with a comma, as the signature wants it. */
  readonly headers: ReadonlyMap<string, string>

  constructor(
    readonly incoming: IncomingMessage,
    /** What the path of every request begins with. */
    readonly basePath = '',
  ) {
    const target = incoming.url ?? '/'
    const mark = target.indexOf('?')
    this.method = incoming.method ?? 'GET'
    this.rawPath = mark < 0 ? target : target.slice(0, mark)
    this.rawQuery = mark < 0 ? '' : target.slice(mark + 1)
    this.headers = joinHeaders(incoming.rawHeaders)
  }

  header(name: string): string | undefined {
    return this.headers.get(name)
  }

  /** Every query parameter, decoded, in the order sent. */
  get query(): [name: string, value: string][] {
    return splitQuery(this.rawQuery).map(([name, value]) => [decodeText(name), decodeText(value)])
  }

  get isPresigned(): boolean {
    return splitQuery(this.rawQuery).some(([name]) => name.toLowerCase().startsWith('x-amz-'))
  }

  /** Bucket and key; the key is empty for a request to the bucket itself. */
  get target(): { bucket: string; key: string } {
    if (!this.rawPath.startsWith(`${this.basePath}/`))
      throw new S3Error('InvalidURI', 'The request target must be a path')
    const path = this.rawPath.slice(this.basePath.length)
    const slash = path.indexOf('/', 1)
    const bucket = utf8(percentDecode(slash < 0 ? path.slice(1) : path.slice(1, slash)))
    if (bucket === undefined) throw new S3Error('NoSuchBucket', 'The specified bucket does not exist.')
    return { bucket, key: slash < 0 ? '' : checkedKey(percentDecode(path.slice(slash + 1))) }
  }
}

/** The name of an object, or InvalidObjectName: over 1,024 bytes, or not UTF-8. */
export function checkedKey(bytes: Buffer): string {
  const key = utf8(bytes)
  if (key === undefined || bytes.length > 1024) {
    throw new S3Error('InvalidObjectName', 'The specified object name is not valid.')
  }
  return key
}

/** The query split at `&` and the first `=`, undecoded. */
export function splitQuery(rawQuery: string): [name: string, value: string][] {
  return rawQuery
    .split('&')
    .filter((pair) => pair !== '')
    .map((pair) => {
      const equals = pair.indexOf('=')
      return equals < 0 ? [pair, ''] : [pair.slice(0, equals), pair.slice(equals + 1)]
    })
}

/** In a query string, unlike in a path, `+` is a space. */
export function queryBytes(text: string): Buffer {
  return percentDecode(text.replaceAll('+', ' '))
}

function decodeText(text: string): string {
  const decoded = utf8(queryBytes(text))
  if (decoded === undefined) throw new S3Error('InvalidArgument', 'The query string is not UTF-8')
  return decoded
}

function joinHeaders(raw: readonly string[]): Map<string, string> {
  const headers = new Map<string, string>()
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = raw[index]?.toLowerCase() ?? ''
    const value = raw[index + 1] ?? ''
    const earlier = headers.get(name)
    headers.set(name, earlier === undefined ? value : `${earlier},${value}`)
  }
  return headers
}
