/** The form of a listing: elements of a name, and the children of each that are read. */
export interface RowShape {
  readonly name: string
  readonly fields: readonly string[]
}

/** The texts of one row's fields, in the order of its shape; `''` for one that is missing. */
export type XmlRow = readonly string[]

/** Rows that were cut out of a document, and the rest of it. */
export interface CutRows {
  readonly rows: readonly XmlRow[]
  readonly rest: string
}

/**
 * Cuts out a run of elements that contain nothing but fields of plain text: nearly all of every listing, which takes
 * the parser five times as long. Whatever looks otherwise is left to the parser as it came.
 */
export function cutRows(text: string, shape: RowShape): CutRows {
  const uncut = { rows: [], rest: text }
  const start = `<${shape.name}>`
  const begin = text.indexOf(start)
  // In a comment, a CDATA section or a DOCTYPE a row would be none.
  if (begin === -1 || text.includes('<!')) return uncut
  const rows: XmlRow[] = []
  let at = begin
  while (text.startsWith(start, at)) {
    // Rows look alike, so a pattern made of the first one fits nearly all of them.
    const pattern = patternOf(text, at, shape)
    if (pattern === undefined) return uncut
    const { matcher, groups } = pattern
    matcher.lastIndex = at
    for (let match = matcher.exec(text); match !== null; match = matcher.exec(text)) {
      const row: string[] = []
      for (const group of groups) {
        const value = group === undefined ? '' : decode(match[group] ?? '')
        if (value === undefined) return uncut
        row.push(value)
      }
      rows.push(row)
      at = matcher.lastIndex
    }
  }
  const rest = text.slice(0, begin) + text.slice(at)
  return rest.includes(start) ? uncut : { rows, rest }
}

interface RowPattern {
  readonly matcher: RegExp
  /** For each field of the shape its group; undefined: the row has no such field. */
  readonly groups: readonly (number | undefined)[]
}

/** Fields that a row may have before it is left to the parser. */
const MAX_FIELDS = 20
const FIELD = /<(\w+)>[^<]*<\/\1>/y

/** A pattern for rows of the same fields as the one at `at`. Undefined: it has something else in it. */
function patternOf(text: string, at: number, { name, fields }: RowShape): RowPattern | undefined {
  const found: string[] = []
  FIELD.lastIndex = at + name.length + 2
  let end = FIELD.lastIndex
  for (let field = FIELD.exec(text); field !== null; field = FIELD.exec(text)) {
    found.push(field[1] ?? '')
    end = FIELD.lastIndex
    if (found.length > MAX_FIELDS) return undefined
  }
  if (!text.startsWith(`</${name}>`, end)) return undefined
  const source = found.map((field) => `<${field}>([^<]*)</${field}>`).join('')
  const groups = fields.map((field) => (found.includes(field) ? found.lastIndexOf(field) + 1 : undefined))
  return { matcher: new RegExp(`<${name}>${source}</${name}>`, 'y'), groups }
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&lt;': '<',
  '&gt;': '>',
  '&amp;': '&',
  '&quot;': '"',
  '&apos;': "'",
}

/** Undefined where there is more than XML's own five entities. */
function decode(text: string): string | undefined {
  if (!text.includes('&')) return text
  let known = true
  const decoded = text.replace(/&[^;]*;?/g, (entity) => {
    const character = ENTITIES[entity]
    known &&= character !== undefined
    return character ?? entity
  })
  return known ? decoded : undefined
}
