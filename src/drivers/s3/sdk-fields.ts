import { type HeaderName, headerNames, mapHeaders } from '../../headers.js'
import type { ObjectAttributes, ObjectState, Tagged } from './object-api.js'
import { notFromS3 } from './s3-error.js'

/** The SDK's fields of the headers, each its option in upper camel case: `ContentType`, `CacheControl`, … */
type HeaderFields = { readonly [Header in HeaderName as Capitalize<Header>]?: string | undefined }

function fieldOf<Header extends HeaderName>(header: Header): Capitalize<Header> {
  return `${header.charAt(0).toUpperCase()}${header.slice(1)}` as Capitalize<Header> // What the line makes.
}

/** The fields of a command that attributes become. */
export function fieldsOf(
  attributes: ObjectAttributes | undefined,
): HeaderFields & { readonly Metadata?: Record<string, string> } {
  if (attributes === undefined) return {}
  const fields: Record<string, string | undefined> = {}
  for (const header of headerNames()) fields[fieldOf(header)] = attributes.headers[header]
  return { ...fields, Metadata: { ...attributes.metadata } }
}

interface Output {
  readonly $metadata: { readonly httpStatusCode?: number | undefined }
}

interface ObjectOutput extends HeaderFields, Output {
  readonly Metadata?: Readonly<Record<string, string>> | undefined
  readonly ETag?: string | undefined
  readonly LastModified?: Date | undefined
  readonly ContentLength?: number | undefined
}

/** The state of an object by an output. */
export function stateOf(output: ObjectOutput): ObjectState {
  const { ContentLength, ETag = '', LastModified, Metadata = {} } = output
  const known = Number.isSafeInteger(ContentLength) ? ContentLength : undefined
  return {
    size: isAnswer(output) ? known : (known ?? 0),
    etag: ETag,
    lastModified: LastModified,
    headers: mapHeaders((header) => output[fieldOf(header)]),
    metadata: Metadata,
  }
}

/** Whether a server gave an output: a mocked client's has no status, and may lack what every server's has. */
export function isAnswer({ $metadata }: Partial<Output>): boolean {
  return $metadata?.httpStatusCode !== undefined
}

/** The ETag, which no server's answer about an object lacks. */
export function tagOf(output: Output & { readonly ETag?: string | undefined }): Tagged {
  if (output.ETag === undefined && isAnswer(output)) throw notFromS3(200)
  return { etag: output.ETag ?? '' }
}
