import type { FileInfo } from '../types.js'

type Version = Pick<FileInfo, 'etag' | 'lastModified'>

/** The verdict of a request's conditions (RFC 9110, 13.2.2): to go on, `304` or `412`. */
export function judgeConditions(headers: Headers, version: Version): 304 | 412 | undefined {
  const match = headers.get('if-match')
  const unmodified = headers.get('if-unmodified-since')
  if (match !== null) {
    if (!listHas(match, version.etag, false)) return 412
  } else if (unmodified !== null && isNewer(version, unmodified)) return 412
  const noneMatch = headers.get('if-none-match')
  if (noneMatch !== null) return listHas(noneMatch, version.etag, true) ? 304 : undefined
  const modified = headers.get('if-modified-since')
  if (modified === null || Number.isNaN(Date.parse(modified))) return undefined
  return isNewer(version, modified) ? undefined : 304
}

/** Whether a range may be served: the client has the rest of this very version. */
export function rangeHolds(ifRange: string | null, version: Version): boolean {
  if (ifRange === null) return true
  if (ifRange.startsWith('"')) return ifRange === version.etag
  return Date.parse(ifRange) === seconds(version.lastModified)
}

function listHas(list: string, etag: string, weakly: boolean): boolean {
  if (list.trim() === '*') return true
  const tags = list.match(/(?:W\/)?"[^"]*"/g) ?? []
  return tags.some((tag) => tag === etag || (weakly && tag.replace(/^W\//, '') === etag.replace(/^W\//, '')))
}

function isNewer({ lastModified }: Version, date: string): boolean {
  return seconds(lastModified) > Date.parse(date)
}

/** HTTP dates have whole seconds. */
function seconds(date: Date): number {
  return Math.floor(date.getTime() / 1000) * 1000
}
