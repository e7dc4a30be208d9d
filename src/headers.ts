import { encodeDisposition } from './disposition.js'
import { Problem } from './errors.js'
import { contentTypeOf, DEFAULT_CONTENT_TYPE, toContentType } from './media-types.js'
import { toMetadata } from './metadata.js'
import type { Attributes, FileHeaders } from './types.js'

/** One stored header, by the name of its option: `contentType`, `cacheControl`, … */
export type HeaderName = keyof FileHeaders

interface HeaderRule {
  /** Its name in HTTP, in lower case. */
  readonly http: string
  /** Checks a caller's value and gives the one to store. */
  readonly check: (value: unknown, option: string) => string
}

/**
 * The headers that are stored with a file. Options, attributes, S3 fields, sidecars, copies and migrations derive from
 * this table: a new header is one line here, and its documentation in {@link FileHeaders}.
 *
 * On S3 the SDK's field of a header is its option in upper camel case: `ContentType`.
 */
export const HEADERS: { readonly [Header in HeaderName]-?: HeaderRule } = {
  contentType: { http: 'content-type', check: toContentType },
  cacheControl: { http: 'cache-control', check: toHeaderValue },
  contentDisposition: { http: 'content-disposition', check: toDisposition },
  contentLanguage: { http: 'content-language', check: toHeaderValue },
  contentEncoding: { http: 'content-encoding', check: toHeaderValue },
}

let names: readonly HeaderName[] | undefined

/** The keys of {@link HEADERS}, in its order. */
export function headerNames(): readonly HeaderName[] {
  names ??= Object.keys(HEADERS) as HeaderName[] // `Object.keys` knows no literal types.
  return names
}

/** A value for every header. */
export function mapHeaders<T>(value: (header: HeaderName) => T): { [Header in HeaderName]-?: T } {
  const entries = headerNames().map((header) => [header, value(header)] as const)
  return Object.fromEntries(entries) as { [Header in HeaderName]-?: T } // One entry for each.
}

/** Attributes while they are put together. */
type Draft = { -readonly [Field in keyof Attributes]: Attributes[Field] }

/** Any source of attributes. Unset attributes may be missing or undefined. */
export type AttributeSource = { readonly [Field in keyof Attributes]?: Attributes[Field] | undefined }

/** Picks the attributes among other fields. Unset ones are left out. */
export function pickAttributes(from: AttributeSource): Attributes {
  const picked: Draft = {
    contentType: from.contentType ?? DEFAULT_CONTENT_TYPE,
    metadata: { ...from.metadata },
  }
  for (const header of headerNames()) {
    const value = from[header]
    if (value !== undefined) picked[header] = value
  }
  return picked
}

/**
 * The attributes of a save, checked. `defaults` are those of a content that brings its own, such as a file of another
 * storage; the options win. All options are read before this waits for anything.
 */
export async function toAttributes(
  name: string,
  options: FileHeaders & { readonly metadata?: Readonly<Record<string, string>> | undefined },
  defaults: AttributeSource = {},
): Promise<Attributes> {
  const given: Partial<Draft> = {
    metadata: toMetadata(options.metadata === undefined ? defaults.metadata : options.metadata),
  }
  for (const header of headerNames()) {
    const value = isGiven(options[header], header) ? options[header] : defaults[header]
    if (isGiven(value, header)) given[header] = HEADERS[header].check(value, header)
  }
  given.contentType ??= await contentTypeOf(name)
  return pickAttributes(given)
}

/** Browsers give `''` as the type of a file that they do not know. */
function isGiven(value: string | undefined, header: HeaderName): value is string {
  return value !== undefined && !(header === 'contentType' && value === '')
}

/** Whether attributes say more than the name of the file does. */
export async function exceedName(name: string, attributes: Attributes): Promise<boolean> {
  if (attributes.contentType !== (await contentTypeOf(name))) return true
  if (Object.keys(attributes.metadata).length > 0) return true
  return headerNames().some((header) => header !== 'contentType' && attributes[header] !== undefined)
}

/** Whether a value can be sent as an HTTP header. */
export function isHeaderValue(value: unknown): value is string {
  return typeof value === 'string' && /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(value)
}

function toHeaderValue(value: unknown, option: string): string {
  if (isHeaderValue(value)) return value
  throw new Problem(
    'InvalidArgument',
    `${option} must be a header value: printable ASCII without line breaks, no space around it, not empty`,
  )
}

function toDisposition(value: unknown, option: string): string {
  return toHeaderValue(encodeDisposition(value), option)
}
