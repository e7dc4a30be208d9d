/** Percent-encodes all but RFC 3986's unreserved characters: for paths, queries, RFC 8187 and SigV4. */
export function encodeExtended(text: string): string {
  if (/^[\w.~-]*$/.test(text)) return text
  return encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
}

/** The same for each segment of a path. */
export function encodeExtendedPath(path: string): string {
  return /^[\w.~/-]*$/.test(path) ? path : path.split('/').map(encodeExtended).join('/')
}

/** A name for a URL: each segment percent-encoded. */
export function encodePath(name: string): string {
  return name.split('/').map(encodeURIComponent).join('/')
}
