import fs from 'node:fs'
import { basename, sep } from 'node:path'
import { decodeSegment, encodeSegment } from './segments.js'
import { isWindows, lstatNow } from './syscalls.js'

/** The path of a name, with each segment in the form that Windows takes. `start`: the root's path, with its separator. */
export function toPortablePath(start: string, name: string): string {
  let folder = start
  for (const segment of name.split('/')) folder += formIn(folder, segment) + sep
  return folder.slice(0, -1)
}

/** The other way round, for a path relative to the root. */
export function fromPortablePath(path: string): string {
  return path.split(sep).map(decodeSegment).join('/')
}

/** A file or folder that another program has put there keeps its own name, unless the form is there as well. */
function formIn(folder: string, segment: string): string {
  const form = encodeSegment(segment)
  // A file that looks like this segment, but is the form of another one, is not meant.
  if (form === segment || decodeSegment(segment) !== segment) return form
  return isOnDisk(folder, segment) && !lstatNow(folder + form) ? segment : form
}

function isOnDisk(folder: string, segment: string): boolean {
  if (!isWindows) return lstatNow(folder + segment) !== undefined
  // A colon would find the stream of another file, and libuv must not see U+10FFFF.
  if (/[<>:"|?*\u{10ffff}]/u.test(segment)) return false
  try {
    // A short name, or one that Windows has cut, leads to a file of another name.
    return basename(fs.realpathSync.native(folder + segment)) === segment
  } catch {
    return false
  }
}
