import { Problem } from '../errors.js'
import { encodePath } from '../percent.js'

/** A `baseUrl` option with its closing slash. */
export function toBaseUrl(baseUrl: string | undefined): string {
  const url = baseUrl ?? '/uploads/'
  if (/[?#\s]/.test(url)) {
    throw new Problem(
      'Misconfigured',
      'the option baseUrl must be a URL or a path, without "?", "#" or white space',
    )
  }
  return url.endsWith('/') ? url : `${url}/`
}

/** The address of a file under a base that ends in `/`. */
export function joinUrl(baseUrl: string, key: string): string {
  return baseUrl + encodePath(key)
}
