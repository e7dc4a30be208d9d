import { CLAIM_KEY } from '../../../metadata.js'
import type { ObjectAttributes } from '../object-api.js'

/** A placeholder of a save that has no upload, and of version 0.1.0. */
const NO_UPLOAD = '1'

/** Bytes of a placeholder: the id of its write. Those of version 0.1.0 are empty. */
const SIZES: readonly number[] = [0, 36]

/** Whether an object may be a placeholder by its size: a listing tells no more. */
export function hasSizeOfPlaceholder({ size }: { readonly size: number | undefined }): boolean {
  return size !== undefined && SIZES.includes(size)
}

/** Attributes of a placeholder: it holds a name until the content comes. Readers of this package do not see it. */
export function placeholderOf(uploadId: string = NO_UPLOAD): ObjectAttributes {
  return { headers: {}, metadata: { [CLAIM_KEY]: uploadId } }
}

/** The upload that a placeholder waits for. */
export function uploadIdOf({ metadata }: ObjectAttributes): string | undefined {
  const found = metadata[CLAIM_KEY]
  return found === NO_UPLOAD ? undefined : found
}

/** Whether an object only holds its name. */
export function isPlaceholder({ metadata }: ObjectAttributes): boolean {
  return Object.hasOwn(metadata, CLAIM_KEY)
}
