import fs from 'node:fs'
import { join } from 'node:path'
import { RESERVED_SEGMENT } from '../../names.js'
import type { Root } from './root.js'
import type { Sidecars } from './sidecar.js'
import { close, futimes, lstat, lstatIfThere, open, tolerate, unlink } from './syscalls.js'
import { tempFolder } from './temp.js'
import { readdirIfThere } from './walk.js'

export const SWEEP_AGE = 24 * 60 * 60 * 1000

/**
 * Removes what crashes left behind, a day old or more: temporary files, and sidecars of versions that are gone. At most
 * once a day for each root, whatever the number of processes; errors are left to the next sweep.
 */
export async function sweep(root: Root, sidecars: Sidecars): Promise<void> {
  const before = Date.now() - SWEEP_AGE
  try {
    if (!(await claim(root, before))) return
    for (const entry of await readdirIfThere(tempFolder(root))) {
      const path = join(tempFolder(root), entry.name)
      if (entry.isFile() && (await isOlder(path, before))) await tolerate(unlink(path), 'ENOENT')
    }
    for (const shard of await readdirIfThere(sidecars.folder)) {
      for (const entry of await readdirIfThere(join(sidecars.folder, shard.name))) {
        const path = join(sidecars.folder, shard.name, entry.name)
        if ((await isOlder(path, before)) && !(await sidecars.isInUse(path)))
          await tolerate(unlink(path), 'ENOENT')
      }
    }
  } catch {
    // Another process may be at it, or the disk fails: nothing that a save should suffer from.
  }
}

/** By the change time: a move gives an old file a temporary name. False if it is gone, as most are in a moment. */
async function isOlder(path: string, before: number): Promise<boolean> {
  const stats = await lstatIfThere(path)
  return stats !== null && Number(stats.ctimeMs) < before
}

/** Whether it is this process that sweeps today. */
async function claim(root: Root, before: number): Promise<boolean> {
  const path = join(root.path, RESERVED_SEGMENT, 'swept')
  const last = await lstat(path).catch(() => null)
  if (last !== null && Number(last.mtimeMs) > before) return false
  const fd = await open(path, fs.constants.O_WRONLY | fs.constants.O_CREAT, 0o644)
  try {
    await futimes(fd, Date.now() / 1000, Date.now() / 1000)
  } finally {
    await close(fd)
  }
  return true
}
