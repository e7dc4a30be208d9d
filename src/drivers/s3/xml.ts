import { lazily } from '../../load.js'
import { cutRows, type RowShape, type XmlRow } from './xml-rows.js'

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
  /** The elements of the shape that was asked for. */
  readonly rows: readonly XmlRow[]
}

/** No answer of S3 is half as deep. The parser takes quadratic time for depth, which a hostile server could use. */
const MAX_DEPTH = 16

const loadParser = lazily(() => import('./vendor/xml-parser.js'))

/**
 * Parses an answer. `shape`: what a listing consists of. Undefined: it is not a whole XML document. No entities are
 * defined, none but XML's own five are expanded, and attributes are left out.
 */
export async function parseXml(text: string, shape?: RowShape): Promise<XmlDocument | undefined> {
  const { Parser } = await loadParser()
  const { rows, rest } = shape === undefined ? { rows: [], rest: text } : cutRows(text, shape)
  const document: Draft = { name: '', text: '', children: [] }
  const open: Draft[] = [document]
  let whole = true
  const parser = new Parser(
    {
      onopentagname(name) {
        const element = { name, text: '', children: [] }
        open.at(-1)?.children.push(element)
        if (open.length > MAX_DEPTH) {
          whole = false
          parser.pause()
        }
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
  parser.write(rest)
  if (whole) parser.end()
  const [root, more] = document.children
  if (!whole || root === undefined || more !== undefined) return undefined
  if (shape === undefined || rows.length > 0) return { root, rows }
  const { name, fields } = shape
  const toRow = (element: XmlElement) => fields.map((field) => textOf(element, field) ?? '')
  return { root, rows: childrenOf(root, name).map(toRow) }
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

/** An element with all that is in it, as XML. */
export function xmlOf({ name, children, text }: XmlElement): string {
  const content = children.length > 0 ? children.map(xmlOf).join('') : escapeXml(text)
  return `<${name}>${content}</${name}>`
}
