import { Problem } from './errors.js'
import type { DeliveredRange } from './stored-file.js'
import type { ByteRange } from './types.js'

/** What a range means for a file of `size` bytes: ends are clamped, a start at or past the end is an error. */
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
