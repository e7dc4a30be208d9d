/** Percent-encoding that leaves only RFC 3986's unreserved characters: right for paths, queries, RFC 8187 and SigV4. */
export function encodeExtended(text: string): string {
  if (/^[\w.~-]*$/.test(text)) return text
  return encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
}

/** The same for the segments of a path. */
export function encodeExtendedPath(path: string): string {
  return /^[\w.~/-]*$/.test(path) ? path : path.split('/').map(encodeExtended).join('/')
}

/** A name in a URL: percent-encoded per segment. */
export function encodePath(name: string): string {
  return name.split('/').map(encodeURIComponent).join('/')
}
