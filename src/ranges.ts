import { Problem } from './errors.js'
import type { DeliveredRange } from './stored-file.js'
import type { ByteRange } from './types.js'

/**
 * The part that a range selects in a file of `size` bytes. An end past the file's end is clamped. For drivers.
 *
 * @throws {Problem} `RangeNotSatisfiable`, with the size, if the range starts at or past the end.
 */
export function resolveRange(range: ByteRange | undefined, size: number): DeliveredRange {
  if (range === undefined) return { offset: 0, length: size }
  const offset = range.offset < 0 ? Math.max(0, size + range.offset) : range.offset
  if (offset >= size) {
    throw new Problem('RangeNotSatisfiable', `the range starts at byte ${offset}, the file has ${size}`, {
      size,
    })
  }
  return { offset, length: Math.min(range.length ?? Number.POSITIVE_INFINITY, size - offset) }
}
