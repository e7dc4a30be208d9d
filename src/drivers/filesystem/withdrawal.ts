import fs from 'node:fs'
import type { Name } from '../../names.js'
import { FOLDER_ATTEMPTS, type Root } from './root.js'
import { hasCode } from './syscalls.js'
import { tempFolder, tempPath } from './temp.js'

/**
 * Takes a file's name away if it is still the version `ino`: the end of a move. A newer file that was saved under the
 * name meanwhile must stay, so the name is taken away first, then looked at, and a newer file is put back. That hides it
 * for a moment, so one that is seen to be newer before is left alone; and all is synchronous, to make that moment short.
 * If this fails, the file has its name.
 */
export async function removeVersion(root: Root, name: Name, ino: bigint): Promise<void> {
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

/** What is aside may be all that there is of a file that another process has acknowledged. */
async function putBack(root: Root, aside: string, name: Name): Promise<void> {
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
