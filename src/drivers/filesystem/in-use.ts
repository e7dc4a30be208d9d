import fs, { type PathLike } from 'node:fs'
import type { Name } from '../../names.js'
import type { Root } from './root.js'
import { lstatIfThere, rename, unlink } from './syscalls.js'
import { hasCode } from './system-errors.js'
import { tempFolder, tempPath } from './temp.js'
import { inUse, isBusy, isWindows, whileBusy } from './windows.js'
import { putBack } from './withdrawal.js'

/** Removes a file. On Windows its name is free at once, also while somebody has it open. */
export async function removeFile(root: Root, path: PathLike): Promise<void> {
  const aside = isWindows ? await moveAside(root, path) : null
  if (aside === null) return unlink(path)
  await unlink(aside).catch(() => {}) // The sweep finds it.
}

/** Null where the file is on another filesystem than the folder of temporary files. */
async function moveAside(root: Root, path: PathLike): Promise<string | null> {
  const aside = tempPath(tempFolder(root))
  try {
    await rename(path, aside)
  } catch (error) {
    if (hasCode(error, 'EXDEV')) return null
    if (!hasCode(error, 'ENOENT') || (await lstatIfThere(path)) === null) throw error
    await root.makeDirectory(tempFolder(root))
    await rename(path, aside)
  }
  return aside
}

/**
 * Renames a file over another in one step. On Windows this fails while somebody has the other one open. If that does not
 * end soon, the other one is moved out of the way first: its name is free for a moment, so the two calls are synchronous.
 */
export async function replaceFile(root: Root, path: string, name: Name): Promise<void> {
  const target = root.pathOf(name)
  if (!isWindows) return rename(path, target)
  try {
    return await renameSoon(path, target)
  } catch (error) {
    if (!isBusy(error)) throw error
  }
  const aside = tempPath(tempFolder(root))
  try {
    fs.renameSync(target, aside)
  } catch (error) {
    throw inUse(error)
  }
  try {
    fs.renameSync(path, target)
  } catch (error) {
    await putBack(root, aside, name)
    throw isBusy(error) ? inUse(error) : error
  }
  await unlink(aside).catch(() => {}) // The sweep finds it.
}

/** Milliseconds that most readers and virus scanners need at most. */
const SOON = 300
const renameSoon = whileBusy(
  (path: string, target: string) => fs.promises.rename(path, target),
  (error) => error,
  { patience: SOON },
)
