import { ConfigurationError, isStorageError } from '../errors.js'
import { encodePath } from '../metadata.js'
import { type Folder, type Name, toFolder } from '../names.js'

/** A `prefix` option as the start of keys: `''` or `app/uploads/`. */
export function toPrefix(prefix: string | undefined): string {
  try {
    const folder: Folder = toFolder(prefix ?? '', 'prefix', true)
    return folder === '' ? '' : `${folder}/`
  } catch (error) {
    if (!isStorageError(error)) throw error
    throw new ConfigurationError({
      reason: `the option prefix is no folder name: ${error.message}`,
      cause: error,
    })
  }
}

/** A `baseUrl` option with its closing slash. */
export function toBaseUrl(baseUrl: string | undefined): string {
  const url = baseUrl ?? '/uploads/'
  if (/[?#\s]/.test(url)) {
    throw new ConfigurationError({
      reason: 'the option baseUrl must be a URL or a path, without "?", "#" or white space',
    })
  }
  return url.endsWith('/') ? url : `${url}/`
}

/** The address of a file under a base that ends in `/`. */
export function joinUrl(baseUrl: string, key: Name | string): string {
  return baseUrl + encodePath(key)
}
