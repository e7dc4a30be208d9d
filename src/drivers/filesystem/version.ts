import type { BigIntStats } from 'node:fs'
import type { FileState } from '../../driver.js'
import type { Attributes, ListedFile } from '../../types.js'

/** What identifies a version of a file. */
export type Version = Pick<BigIntStats, 'ino' | 'mtimeNs' | 'size'>

export function isSameVersion(a: Version, b: Version): boolean {
  return a.ino === b.ino && a.mtimeNs === b.mtimeNs && a.size === b.size
}

/** What a file itself tells. The ETag is the identity of the content, as HTTP wants it: changes whenever that does. */
export function stateOf({ ino, mtimeNs, mtimeMs, size }: BigIntStats): Omit<ListedFile, 'name'> {
  return {
    size: Number(size),
    lastModified: new Date(Number(mtimeMs)),
    etag: `"${ino.toString(16)}-${mtimeNs.toString(16)}-${size.toString(16)}"`,
  }
}

/** The same with what is known besides. Not `{ ...a, ...b }`, which takes V8 twenty times as long. */
export function stateWith(attributes: Attributes, version: BigIntStats): FileState {
  return Object.assign(stateOf(version), attributes)
}
