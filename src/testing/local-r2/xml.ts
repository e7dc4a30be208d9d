import { S3Error } from './errors.js'
import { utf8 } from './percent.js'

/** Children in order; a leaf has text only. */
export interface XmlElement {
  readonly name: string
  readonly children: XmlElement[]
  text: string
}

export type XmlContent = string | number | boolean | readonly XmlNode[]
export type XmlNode = readonly [name: string, content: XmlContent] | undefined

const forbidden = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/
const namespace = 'http://s3.amazonaws.com/doc/2006-03-01/'

/** A whole answer; entries that are `undefined` are left out. */
export function xmlDocument(root: string, children: readonly XmlNode[]): string {
  const attribute = root === 'Error' ? '' : ` xmlns="${namespace}"`
  return `<?xml version="1.0" encoding="UTF-8"?>\n<${root}${attribute}>${children.map(render).join('')}</${root}>`
}

function render(node: XmlNode): string {
  if (node === undefined) return ''
  const [name, content] = node
  const inner = typeof content === 'object' ? content.map(render).join('') : escapeText(String(content))
  return `<${name}>${inner}</${name}>`
}

function escapeText(text: string): string {
  return text.replace(
    /[&<>"'\u0000-\u001f\u007f]/g,
    (character) => `&#x${character.charCodeAt(0).toString(16)};`,
  )
}

/** The small part of XML 1.0 that S3 requests use; anything else is MalformedXML, as are characters XML 1.0 forbids. */
export function parseXml(bytes: Buffer, rootName: string): XmlElement {
  const source = utf8(bytes)
  if (source === undefined || forbidden.test(source)) throw malformed()
  // XML 1.0 section 2.11: a literal line end reaches the application as a single line feed.
  const text = source.replace(/\r\n?/g, '\n').replace(/^\ufeff?\s*(?:<\?xml[^>]*\?>)?/, '')
  const document: XmlElement = { name: '', children: [], text: '' }
  const open: XmlElement[] = [document]
  const token = /<(\/?)([A-Za-z_][\w.\-:]*)((?:\s+[\w.\-:]+\s*=\s*(?:"[^"<]*"|'[^'<]*'))*)\s*(\/?)>|([^<]+)/y
  for (let end = 0; end < text.length; end = token.lastIndex) {
    token.lastIndex = end
    const match = token.exec(text)
    const parent = open.at(-1)
    if (match === null || parent === undefined) throw malformed()
    const [, closing, name, , selfClosing, characters] = match
    if (characters !== undefined) {
      parent.text += unescapeText(characters)
    } else if (closing === '/') {
      if (parent.name !== name || open.length === 1) throw malformed()
      open.pop()
    } else {
      const element: XmlElement = { name: name ?? '', children: [], text: '' }
      parent.children.push(element)
      if (selfClosing !== '/') open.push(element)
    }
  }
  const [root, ...others] = document.children
  const complete = open.length === 1 && document.text.trim() === '' && others.length === 0
  if (root === undefined || !complete || root.name !== rootName) throw malformed()
  return root
}

/** The text of the one child of that name. */
export function childText(element: XmlElement, name: string): string | undefined {
  const found = element.children.filter((child) => child.name === name)
  if (found.length > 1) throw malformed()
  return found[0]?.text
}

function unescapeText(text: string): string {
  return text.replace(/&(?:#(\d+)|#x([0-9A-Fa-f]+)|(\w*));?/g, (whole, decimal, hex, name) => {
    if (!whole.endsWith(';')) throw malformed()
    if (name !== undefined) return named(name)
    const code = decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal)
    if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) throw malformed()
    const character = String.fromCodePoint(code)
    if (forbidden.test(character)) throw malformed()
    return character
  })
}

const entities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

function named(name: string): string {
  const character = Object.hasOwn(entities, name) ? entities[name] : undefined
  if (character === undefined) throw malformed()
  return character
}

export function malformed(): S3Error {
  return new S3Error(
    'MalformedXML',
    'The XML you provided was not well-formed or did not validate against our schema.',
  )
}
