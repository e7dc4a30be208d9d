import { randomUUID } from 'node:crypto'
import type { FileState } from '../../driver.js'
import { type HeaderName, headerNames, mapHeaders, pickAttributes } from '../../headers.js'
import { CLAIM_KEY, decodeMetadataValue, encodeMetadataValue, WRITE_ID_KEY } from '../../metadata.js'
import type { Attributes } from '../../types.js'

/** Tells a write of ours from everybody else's, whatever happens to the answer. */
export function newWriteId(): string {
  return randomUUID()
}

/** The SDK's fields of the headers: `ContentType`, `CacheControl`, … */
type HeaderFields = { readonly [Header in HeaderName as Capitalize<Header>]?: string | undefined }

function fieldOf<Header extends HeaderName>(header: Header): Capitalize<Header> {
  return `${header.charAt(0).toUpperCase()}${header.slice(1)}` as Capitalize<Header> // What the line above makes.
}

/** The fields of a Put, Create or Copy command that attributes become. */
export function toCommandFields(
  attributes: Attributes,
  defaultCacheControl: string,
): HeaderFields & {
  readonly ContentType: string
  readonly CacheControl: string
  readonly Metadata: Readonly<Record<string, string>>
} {
  const Metadata: Record<string, string> = {}
  for (const [key, value] of Object.entries(attributes.metadata)) Metadata[key] = encodeMetadataValue(value)
  const fields: Record<string, string | undefined> = {}
  for (const header of headerNames()) fields[fieldOf(header)] = attributes[header]
  const CacheControl = attributes.cacheControl ?? defaultCacheControl
  return { ...fields, ContentType: attributes.contentType, CacheControl, Metadata }
}

/** What Get and Head answer about an object. */
export interface ObjectHeaders extends HeaderFields {
  readonly Metadata?: Readonly<Record<string, string>> | undefined
  readonly ETag?: string | undefined
  readonly LastModified?: Date | undefined
}

export function toFileState(headers: ObjectHeaders, size: number): FileState {
  const metadata: Record<string, string> = {}
  for (const [key, value] of Object.entries(headers.Metadata ?? {})) {
    if (key !== WRITE_ID_KEY) metadata[key] = decodeMetadataValue(value)
  }
  return {
    size,
    etag: headers.ETag ?? '',
    lastModified: headers.LastModified ?? new Date(0),
    ...pickAttributes({ ...mapHeaders((header) => headers[fieldOf(header)]), metadata }),
  }
}

export function isClaim(headers: ObjectHeaders): boolean {
  return headers.Metadata !== undefined && CLAIM_KEY in headers.Metadata
}

export function hasWriteId(headers: ObjectHeaders, writeId: string): boolean {
  return headers.Metadata?.[WRITE_ID_KEY] === writeId
}
