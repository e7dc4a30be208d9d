import type { BigIntStats, PathLike } from 'node:fs'
import { join } from 'node:path'
import { crypto } from '../../crypto.js'
import { RESERVED_SEGMENT } from '../../names.js'
import type { Context } from './context.js'
import type { Sidecars } from './sidecars.js'
import { close, create, lstatIfThere, rename, unlink, utimes } from './syscalls.js'
import { tolerate } from './system-errors.js'
import { tempFolder, tempPath } from './temp.js'
import { sweepUploads } from './upload-folder.js'
import { readdirIfThere } from './walk.js'

export const SWEEP_AGE = 24 * 60 * 60 * 1000
/** How long a direct upload is kept to which nothing comes, as on R2. */
const UPLOAD_AGE = 7 * SWEEP_AGE
/** How long the sidecar of a missing file is kept. */
const MISSING_AGE = 30 * SWEEP_AGE
/** Milliseconds that a sweep may take: a process that wants to end waits for it. The next one begins elsewhere. */
const SWEEP_TIME = 5_000

/**
 * Removes what crashes left behind, a day old or more: temporary files, sidecars and aliases of versions that are gone;
 * and direct uploads that were given up. Makes missing aliases. At most once a day for each root, whatever the number of
 * processes; errors are left to the next sweep.
 */
export async function sweep(context: Context): Promise<void> {
  const { root, sidecars } = context
  const start = Date.now()
  const before = start - SWEEP_AGE
  try {
    if (!(await claim(context, before))) return
    for (const entry of await readdirIfThere(tempFolder(root))) {
      const path = join(tempFolder(root), entry.name)
      if (entry.isFile() && (await isOlder(path, before))) await tolerate(unlink(path), 'ENOENT')
    }
    await sweepUploads(context, start - UPLOAD_AGE)
    const shards = await readdirIfThere(sidecars.folder)
    const first = crypto().randomInt(shards.length + 1)
    for (const shard of [...shards.slice(first), ...shards.slice(0, first)]) {
      for (const entry of await readdirIfThere(join(sidecars.folder, shard.name))) {
        if (Date.now() - start > SWEEP_TIME) return
        await sweepSidecar(sidecars, join(sidecars.folder, shard.name, entry.name), before)
      }
    }
  } catch {
    // Another process may be at it, or the disk fails: nothing that a save should suffer from.
  }
}

/**
 * A missing file may come back, with a mount or a folder that is away for a while. So its sidecar gets the time at which
 * it is to go, in the future, as its own time first; it goes when that has passed, and loses it when the file is back.
 */
async function sweepSidecar(sidecars: Sidecars, path: string, before: number): Promise<void> {
  await sidecars.completeAlias(path).catch(() => {})
  const stats = await lstatIfThere(path)
  if (stats === null || Number(stats.ctimeMs) > before || sidecars.isLinkedAlias(path, stats)) return
  const owner = await sidecars.ownerOf(path)
  const expiring = isExpiring(stats)
  if (owner === 'replaced' || (owner === 'missing' && expiring && Number(stats.mtimeMs) < Date.now())) {
    await tolerate(sidecars.removeAt(path), 'ENOENT')
  } else if (owner === 'missing' && !expiring) {
    await markMissing(path)
  } else if (owner === 'current' && expiring) {
    await setTime(path, Date.now())
  }
}

/** Whether a sidecar has the time at which it is to go. */
export function isExpiring({ mtimeMs, ctimeMs }: BigIntStats): boolean {
  return Number(mtimeMs) - Number(ctimeMs) > SWEEP_AGE
}

/** Gives the sidecar of a missing file the time at which it is to go. */
export async function markMissing(path: string): Promise<void> {
  await setTime(path, Date.now() + MISSING_AGE)
}

async function setTime(path: string, milliseconds: number): Promise<void> {
  const time = milliseconds / 1000
  await tolerate(utimes(path, time, time), 'ENOENT')
}

/** By the change time: a move gives an old file a temporary name. False if it is gone, as most are in a moment. */
export async function isOlder(path: PathLike, before: number): Promise<boolean> {
  const stats = await lstatIfThere(path)
  return stats !== null && Number(stats.ctimeMs) < before
}

/** Whether it is this process that sweeps today. The file is made anew: it may be another user's. */
async function claim({ root, fileMode }: Context, before: number): Promise<boolean> {
  const path = join(root.path, RESERVED_SEGMENT, 'swept')
  const last = await lstatIfThere(path)
  if (last !== null && Number(last.mtimeMs) > before) return false
  const temp = tempPath(tempFolder(root)) // Whose folder is there, or the root is gone by now and must not come back.
  const { fd } = await create(temp, fileMode)
  await close(fd)
  await rename(temp, path)
  return true
}
