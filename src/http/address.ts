import { isProblem } from '../errors.js'
import { type Name, toName } from '../names.js'

/**
 * The name that the path of an address says, relative to `folder`, or undefined. Each segment is decoded once, and the whole must then be the
 * name by the naming rule: nothing folds into another name, or a check of the address would be one of another file.
 */
export function nameOfPath(path: string, folder: string): Name | undefined {
  try {
    const decoded = path.split('/').map(decodeURIComponent)
    if (decoded.some((segment) => segment === '' || /[/\\]/.test(segment))) return undefined
    const full = decoded.join('/')
    if (!full.startsWith(folder) || toName(full) !== full) return undefined
    return toName(full.slice(folder.length))
  } catch (error) {
    if (isProblem(error) || error instanceof URIError) return undefined
    throw error
  }
}

/**
 * The folder that the addresses of a storage have before their names, beyond `basePath`: that of `prefixed`. `locate`
 * gives the address of a name.
 */
export function folderOf(locate: (name: Name) => string, basePath: string): string {
  const { pathname } = new URL(locate(PROBE), 'http://localhost')
  if (!pathname.startsWith(basePath)) return ''
  return decodeURIComponent(pathname.slice(basePath.length, -PROBE.length))
}

const PROBE = toName('x', 1)
