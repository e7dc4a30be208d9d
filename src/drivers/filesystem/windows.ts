import fs from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { Problem } from '../../errors.js'
import { sleep } from '../../timers.js'
import { hasCode } from './system-errors.js'

export const isWindows = process.platform === 'win32'

/** Milliseconds that a call is tried again. */
const PATIENCE = 2_000
const LONGEST_PAUSE = 100

/**
 * Tries a call again for a while where the file is in use. On Windows a file that is open cannot always be replaced or
 * deleted, and a deleted one stays until its readers have closed it. Virus scanners and indexers open each new file for
 * a moment. Other systems know no such thing, so the call itself is returned there.
 */
export function whileBusy<A extends unknown[], T>(
  call: (...given: A) => Promise<T>,
  toFinalError: (error: unknown) => unknown = (error) => error,
  { isNeeded = isWindows, patience = PATIENCE } = {},
): (...given: A) => Promise<T> {
  if (!isNeeded) return call
  return async (...given) => {
    const end = Date.now() + patience
    for (let pause = 4; ; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
      try {
        return await call(...given)
      } catch (error) {
        if (!isBusy(error)) throw error
        if (Date.now() > end) throw toFinalError(error)
        await sleep(pause)
      }
    }
  }
}

/** Windows has the same errors for a file in use and a lack of rights. */
export function isBusy(error: unknown): boolean {
  return hasCode(error, 'EPERM', 'EBUSY', 'EACCES')
}

export function inUse(cause: unknown): Problem {
  const reason =
    'the file is in use, or the process may not change it; try again when its readers have closed it'
  return new Problem('Unavailable', reason, { cause })
}

/** Does what `O_NOFOLLOW` does elsewhere. Not in one step: a link may take the place of the file afterwards. */
export function refuseLink(path: fs.PathLike): void {
  if (!fs.lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink()) return
  throw Object.assign(new Error('the path is a symbolic link'), { code: 'ELOOP' })
}

const nativeRealpath = promisify(fs.realpath.native)
const realpathByLinks = promisify(fs.realpath)
const lstat = promisify(fs.lstat)

/** Windows gives no answer for RAM disks, and Wine none for long paths. Then the parts of the path are asked for. */
async function realpathByParts(path: string | Buffer): Promise<string> {
  try {
    return await nativeRealpath(path)
  } catch (error) {
    const text = String(path)
    if (!hasCode(error, 'UNKNOWN', 'EISDIR')) throw error
    if ((await lstat(path)).isSymbolicLink()) return realpathByLinks(text)
    return dirname(text) === text ? text : join(await realpathByParts(dirname(text)), basename(text))
  }
}

export const realpath: (path: string | Buffer) => Promise<string> = isWindows
  ? whileBusy(realpathByParts)
  : nativeRealpath
