import sanitizeSegment from 'sanitize-filename'
import { inContext, Problem } from './errors.js'
import { baseName, isReserved, MAX_SEGMENT_BYTES, SUFFIX_LENGTH, truncate } from './names.js'

/**
 * Turns the file name that a browser sent into one safe segment: the base name in NFC, spaces as `_`. Keeps letters,
 * marks, digits, `-`, `_` and `.`, and drops everything else. Shortens the name so that an alternative's suffix fits,
 * and keeps the extension. A device name of Windows (`con.txt`) gets a leading `_`.
 *
 * @throws {InvalidNameError} when nothing is left.
 * @example sanitizeFilename('../My Résumé (1).pdf') // 'My_Résumé_1.pdf'
 */
export function sanitizeFilename(filename: string): string {
  return inContext({ operation: 'sanitizeFilename' }, () => sanitize(filename))
}

/** The same for functions that name themselves in errors. */
export function sanitize(filename: unknown): string {
  if (typeof filename !== 'string') throw invalid(filename, 'the file name must be a string')
  const base = baseName(filename.toWellFormed().replaceAll('\\', '/')).normalize('NFC').trim()
  // Normalised again: a dropped character may have separated a letter from its mark.
  const left = base
    .replace(/\p{Zs}/gu, '_')
    .replace(/[^\p{L}\p{M}\p{N}\-_.]/gu, '')
    .normalize('NFC')
  // `🎉.png` becomes `_.png`, so that `.png` stays an extension.
  const kept = shorten(/^\.[^.]/.test(left) && !base.startsWith('.') ? `_${left}` : left)
  // Before the library, which would leave nothing of a device's name.
  const guarded = DEVICE.test(kept) || isReserved(kept) ? `_${kept}` : kept
  const safe = sanitizeSegment(guarded)
  if (safe === '') throw invalid(filename, 'the file name has no usable character')
  return safe
}

function invalid(filename: unknown, reason: string): Problem {
  return new Problem('InvalidName', reason, typeof filename === 'string' ? { file: filename } : {})
}

/** Device names of Windows, with or without extension. Source: "Naming Files, Paths, and Namespaces", Microsoft. */
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
