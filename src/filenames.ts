import sanitizeSegment from 'sanitize-filename'
import { inContext, Problem } from './errors.js'
import { baseName, isReserved, MAX_SEGMENT_BYTES, SUFFIX_LENGTH, truncate } from './names.js'

/**
 * Turns the file name that a user's browser sent into one safe segment: the base name only, NFC, spaces to `_`,
 * letters, marks, digits, `-`, `_` and `.` kept and everything else dropped, short enough to take an alternative's
 * suffix, the extension kept. A name that Windows keeps for a device (`con.txt`) gets a leading `_`.
 *
 * @throws {InvalidNameError} when nothing is left.
 * @example sanitizeFilename('../My Résumé (1).pdf') // 'My_Résumé_1.pdf'
 */
export function sanitizeFilename(filename: string): string {
  return inContext({ operation: 'sanitizeFilename' }, () => sanitize(filename))
}

function sanitize(filename: unknown): string {
  if (typeof filename !== 'string') throw invalid(filename, 'the file name must be a string')
  const base = baseName(filename.toWellFormed().replaceAll('\\', '/')).normalize('NFC').trim()
  // Normalised once more: what is dropped may have stood between a letter and its mark.
  const left = base
    .replace(/\p{Zs}/gu, '_')
    .replace(/[^\p{L}\p{M}\p{N}\-_.]/gu, '')
    .normalize('NFC')
  // Of `🎉.png` only the extension is left, which must stay one.
  const kept = shorten(/^\.[^.]/.test(left) && !base.startsWith('.') ? `_${left}` : left)
  // Before the library, which would leave nothing of a device's name.
  const guarded = DEVICE.test(kept) || isReserved(kept) ? `_${kept}` : kept
  const safe = sanitizeSegment(guarded)
  if (safe === '') throw invalid(filename, 'nothing is left of the file name')
  return safe
}

function invalid(filename: unknown, reason: string): Problem {
  return new Problem('InvalidName', reason, typeof filename === 'string' ? { file: filename } : {})
}

/** Names of Windows devices, also with an extension. Source: "Naming Files, Paths, and Namespaces", Microsoft. */
const DEVICE = /^(?:con|prn|aux|nul|(?:com|lpt)[\d¹²³])(?:\.|$)/i

/** Leaves room for the suffix of an alternative name, and for one more `_`; keeps the extension. */
function shorten(filename: string): string {
  const room = MAX_SEGMENT_BYTES - SUFFIX_LENGTH - 1
  if (Buffer.byteLength(filename) <= room) return filename
  const dot = filename.lastIndexOf('.')
  const extension = dot > 0 ? truncate(filename.slice(dot), 32) : ''
  const stem = dot > 0 ? filename.slice(0, dot) : filename
  return `${truncate(stem, room - Buffer.byteLength(extension))}${extension}`
}
