import fs, { type BigIntStats } from 'node:fs'
import { promisify } from 'node:util'
import { Problem } from '../../errors.js'
import { hasCode } from './system-errors.js'
import { isWindows } from './windows.js'

const fchmod = promisify(fs.fchmod)
const chmod = promisify(fs.chmod)

/**
 * Gives a new file its mode, where the umask or the mount gave it another. `mode` null: it stays. Windows has no modes:
 * one without the right to write would make the file read-only.
 */
export async function setFileMode(fd: number, stats: BigIntStats, mode: number | null): Promise<void> {
  if (mode === null || isWindows || modeOf(stats) === mode) return
  await fchmod(fd, mode).catch((error) => refuse(error, 'fileMode', stats, mode))
}

/** The same for a new folder. */
export async function setFolderMode(path: string, mode: number | null): Promise<void> {
  if (mode === null || isWindows) return
  // Synchronous: the kernel has just made it.
  const stats = fs.lstatSync(path, { bigint: true })
  if (modeOf(stats) === mode) return
  await chmod(path, mode).catch((error) => refuse(error, 'directoryMode', stats, mode))
}

function modeOf({ mode }: BigIntStats): number {
  return Number(mode) & 0o7777
}

/** Some mounts give all files one mode, and refuse to change it: FUSE, SMB, FAT, NFS. */
function refuse(cause: unknown, option: string, stats: BigIntStats, mode: number): never {
  if (!hasCode(cause, 'EPERM', 'EACCES', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS')) throw cause
  const [has, wants] = [modeOf(stats), mode].map((each) => `0o${each.toString(8)}`)
  throw new Problem(
    'PermissionDenied',
    `the storage folder refuses the mode ${wants} and gives ${has}: set the option ${option} to ${has}, or to null, which leaves modes to the mount`,
    { cause },
  )
}
