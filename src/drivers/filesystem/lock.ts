import { join } from 'node:path'
import { crypto } from '../../crypto.js'
import type { Root } from './root.js'
import { CREATE, close, lstatIfThere, open, rename, unlink } from './syscalls.js'
import { hasCode } from './system-errors.js'
import { tempFolder } from './temp.js'

/**
 * Renames a file to a name that must be free, where there are no hard links: a lock file stands for the name meanwhile.
 * Weaker than a link: a process that replaces the name at the same time does not look at the lock. A lock that a crash
 * left makes the name look taken until it is swept. False where the name is taken.
 */
export async function renameUnderLock(root: Root, path: string, target: string): Promise<boolean> {
  const hash = crypto().createHash('sha256').update(target).digest('hex')
  const lock = join(tempFolder(root), `lock-${hash}`)
  try {
    await close(await open(lock, CREATE, 0o600))
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false
    throw error
  }
  try {
    if ((await lstatIfThere(target)) !== null) return false
    await rename(path, target)
    return true
  } finally {
    await unlink(lock).catch(() => {})
  }
}
