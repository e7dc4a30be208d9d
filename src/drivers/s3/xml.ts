import { lazily } from './load.js'

/** An element of an answer. */
export interface XmlElement {
  readonly name: string
  readonly children: readonly XmlElement[]
  /** The text right in it. */
  readonly text: string
}

/** An answer whose root was closed: half of a list would be a list, too. */
export interface XmlDocument {
  readonly root: XmlElement
  /** The fields of each element of the name that was asked for. */
  readonly rows: readonly XmlRow[]
}

/** An element's children by name. */
export type XmlRow = Readonly<Record<string, string>>

const loadParser = lazily(() => import('./vendor/xml-parser.js'))

/**
 * Parses an answer. `rowName`: what a listing consists of. Undefined: it is not a whole XML document. No entities are
 * defined, none but XML's own five are expanded, and attributes are left out.
 */
export async function parseXml(text: string, rowName?: string): Promise<XmlDocument | undefined> {
  const { Parser } = await loadParser()
  const { rows, rest } = rowName === undefined ? { rows: [], rest: text } : cutRows(text, rowName)
  const document: Draft = { name: '', text: '', children: [] }
  const open: Draft[] = [document]
  let whole = true
  const parser = new Parser(
    {
      onopentagname(name) {
        const element = { name, text: '', children: [] }
        open.at(-1)?.children.push(element)
        open.push(element)
      },
      ontext(piece) {
        const element = open.at(-1)
        if (element) element.text += piece
      },
      onclosetag(_, implied) {
        if (implied) whole = false
        open.pop()
      },
    },
    { xmlMode: true, decodeEntities: true },
  )
  parser.end(rest)
  const [root, more] = document.children
  if (!whole || root === undefined || more !== undefined) return undefined
  if (rowName === undefined || rows.length > 0) return { root, rows }
  return { root, rows: childrenOf(root, rowName).map(toRow) }
}

interface Draft extends XmlElement {
  children: Draft[]
  text: string
}

/** The children of an element that have a name. */
export function childrenOf(element: XmlElement, name: string): readonly XmlElement[] {
  return element.children.filter((child) => child.name === name)
}

/** The text of the first child of a name. */
export function textOf(element: XmlElement, name: string): string | undefined {
  return element.children.find((child) => child.name === name)?.text
}

function toRow(element: XmlElement): XmlRow {
  return Object.fromEntries(element.children.map(({ name, text }) => [name, text]))
}

const FIELD = /<(\w+)>([^<]*)<\/\1>/y

/**
 * Cuts out a run of elements that contain nothing but fields of plain text: nearly all of every listing, which takes
 * the parser four times as long. Whatever looks otherwise is left to the parser as it came.
 */
function cutRows(text: string, name: string): { readonly rows: readonly XmlRow[]; readonly rest: string } {
  const uncut = { rows: [], rest: text }
  const [start, end] = [`<${name}>`, `</${name}>`]
  const begin = text.indexOf(start)
  // In a comment, a CDATA section or a DOCTYPE a row would be none.
  if (begin === -1 || text.includes('<!')) return uncut
  const rows: XmlRow[] = []
  let at = begin
  while (text.startsWith(start, at)) {
    const row: Record<string, string> = {}
    at += start.length
    FIELD.lastIndex = at
    for (let field = FIELD.exec(text); field !== null; field = FIELD.exec(text)) {
      const [, key = '', value = ''] = field
      const decoded = value.includes('&') ? decode(value) : value
      if (decoded === undefined) return uncut
      row[key] = decoded
      at = FIELD.lastIndex
    }
    if (!text.startsWith(end, at)) return uncut
    at += end.length
    rows.push(row)
  }
  const rest = text.slice(0, begin) + text.slice(at)
  return rest.includes(start) ? uncut : { rows, rest }
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
  let known = true
  const decoded = text.replace(/&[^;]*;?/g, (entity) => {
    const character = Object.hasOwn(ENTITIES, entity) ? ENTITIES[entity] : undefined
    known &&= character !== undefined
    return character ?? entity
  })
  return known ? decoded : undefined
}

const ESCAPES: Readonly<Record<string, string>> = {
  '<': '&lt;',
  '>': '&gt;',
  '&': '&amp;',
  '"': '&quot;',
  // Parsers turn a bare one into a line feed.
  '\r': '&#13;',
}

/** Text for an element of a request. */
export function escapeXml(text: string): string {
  return /[<>&"\r]/.test(text)
    ? text.replace(/[<>&"\r]/g, (character) => ESCAPES[character] ?? character)
    : text
}
