import { dirname } from 'node:path'
import { type CheckOutcome, failed, ok, warning } from '../../checks.js'
import type { Root } from './root.js'
import { lstatIfThere, readdir, stat, statfs } from './syscalls.js'
import { classifySystemError, hasCode } from './system-errors.js'

const MIB = 1024n * 1024n
/** Bytes, and the share of all, below which a disk is nearly full. */
const LITTLE_SPACE = 64n * MIB
const LITTLE_SHARE = 100n

/** Whether the folder is there, or can be made. */
export async function checkRoot({ path }: Root, writable: boolean): Promise<CheckOutcome> {
  const choose = 'Choose a folder by the option location (MEDIA_ROOT).'
  try {
    const entries = (await stat(path)).isDirectory() ? await readdir(path) : undefined
    if (entries) return ok(`The folder ${path} is there.`)
    return failed(`${path} is not a folder.`, choose)
  } catch (error) {
    if (hasCode(error, 'EACCES', 'EPERM')) {
      return failed(
        `The process may not look into the folder ${path}.`,
        'Give its user the right to read the folder and those above it.',
      )
    }
    if (!hasCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) throw classifySystemError(error)
  }
  if (await lstatIfThere(path)) {
    return failed(
      `${path} is a link that leads nowhere.`,
      'Make the folder that it leads to, or remove the link.',
    )
  }
  const above = await nearest(path)
  if (!(await stat(above)).isDirectory()) return failed(`${above} is not a folder.`, choose)
  if (writable) return ok(`The folder ${path} is not there yet; the first save makes it.`)
  return warning(
    `The folder ${path} is not there, so there is nothing to read.`,
    'Check the path, and whether its disk is mounted.',
  )
}

/** The folder itself, or the nearest one above it that is there. */
async function nearest(path: string): Promise<string> {
  for (let found = path; ; found = dirname(found)) {
    if ((await lstatIfThere(found)) !== null || found === dirname(found)) return found
  }
}

/** Whether the disk has room for more files. */
export async function checkSpace(root: Root): Promise<CheckOutcome> {
  const { bavail, blocks, bsize, ffree, files } = await statfs(await nearest(root.path))
  const remedy = 'Free some space, or move the files to a larger disk.'
  if (blocks === 0n) return ok('The filesystem does not say how much space is free.')
  const free = bavail * bsize
  if (bavail === 0n) return failed('The disk is full.', remedy)
  if (files > 0n && ffree === 0n) {
    return failed(
      'The disk has no inodes left: it takes no more files.',
      'Delete small files that nobody needs, or make the filesystem anew with more inodes.',
    )
  }
  const inodes = files === 0n ? '' : ` and ${ffree} inodes`
  const message = `${sizeOf(free)}${inodes} of ${sizeOf(blocks * bsize)} are free.`
  const little = free < LITTLE_SPACE || bavail * LITTLE_SHARE < blocks
  if (little || (files > 0n && ffree * LITTLE_SHARE < files)) {
    return warning(`The disk is nearly full: ${message}`, remedy)
  }
  return ok(message)
}

function sizeOf(bytes: bigint): string {
  return bytes < 10n * 1024n * MIB ? `${bytes / MIB} MiB` : `${bytes / MIB / 1024n} GiB`
}
