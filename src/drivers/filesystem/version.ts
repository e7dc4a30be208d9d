import type { BigIntStats } from 'node:fs'
import type { FileState } from '../../driver.js'
import type { Attributes, ListedFile } from '../../types.js'
import { withoutMark } from '../upload-mark.js'

/** The identity of a version of a file. */
export type Version = Pick<BigIntStats, 'ino' | 'mtimeNs' | 'size'>

export function isSameVersion(a: Version, b: Version): boolean {
  return a.ino === b.ino && a.mtimeNs === b.mtimeNs && a.size === b.size
}

/** The state of a file by itself. The ETag changes whenever the content does. */
export function stateOf({ ino, mtimeNs, mtimeMs, size }: BigIntStats): Omit<ListedFile, 'name'> {
  return {
    size: Number(size),
    lastModified: new Date(Number(mtimeMs)),
    etag: `"${ino.toString(16)}-${mtimeNs.toString(16)}-${size.toString(16)}"`,
  }
}

/** The same with its attributes. Not `{ ...a, ...b }`, which takes V8 twenty times as long. */
export function stateWith(attributes: Attributes, version: BigIntStats): FileState {
  return Object.assign(stateOf(version), withoutMark(attributes))
}
