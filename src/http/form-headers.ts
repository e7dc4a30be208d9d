import { Problem } from '../errors.js'

/** A header such as `form-data; name="a"`: its value, and its parameters by their names in lower case. */
export interface HeaderWithParameters {
  readonly value: string
  readonly parameters: ReadonlyMap<string, string>
}

/** The headers of a part. */
export interface PartHeaders {
  /** The name of the field. */
  readonly field: string
  /** Base name of the file, or undefined for a field that is not a file. */
  readonly filename: string | undefined
  /** The type that the browser claims. Empty if it claims none. */
  readonly contentType: string
}

/** RFC 2046 §5.1.1, and the few more characters that clients send. */
const BOUNDARY = /^[\x20-\x7e]{0,69}[\x21-\x7e]$/

/**
 * The boundary of a form by the request's `Content-Type`.
 *
 * @throws {Problem} `BadRequest`
 */
export function boundaryOf(contentType: string | undefined): string {
  const { value, parameters } = parseHeader(contentType ?? '')
  if (value !== 'multipart/form-data') {
    throw malformed('the request is no form: its Content-Type must be multipart/form-data')
  }
  const boundary = parameters.get('boundary') ?? ''
  if (!BOUNDARY.test(boundary)) throw malformed('the Content-Type of the form has no valid boundary')
  return boundary
}

/**
 * Reads the headers of a part. Their characters are bytes, as the parser gives them.
 *
 * @throws {Problem} `BadRequest`
 */
export function readPartHeaders(headers: Readonly<Record<string, readonly string[]>>): PartHeaders {
  const [disposition, another] = headers['content-disposition'] ?? []
  if (disposition === undefined || another !== undefined) {
    throw malformed('a part of the form must have one Content-Disposition')
  }
  const { value, parameters } = parseHeader(disposition)
  const name = parameters.get('name')
  if (value !== 'form-data' || name === undefined) throw malformed('a part of the form has no field name')
  const encoding = headers['content-transfer-encoding']?.[0]?.trim() ?? ''
  // RFC 7578 §4.7: deprecated. The encoded bytes would be stored as if they were the file.
  if (!/^(?:|7bit|8bit|binary)$/i.test(encoding))
    throw malformed('a part of the form has a transfer encoding')
  const contentType = headers['content-type']?.[0]?.trim() ?? ''
  const filename = parameters.get('filename')
  if (filename === undefined && /^multipart\//i.test(contentType)) {
    throw malformed('a part of the form has parts of its own')
  }
  return {
    field: decode(name),
    filename: filename === undefined ? undefined : toFilename(ofBytes(filename)),
    contentType,
  }
}

/** The base name of what browsers send as a file name: a path in old ones, with `%22` for quotes in new ones. */
export function toFilename(sent: string): string {
  return unescaped(sent.replace(/^.*[/\\]/s, ''))
}

function decode(bytes: string): string {
  return unescaped(ofBytes(bytes))
}

function ofBytes(bytes: string): string {
  return Buffer.from(bytes, 'latin1').toString()
}

const ESCAPED: Readonly<Record<string, string>> = { '%22': '"', '%0D': '\r', '%0A': '\n' }

/** HTML, "multipart/form-data encoding algorithm": these three are escaped, and no other, not even `%`. */
function unescaped(text: string): string {
  return text.replace(/%(?:22|0D|0A)/gi, (found) => ESCAPED[found.toUpperCase()] ?? found)
}

/**
 * Reads a header with parameters. A parameter that comes twice is refused: whoever checked the request before may have
 * taken the other one.
 *
 * @throws {Problem} `BadRequest`
 */
export function parseHeader(text: string): HeaderWithParameters {
  // A file name of Unix may end in a backslash, which then is no escape of the closing quote.
  const parameters = parametersOf(text, true) ?? parametersOf(text, false)
  if (parameters === undefined) throw malformed('a header of the form is malformed')
  return { value: (/^[^;]*/.exec(text)?.[0] ?? '').trim().toLowerCase(), parameters }
}

/** `escapes`: whether `\"` is a quote inside of a quoted value, as curl and old browsers send it. */
function parametersOf(text: string, escapes: boolean): Map<string, string> | undefined {
  const found = new Map<string, string>()
  const name = /;[ \t]*([\w!#$%&'*+.^`|~-]+)[ \t]*=[ \t]*/y
  const token = /[^\s";]*[ \t]*/y
  name.lastIndex = text.indexOf(';')
  if (name.lastIndex === -1) return found
  while (name.lastIndex < text.length) {
    if (/^[;\s]*$/.test(text.slice(name.lastIndex))) return found
    const [, key] = name.exec(text) ?? []
    if (key === undefined) return undefined
    let end = name.lastIndex
    let value: string
    if (text[end] === '"') {
      const closing = closingQuote(text, end + 1, escapes)
      if (closing === -1) return undefined
      value = text.slice(end + 1, closing)
      if (escapes) value = value.replaceAll('\\"', '"')
      end = closing + 1
      while (text[end] === ' ' || text[end] === '\t') end += 1
    } else {
      token.lastIndex = end
      value = (token.exec(text)?.[0] ?? '').trimEnd()
      end = token.lastIndex
    }
    if (end < text.length && text[end] !== ';') return undefined
    if (found.has(key.toLowerCase())) return undefined
    found.set(key.toLowerCase(), value)
    name.lastIndex = end
  }
  return found
}

function closingQuote(text: string, start: number, escapes: boolean): number {
  let at = text.indexOf('"', start)
  while (escapes && at !== -1 && text[at - 1] === '\\' && at > start) at = text.indexOf('"', at + 1)
  return at
}

/** A form that is not as forms are. */
export function malformed(reason: string, cause?: unknown): Problem {
  return new Problem('BadRequest', reason, { cause })
}
