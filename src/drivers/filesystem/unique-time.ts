import { crypto } from '../../crypto.js'

/** Microseconds by which processes that save in the same moment differ, on average. */
const SPREAD = 16
let last = 0

/**
 * A modification time, in seconds, that this process has given to no file before, and another process hardly ever: a
 * filesystem may give a new file the inode of one that was just removed, so only the time tells two versions of one
 * size apart. `leap`: microseconds to skip, for filesystems with coarse times.
 */
export function uniqueTime(leap = 0): number {
  last = Math.max(last + 1, Date.now() * 1000 + crypto().randomInt(SPREAD)) + leap
  // The middle of a microsecond: Node passes times as doubles, and libuv cuts them to microseconds (Node 20, 22).
  return (last + 0.5) / 1e6
}

/** Attempts to find a time of its own for a version. */
export const TIME_ATTEMPTS = 12

/** Microseconds to skip at an attempt: the last ones cross the two seconds that FAT takes for one time. */
export function leapOf(attempt: number): number {
  return attempt === 0 ? 0 : 4 ** attempt
}
