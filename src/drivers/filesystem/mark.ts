import { randomInt } from 'node:crypto'
import type { BigIntStats } from 'node:fs'

/**
 * Files with a sidecar have a modification time in whole microseconds, but not in whole milliseconds, which others get
 * from archives and other programs. One in a thousand times has that form by chance: the read of a plain file costs no
 * look for a sidecar. Where the filesystem keeps no finer times, which its own change time tells, all have to be looked for.
 */
export function isMarked({ mtimeNs, ctimeNs }: BigIntStats): boolean {
  return mtimeNs % 1_000n === 0n && (mtimeNs % 1_000_000n !== 0n || ctimeNs % 1_000_000n === 0n)
}

/**
 * The next time for a marked file, in seconds. No two of a process are the same, and those of several processes at the
 * same moment hardly ever: a filesystem gives a new file the inode of one that was just removed, so that only the time
 * tells two versions of a size apart.
 */
export function nextMark(): number {
  lastMark = Math.max(lastMark + 1, markAt(Date.now() * 1000) + randomInt(SKIPPED))
  return timeOf(lastMark) / 1e6
}

let lastMark = 0
const SKIPPED = 16

/**
 * Node hands times over as doubles, and libuv cuts them to microseconds (Node 20, 22) or nanoseconds (Node 24). Of each
 * 1/64 s, 15,625 µs, these 32 stay whole microseconds after both: the next multiple of 2^-21 s, which until 2106 is a
 * double, is less than a nanosecond above them. By how much, in 15,625ths of 2^-21 s, is 1 to 32 in the order before the
 * sort. None of them is a whole millisecond.
 */
const PERIOD = 15_625
const OFFSETS = Array.from({ length: 32 }, (_, index) => ((index + 1) * 11_868) % PERIOD).sort(
  (a, b) => a - b,
)

/** Marks are counted from 1970. This is the first one from a time in microseconds. */
function markAt(time: number): number {
  const period = Math.floor(time / PERIOD)
  const index = OFFSETS.findIndex((offset) => period * PERIOD + offset >= time)
  return period * OFFSETS.length + (index === -1 ? OFFSETS.length : index)
}

function timeOf(mark: number): number {
  return Math.floor(mark / OFFSETS.length) * PERIOD + (OFFSETS[mark % OFFSETS.length] ?? 0)
}
