/**
 * How one segment of a name is written on a disk that Windows uses, too. A character that Windows refuses, or treats in
 * its own way, becomes one of Unicode's private use: U+F000 and its own number, as in WSL and Cygwin. So `a:b` is the
 * file `a`, U+F03A, `b`. All other segments are written as they are.
 *
 * A segment may have such private characters itself. There, and only where it would be misread, a quote goes before it,
 * U+F07F, and the quotes before that are doubled.
 *
 * The written form has no more UTF-16 units than the segment has bytes, so a segment of 255 bytes fits the 255 units of
 * NTFS. On filesystems that count bytes, such as ext4, a private character takes three.
 */

/** For most segments the only test. */
const SUSPECT = /[<>:"|?*~\uf000-\uf07f\u{10ffff}]|[. ]$|^(?:con|prn|aux|nul|com|lpt)/iu

/**
 * Each finds characters to write differently: the quotes before one, and the character, plain or private. No character is
 * in two of them. They are applied in this order, and undone in the other.
 */
const PATTERNS: readonly RegExp[] = [
  // Cut off by Windows.
  /(\uf07f*)([. \uf02e\uf020])$/u,
  // Refused by Windows, a colon as the start of an alternate data stream. libuv ends the process at U+10FFFF.
  /(\uf07f*)([<>:"|?*\u{10ffff}\uf03c\uf03e\uf03a\uf022\uf07c\uf03f\uf02a\uf000])/gu,
  // The first letter of a device, which has its name with every extension, too.
  /^(\uf07f*)([cpanl\uf043\uf050\uf041\uf04e\uf04c\uf063\uf070\uf061\uf06e\uf06c])(?=(?:on|rn|ux|ul|om[\d¹²³]|pt[\d¹²³]|onin\$|onout\$) *(?:\.|$))/i,
  // The tilde of a short name, such as `PROGRA~1`: a second name that Windows gives to a file or folder.
  /(?<=^(?=(?:\uf07f*[^.\uf07f]){2,8}(?:\.|$))(?:\uf07f*[^.\uf07f]){0,6})(\uf07f*)([~\uf07e])(?=\d+(?:\.[^.]{0,3})?$)/,
]

const QUOTE = '\uf07f'
const PRIVATE = 0xf000
const HIGHEST = '\u{10ffff}'

/** Writes a segment for the disk. */
export function encodeSegment(segment: string): string {
  if (!SUSPECT.test(segment)) return segment
  return PATTERNS.reduce((text, pattern) => text.replace(pattern, encodeFound), segment)
}

/** The other way round. A name on the disk that is the form of no segment stands for itself. */
export function decodeSegment(form: string): string {
  if (!SUSPECT.test(form)) return form
  const segment = PATTERNS.reduceRight((text, pattern) => text.replace(pattern, decodeFound), form)
  return encodeSegment(segment) === form ? segment : form
}

function encodeFound(_found: string, quotes: string, character: string): string {
  return quotes + quotes + (isPrivate(character) ? QUOTE + character : toPrivate(character))
}

function decodeFound(found: string, quotes: string, character: string): string {
  if (!isPrivate(character)) return found
  const isQuoted = quotes.length % 2 === 1
  return quotes.slice(0, quotes.length / 2) + (isQuoted ? character : toPlain(character))
}

function isPrivate(character: string): boolean {
  return /[\uf000-\uf07f]/.test(character)
}

function toPrivate(plain: string): string {
  return String.fromCharCode(plain === HIGHEST ? PRIVATE : PRIVATE + plain.charCodeAt(0))
}

function toPlain(character: string): string {
  return character.charCodeAt(0) === PRIVATE
    ? HIGHEST
    : String.fromCharCode(character.charCodeAt(0) - PRIVATE)
}
