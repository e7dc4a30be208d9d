import { randomUUID } from 'node:crypto'
import type { FileState } from '../../driver.js'
import { mapHeaders, pickAttributes } from '../../headers.js'
import { decodeMetadataValue, encodeMetadataValue, UPLOAD_KEY, WRITE_ID_KEY } from '../../metadata.js'
import type { Attributes } from '../../types.js'
import type { ObjectAttributes } from './object-api.js'

/** Marks a write of ours, so that it can be known again whatever happens to its answer. */
export function newWriteId(): string {
  return randomUUID()
}

/** A file's attributes as they are stored with the object. */
export function toObjectAttributes(attributes: Attributes, defaultCacheControl: string): ObjectAttributes {
  const metadata: Record<string, string> = {}
  for (const key in attributes.metadata) metadata[key] = encodeMetadataValue(attributes.metadata[key] ?? '')
  const headers = mapHeaders((header) => attributes[header])
  headers.cacheControl ??= defaultCacheControl
  return { headers, metadata }
}

/** A file's state by its object's. */
export function toFileState(
  object: ObjectAttributes & { readonly etag: string; readonly lastModified: Date | undefined },
  size: number,
): FileState {
  const metadata: Record<string, string> = {}
  for (const key in object.metadata) {
    if (key !== WRITE_ID_KEY && key !== UPLOAD_KEY)
      metadata[key] = decodeMetadataValue(object.metadata[key] ?? '')
  }
  return {
    size,
    etag: object.etag,
    lastModified: object.lastModified ?? new Date(0),
    ...pickAttributes({ ...object.headers, metadata }),
  }
}

/** The attributes with the mark of a write. */
export function marked({ headers, metadata }: ObjectAttributes, writeId: string): ObjectAttributes {
  return { headers, metadata: { ...metadata, [WRITE_ID_KEY]: writeId } }
}

/** Whether an object was written by the write of an id. */
export function hasWriteId({ metadata }: ObjectAttributes, writeId: string): boolean {
  return metadata[WRITE_ID_KEY] === writeId
}
