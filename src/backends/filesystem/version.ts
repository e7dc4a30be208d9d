import type { BigIntStats } from 'node:fs'
import type { ListedFile } from '../../types.js'

/** What a file itself tells. The ETag is the identity of the content, as HTTP wants it: changes whenever that does. */
export function stateOf({ ino, mtimeNs, mtimeMs, size }: BigIntStats): Omit<ListedFile, 'name'> {
  return {
    size: Number(size),
    lastModified: new Date(Number(mtimeMs)),
    etag: `"${ino.toString(16)}-${mtimeNs.toString(16)}-${size.toString(16)}"`,
  }
}
