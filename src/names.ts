import { randomInt } from 'node:crypto'
import { inContext, Problem } from './errors.js'

declare const checked: unique symbol
/** A name that has passed the naming rule: relative, `/`-separated, NFC. Backends never see any other. */
export type Name = string & { readonly [checked]: 'name' }
/** A {@link Name} of a folder, or `''` for the root. Without a trailing `/`. */
export type Folder = Name | ''

/** Bytes a name may have: the limit for keys on R2 and S3. */
export const MAX_NAME_BYTES = 1024
/** Characters beyond which nobody looks whether `.` segments and slashes make up the length. */
const LONGEST_INPUT = 8 * MAX_NAME_BYTES
/** Bytes one segment may have: the limit of every common filesystem. */
const MAX_SEGMENT_BYTES = 255
/** `_` and seven random characters, as Django has it. */
const SUFFIX_LENGTH = 8
/** The folder, at any depth, that backends keep for themselves. */
export const RESERVED_SEGMENT = '.stowage'

/** What most names are like: nothing in them needs to be rewritten, or could be refused but for its length. */
const PLAIN = /^[\w-][\w.-]*(?:\/[\w-][\w.-]*)*$/

/** The rule for names, applied by every method before anything else. `limit` is the backend's, in bytes. */
export function toName(input: unknown, limit: number = MAX_NAME_BYTES): Name {
  if (typeof input === 'string' && input.length <= Math.min(limit, MAX_SEGMENT_BYTES) && PLAIN.test(input))
    return input as Name
  const text = normalise(input)
  if (/\/\.?$/.test(text)) throw invalid(input, 'a name must not end in "/" or "/."')
  return check(text, input, limit)
}

/** The rule for folder arguments: as for names, but a trailing `/` is fine, and so is the root where `root` says so. */
export function toFolder(input: unknown, root: boolean): Folder {
  const text = normalise(input)
  const folder = segmentsOf(text).join('/')
  if (folder === '') {
    if (root && !text.startsWith('/')) return ''
    if (!text.startsWith('/')) throw invalid(input, 'the folder must not be empty')
  }
  return check(text, input, MAX_NAME_BYTES)
}

/** Tells whether a name found in a backend is one that callers can use as it is. */
export function isName(text: string): text is Name {
  try {
    return toName(text) === text
  } catch {
    return false
  }
}

function normalise(input: unknown): string {
  if (typeof input !== 'string') {
    throw invalid(input, `a name must be a string, not ${input === null ? 'null' : typeof input}`)
  }
  if (input.length > LONGEST_INPUT) throw invalid(input, `the name is longer than ${MAX_NAME_BYTES} bytes`)
  // Checked before NFC, which would leave a lone surrogate alone; two of them are one file on disk (U+FFFD).
  if (!input.isWellFormed()) throw invalid(input, 'the name has a lone surrogate, so it is not valid Unicode')
  return input.replaceAll('\\', '/').normalize('NFC')
}

function segmentsOf(text: string): string[] {
  return text.split('/').filter((segment) => segment !== '' && segment !== '.')
}

function check(text: string, input: unknown, limit: number): Name {
  if (/^(?:\/|(?:\.\/+)*[a-z]:\/)/i.test(text))
    throw invalid(input, 'the name must be relative, not absolute')
  if (/\p{Cc}/u.test(text)) throw invalid(input, 'the name has a control character')
  const segments = segmentsOf(text)
  if (segments.length === 0) throw invalid(input, 'the name is empty')
  for (const segment of segments) {
    if (segment === '..') throw invalid(input, 'the name has a ".." segment')
    if (Buffer.byteLength(segment) > MAX_SEGMENT_BYTES) {
      throw invalid(input, `a segment of the name is longer than ${MAX_SEGMENT_BYTES} bytes`)
    }
    if (isReserved(segment)) {
      throw invalid(input, `"${RESERVED_SEGMENT}" is reserved for the storage itself`)
    }
  }
  const name = segments.join('/')
  if (Buffer.byteLength(name) > limit) {
    throw invalid(
      input,
      `the name is longer than ${limit} bytes${limit < MAX_NAME_BYTES ? ' (the prefix takes the rest)' : ''}`,
    )
  }
  return name as Name // The one place where the brand is given: everything above has been checked.
}

/**
 * Whether some filesystem takes a segment for the reserved folder: many do not tell case apart, nor trailing dots and
 * spaces; some (APFS, HFS+, ext4 with casefold) fold `ſ` and `ﬅ` like `s` and `st`, or pass over what cannot be seen.
 */
function isReserved(segment: string): boolean {
  const folded = /^[\x20-\x7e]*$/.test(segment)
    ? segment
    : segment.replace(/\p{Default_Ignorable_Code_Point}/gu, '').toUpperCase()
  return folded.toLowerCase().replace(/[. ]+$/, '') === RESERVED_SEGMENT
}

function invalid(input: unknown, reason: string): Problem {
  return new Problem('InvalidName', reason, typeof input === 'string' ? { file: input } : {})
}

/** UTF-8 byte order, the order of keys on R2 and S3. JavaScript's own differs where surrogates come in. */
export function compareNames(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i)
    const y = b.charCodeAt(i)
    // A surrogate stands for a code point above all that one unit can hold.
    if (x !== y) return isSurrogate(x) === isSurrogate(y) ? x - y : isSurrogate(x) ? 1 : -1
  }
  return a.length - b.length
}

function isSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdfff
}

/** The last segment. */
export function baseName(name: string): string {
  return name.slice(name.lastIndexOf('/') + 1)
}

/**
 * Django's alternative for a taken name, `report_Ab3dE9x.pdf`: seven random characters before all of its extensions,
 * except where what follows a dot has a space in it, which no extension has (`v1.2 final.pdf`). The stem is shortened
 * where the result would be too long.
 */
export function alternativeName(name: Name, limit: number = MAX_NAME_BYTES): Name {
  const file = baseName(name)
  const directory = name.slice(0, name.length - file.length)
  const { stem, extension } = splitExtensions(file)
  const suffix = `_${randomSuffix()}`
  const room =
    Math.min(MAX_SEGMENT_BYTES, limit - Buffer.byteLength(directory)) - Buffer.byteLength(suffix + extension)
  const shortened = truncate(stem, room)
  if (shortened === '' && extension !== '') {
    // Nobody has an extension of that length; the suffix goes to the end.
    const whole = truncate(file, room + Buffer.byteLength(extension))
    if (whole !== '') return toName(`${directory}${whole}${suffix}`, limit)
  }
  if (shortened === '') {
    throw invalid(name, 'the name is taken and too long to take the suffix of an alternative name')
  }
  return toName(`${directory}${shortened}${suffix}${extension}`, limit)
}

/** `a.tar.gz` → `a` + `.tar.gz`; `.env` → `.env`; `v1.2 final.pdf` → `v1.2 final` + `.pdf`. */
function splitExtensions(file: string): { stem: string; extension: string } {
  const match = /^(\.*[^.].*?)((?:\.[^.\s]+)+)$/su.exec(file)
  return match?.[1] === undefined || match[2] === undefined
    ? { stem: file, extension: '' }
    : { stem: match[1], extension: match[2] }
}

const SUFFIX_ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'

function randomSuffix(): string {
  let suffix = ''
  while (suffix.length < SUFFIX_LENGTH - 1) suffix += SUFFIX_ALPHABET[randomInt(SUFFIX_ALPHABET.length)]
  return suffix
}

/** The longest start of `text` that has at most `bytes` bytes of UTF-8 and does not cut a character. */
function truncate(text: string, bytes: number): string {
  if (bytes <= 0) return ''
  if (Buffer.byteLength(text) <= bytes) return text
  let kept = ''
  let used = 0
  for (const character of text) {
    used += Buffer.byteLength(character)
    if (used > bytes) break
    kept += character
  }
  return kept
}

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

/** The same for functions that name themselves in errors. */
export function sanitize(filename: unknown): string {
  if (typeof filename !== 'string') throw invalid(filename, 'the file name must be a string')
  const base = baseName(filename.toWellFormed().replaceAll('\\', '/')).normalize('NFC').trim()
  // Normalised once more: what is dropped may have stood between a letter and its mark.
  const left = base
    .replace(/\p{Zs}/gu, '_')
    .replace(/[^\p{L}\p{M}\p{N}\-_.]/gu, '')
    .normalize('NFC')
  // Of `🎉.png` only the extension is left, which must stay one.
  const kept = shorten(/^\.[^.]/.test(left) && !base.startsWith('.') ? `_${left}` : left)
  // Windows drops trailing dots.
  const safe = kept.replace(/\.+$/, '')
  if (safe === '') throw invalid(filename, 'nothing is left of the file name')
  return DEVICE.test(safe) || isReserved(safe) ? `_${safe}` : safe
}

/** What Windows keeps for devices, also with an extension. Source: "Naming Files, Paths, and Namespaces", Microsoft. */
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
