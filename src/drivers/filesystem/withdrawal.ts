import fs from 'node:fs'
import type { Name } from '../../names.js'
import { FOLDER_ATTEMPTS, type Root } from './root.js'
import { hasCode } from './system-errors.js'
import { tempFolder, tempPath } from './temp.js'
import { inUse, whileBusy } from './windows.js'

/**
 * Removes a file if it is still the version `ino`: the end of a move. A newer file, saved under the name meanwhile, must
 * stay. So the file gets a temporary name first, is looked at again, and a newer one is put back. This hides a newer file
 * for a moment. To make that rare and short, a look goes before, and everything is synchronous. If this fails, the file
 * still has its name.
 */
export const removeVersion = whileBusy(removeVersionNow, inUse)

async function removeVersionNow(root: Root, name: Name, ino: bigint): Promise<void> {
  const path = root.pathOf(name)
  const aside = tempPath(tempFolder(root))
  try {
    if (inodeOf(path) !== ino) return
    fs.renameSync(path, aside)
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return
    if (!hasCode(error, 'EXDEV')) throw error
    fs.unlinkSync(path)
    return
  }
  try {
    if (inodeOf(aside) === ino) return fs.unlinkSync(aside)
  } catch (error) {
    await putBack(root, aside, name)
    throw error
  }
  await putBack(root, aside, name)
}

/** The file that is aside may be the only name of one that another process has acknowledged. */
export async function putBack(root: Root, aside: string, name: Name): Promise<void> {
  const path = root.pathOf(name)
  for (let attempt = 1; ; attempt++) {
    try {
      fs.linkSync(aside, path)
      break
    } catch (error) {
      // An even newer file may have the name by now.
      if (fs.lstatSync(path, { throwIfNoEntry: false })) break
      if (!hasCode(error, 'ENOENT') || attempt === FOLDER_ATTEMPTS) return fs.renameSync(aside, path)
    }
    // Since the name was taken away, its folder may have been empty, and removed.
    if (!(await root.hasParent(name))) await root.makeFolders(name, [])
  }
  fs.unlinkSync(aside)
}

function inodeOf(path: string): bigint {
  return fs.lstatSync(path, { bigint: true }).ino
}
