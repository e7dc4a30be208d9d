import { randomUUID } from 'node:crypto'
import type { FileState } from '../../hooks.js'
import {
  type Attributes,
  CLAIM_KEY,
  decodeMetadataValue,
  encodeMetadataValue,
  pickAttributes,
  WRITE_ID_KEY,
} from '../../metadata.js'

/** Tells a write of ours from everybody else's, whatever happens to the answer. */
export function newWriteId(): string {
  return randomUUID()
}

/** The fields of a Put, Create or Copy command that attributes become. */
export function toCommandFields(
  attributes: Attributes,
  defaultCacheControl: string,
  marks: Readonly<Record<string, string>> = {},
) {
  const metadata: Record<string, string> = { ...marks }
  for (const [key, value] of Object.entries(attributes.metadata)) metadata[key] = encodeMetadataValue(value)
  return {
    ContentType: attributes.contentType,
    CacheControl: attributes.cacheControl ?? defaultCacheControl,
    ContentDisposition: attributes.contentDisposition,
    ContentLanguage: attributes.contentLanguage,
    ContentEncoding: attributes.contentEncoding,
    Metadata: metadata,
  }
}

/** What Get and Head answer about an object. */
export interface ObjectHeaders {
  readonly ContentType?: string | undefined
  readonly CacheControl?: string | undefined
  readonly ContentDisposition?: string | undefined
  readonly ContentLanguage?: string | undefined
  readonly ContentEncoding?: string | undefined
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
    ...pickAttributes({
      contentType: headers.ContentType,
      cacheControl: headers.CacheControl,
      contentDisposition: headers.ContentDisposition,
      contentLanguage: headers.ContentLanguage,
      contentEncoding: headers.ContentEncoding,
      metadata,
    }),
  }
}

export function isClaim(headers: ObjectHeaders): boolean {
  return headers.Metadata !== undefined && CLAIM_KEY in headers.Metadata
}

export function hasWriteId(headers: ObjectHeaders, writeId: string): boolean {
  return headers.Metadata?.[WRITE_ID_KEY] === writeId
}
