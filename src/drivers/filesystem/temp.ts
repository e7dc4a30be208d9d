import { join } from 'node:path'
import { crypto } from '../../crypto.js'
import { RESERVED_SEGMENT } from '../../names.js'
import type { Root } from './root.js'
import { type Created, create } from './syscalls.js'
import { hasCode } from './system-errors.js'

/** Where unpublished content lies: on the root's own filesystem, out of sight. */
export function tempFolder(root: Root): string {
  return join(root.path, RESERVED_SEGMENT, 'tmp')
}

/** A path that nobody else uses. */
export function tempPath(folder: string): string {
  return join(folder, crypto().randomUUID())
}

/** Makes a new file in the folder of temporary ones. */
export async function createTemp(root: Root, mode: number | null): Promise<Created & { path: string }> {
  const path = tempPath(tempFolder(root))
  try {
    return { path, ...(await create(path, mode)) }
  } catch (error) {
    // A missing folder is made. Making it also finds out whether something else is in the way.
    if (!hasCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) throw error
    const made: string[] = []
    await root.makeDirectory(tempFolder(root), made)
    try {
      return { path, ...(await create(path, mode)) }
    } catch (failure) {
      await root.unmake(made)
      throw failure
    }
  }
}
