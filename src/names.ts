import { crypto } from './crypto.js'
import { Problem } from './errors.js'

declare const checked: unique symbol
/** A name that has passed the naming rule: relative, `/`-separated, NFC. Drivers get names only in this form. */
export type Name = string & { readonly [checked]: 'name' }
/** A {@link Name} of a folder, or `''` for the root. Without a trailing `/`. */
export type Folder = Name | ''

/** Most bytes of a name: the limit of keys on R2 and S3. */
export const MAX_NAME_BYTES = 1024
/** Most characters of an input. Bounds the work for names that are mostly slashes and `.` segments. */
const LONGEST_INPUT = 8 * MAX_NAME_BYTES
/** Most bytes of a segment: the limit of every common filesystem. */
export const MAX_SEGMENT_BYTES = 255
/** Length of `_` and seven random characters, as in Django. */
export const SUFFIX_LENGTH = 8
/** The folder, at any depth, that is reserved for drivers. */
export const RESERVED_SEGMENT = '.stowage'

/** Most names. They need no rewriting, and only their length can be wrong. */
const PLAIN = /^[\w-][\w.-]*(?:\/[\w-][\w.-]*)*$/

/** The naming rule. Every method applies it before anything else. `limit` is the driver's, in bytes. */
export function toName(input: unknown, limit: number = MAX_NAME_BYTES): Name {
  if (typeof input === 'string' && input.length <= Math.min(limit, MAX_SEGMENT_BYTES) && PLAIN.test(input))
    return input as Name
  const text = normalise(input)
  if (/\/\.?$/.test(text)) throw invalid(input, 'a name must not end in "/" or "/."')
  return check(text, input, limit)
}

/** The rule for folders: as for names, but a trailing `/` is allowed, and with `root` also the empty folder. */
export function toFolder(input: unknown, root: boolean): Folder {
  const text = normalise(input)
  const folder = segmentsOf(text).join('/')
  if (folder === '') {
    if (root && !text.startsWith('/')) return ''
    if (!text.startsWith('/')) throw invalid(input, 'the folder must not be empty')
  }
  return check(text, input, MAX_NAME_BYTES)
}

/** The folder of an option `prefix`. Only a missing one is the root: `null` may come of a variable that is not set. */
export function toOptionalFolder(prefix: string = ''): Folder {
  return toFolder(prefix, true)
}

/** Whether callers can use a listed name unchanged. */
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
  // NFC keeps lone surrogates. On disk all of them become U+FFFD, so two names would be one file.
  if (!input.isWellFormed()) throw invalid(input, 'the name has a lone surrogate, so it is not valid Unicode')
  return input.replaceAll('\\', '/').normalize('NFC')
}

function segmentsOf(text: string): string[] {
  return text.split('/').filter((segment) => segment !== '' && segment !== '.')
}

function check(text: string, input: unknown, limit: number): Name {
  if (/^(?:\/|(?:\.\/+)*[a-z]:\/)/i.test(text))
    throw invalid(
      input,
      'the name must be relative: leave out the leading "/", and pass the name that save() returned, not its url() or a path',
    )
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
  return name as Name // Everything above has checked it.
}

/**
 * Whether a filesystem may treat a segment as the reserved folder. Many ignore case, trailing dots and trailing spaces.
 * Some (APFS, HFS+, ext4 with casefold) fold `ſ` to `s` and `ﬅ` to `st`, or ignore invisible characters.
 */
export function isReserved(segment: string): boolean {
  const folded = /^[\x20-\x7e]*$/.test(segment)
    ? segment
    : segment.replace(/\p{Default_Ignorable_Code_Point}/gu, '').toUpperCase()
  return folded.toLowerCase().replace(/[. ]+$/, '') === RESERVED_SEGMENT
}

function invalid(input: unknown, reason: string): Problem {
  return new Problem('InvalidName', reason, typeof input === 'string' ? { file: input } : {})
}

/** UTF-8 byte order: the order of keys on R2 and S3. JavaScript's own order differs for surrogates. */
export function compareNames(a: string, b: string): number {
  if (a === b) return 0
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i)
    const y = b.charCodeAt(i)
    // A surrogate is part of a code point above U+FFFF.
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
 * Django's alternative for a taken name, `report_Ab3dE9x.pdf`: `_` and seven random characters before the extensions.
 * A part with a space is no extension (`v1.2 final.pdf`). The stem is shortened if the result would be too long.
 * `characters`: seven to take instead of random ones.
 */
export function alternativeName(
  name: Name,
  limit: number = MAX_NAME_BYTES,
  characters: string = randomSuffix(),
): Name {
  const file = baseName(name)
  const directory = name.slice(0, name.length - file.length)
  const { stem, extension } = splitExtensions(file)
  const suffix = `_${characters}`
  const room =
    Math.min(MAX_SEGMENT_BYTES, limit - Buffer.byteLength(directory)) - Buffer.byteLength(suffix + extension)
  const shortened = truncate(stem, room)
  if (shortened === '' && extension !== '') {
    // The extension leaves no room for the stem: the suffix goes to the end.
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
  while (suffix.length < SUFFIX_LENGTH - 1)
    suffix += SUFFIX_ALPHABET[crypto().randomInt(SUFFIX_ALPHABET.length)]
  return suffix
}

/** Seven characters that a seed always gives. */
export function seededSuffix(seed: string): string {
  const bytes = crypto().createHash('sha256').update(seed).digest()
  return [...bytes.subarray(0, SUFFIX_LENGTH - 1)]
    .map((byte) => SUFFIX_ALPHABET[byte % SUFFIX_ALPHABET.length])
    .join('')
}

/** The longest start of `text` within `bytes` bytes of UTF-8. Never cuts a character. */
export function truncate(text: string, bytes: number): string {
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
