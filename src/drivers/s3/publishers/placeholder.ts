import { CLAIM_KEY } from '../../../metadata.js'
import type { ObjectAttributes } from '../object-api.js'

/** Attributes of a placeholder: it holds a name until the content comes. Readers of this package do not see it. */
export const PLACEHOLDER: ObjectAttributes = { headers: {}, metadata: { [CLAIM_KEY]: '1' } }

/** Whether an object only holds its name. */
export function isPlaceholder({ metadata }: ObjectAttributes): boolean {
  return Object.hasOwn(metadata, CLAIM_KEY)
}
