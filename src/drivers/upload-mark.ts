import { crypto } from '../crypto.js'
import { UPLOAD_KEY } from '../metadata.js'
import type { Attributes } from '../types.js'
import type { UploadRequest } from '../upload-driver.js'

type Upload = Pick<UploadRequest, 'name' | 'id'>

/** The attributes with the mark of an upload, by which its file is known again. */
export function withMark(attributes: Attributes, upload: Upload): Attributes {
  return { ...attributes, metadata: { ...attributes.metadata, [UPLOAD_KEY]: markOf(upload) } }
}

/** Whether a file became of an upload. */
export function hasMark({ metadata }: Attributes, upload: Upload): boolean {
  return metadata[UPLOAD_KEY] === markOf(upload)
}

/** Attributes as callers see them. */
export function withoutMark<A extends Attributes>(attributes: A): A {
  if (!Object.hasOwn(attributes.metadata, UPLOAD_KEY)) return attributes
  const { [UPLOAD_KEY]: _, ...metadata } = attributes.metadata
  return { ...attributes, metadata }
}

/** Of both, since an id belongs to one name; and no secret, as the id is one. */
function markOf({ name, id }: Upload): string {
  return crypto().createHash('sha256').update(`${id}\0${name}`).digest('base64url')
}
