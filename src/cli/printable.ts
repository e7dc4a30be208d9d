/**
 * Characters that change a terminal or a line: controls, line and paragraph separators, marks of the writing direction,
 * invisible spaces, and lone surrogates. `\` itself never is in a name, so an escape is never ambiguous.
 */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu

/** A text for one line of a terminal: unsafe characters are `\u{…}`. */
export function printable(text: string): string {
  return text.replace(UNSAFE, (character) => `\\u{${codeOf(character)}}`)
}

/** One line of JSON without unsafe characters. It parses to the same value. */
export function toJsonLine(value: unknown): string {
  return JSON.stringify(value).replace(UNSAFE, (character) =>
    Array.from({ length: character.length }, (_, index) => {
      return `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`
    }).join(''),
  )
}

/** The start of a text that fits into so many columns. Characters are up to two columns wide. */
export function clipped(text: string, columns: number, widthOf: (text: string) => number): string {
  if (widthOf(text) <= columns) return text
  let start = ''
  for (const character of text) {
    if (widthOf(start + character) > columns - 1) break
    start += character
  }
  return `${start}…`
}

function codeOf(character: string): string {
  return (character.codePointAt(0) ?? 0).toString(16)
}
