import fs from 'node:fs'
import { promisify } from 'node:util'
import { clearTimeout, setTimeout } from '../../timers.js'
import { REST_TIMEOUT, RestingReaders } from '../resting-readers.js'
import { setFileMode } from './modes.js'
import { hasCode } from './system-errors.js'
import { inUse, isWindows, realpath, refuseLink, whileBusy } from './windows.js'

export { isWindows, realpath }

/** The calls of `node:fs` that the backend uses, as promises; the callback form costs less than `fs/promises`. */
const promisedOpen = whileBusy(promisify(fs.open))
const promisedReaddir = promisify(fs.readdir)
const promisedReadFile = promisify(fs.readFile)
const promisedClose = promisify(fs.close)
const promisedCopyFile = promisify(fs.copyFile)
export const write = promisify(fs.write)
export const fsync = promisify(fs.fsync)
export const utimes = promisify(fs.utimes)
export const rmdir = promisify(fs.rmdir)
export const stat = promisify(fs.stat)
export const mkdir = promisify(fs.mkdir)
export const link = whileBusy(promisify(fs.link))
export const unlink = whileBusy(promisify(fs.unlink), inUse)
export const rename = whileBusy(promisify(fs.rename), inUse)

/** Windows does not have these. {@link open} looks for links there; devices have no place in its folders. */
const NOFOLLOW = fs.constants.O_NOFOLLOW ?? 0
const NONBLOCK = fs.constants.O_NONBLOCK ?? 0
/** For reading: never through a link, and never waiting for the other end of a FIFO. */
export const READ = fs.constants.O_RDONLY | NOFOLLOW | NONBLOCK
/** For a file whose times are set, or that is synchronised: Windows wants the right to write for that. */
export const MODIFY = isWindows ? fs.constants.O_RDWR : READ
/** For a file that must be new. */
export const CREATE = fs.constants.O_WRONLY | fs.constants.O_CREAT | fs.constants.O_EXCL | NOFOLLOW

/** Errors of `link` where there are no hard links: FAT, some network and FUSE filesystems. */
export const NO_HARD_LINKS: readonly string[] = [
  ...['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'],
  ...(isWindows ? ['EISDIR'] : []), // libuv's word for the answer of FAT there.
]

/** Readers of the process that may rest with a descriptor each: others of it need some, too, such as its sockets. */
const MAX_RESTING = 128
/** Readers that have a descriptor and rest. */
export const RESTING = new RestingReaders(REST_TIMEOUT, MAX_RESTING)

/** Calls that wait for a free descriptor, in order. */
const waiting = new Set<() => void>()
/** Descriptors are freed by others, too: sockets are. Milliseconds to the next look. */
const RETRY_AFTER = 100
/** Milliseconds without any file closed, after which waiting is given up. */
const PATIENCE = 5_000
let lastClose = 0

/** Opens a file. When the process has no descriptor left, waits for one. */
export async function open(path: fs.PathLike, flags: number, mode?: number): Promise<number> {
  if (isWindows) refuseLink(path)
  return withDescriptor(() => promisedOpen(path, flags, mode))
}

/**
 * The same for reading, without a trip to the thread pool. Undefined where {@link open} has to do it: it waits for
 * descriptors and busy files, and its errors say what is wrong.
 */
export function openNow(path: fs.PathLike): number | undefined {
  if (isWindows) return undefined
  try {
    return fs.openSync(path, READ)
  } catch {
    return undefined
  }
}

export interface Created {
  readonly fd: number
  readonly ino: bigint
  /** See {@link isCoarse}. */
  readonly coarse: boolean
}

/** Whether the filesystem that gave a file this time may keep none finer than milliseconds. */
export function isCoarse(timeOfCreation: bigint): boolean {
  return timeOfCreation % 1_000_000n === 0n
}

/** Creates a file, which must be new, with exactly this mode if one is given. On failure nothing is left of it. */
export async function create(path: string, mode: number | null): Promise<Created> {
  const fd = await open(path, CREATE, mode ?? 0o666)
  try {
    const stats = fstat(fd)
    await setFileMode(fd, stats, mode)
    return { fd, ino: stats.ino, coarse: isCoarse(stats.mtimeNs) }
  } catch (error) {
    await close(fd).catch(() => {})
    await unlink(path).catch(() => {})
    throw error
  }
}

export function readdir(path: string): Promise<fs.Dirent[]> {
  return withKinds(() => promisedReaddir(path, { withFileTypes: true }))
}

/** An entry of a folder, its name as bytes. */
export type RawEntry = Pick<fs.Dirent<Buffer>, 'name' | 'isFile' | 'isDirectory' | 'isSymbolicLink'>

/** The same with names as bytes: they may not be UTF-8. */
export async function readdirRaw(path: Buffer): Promise<readonly RawEntry[]> {
  const entries = await withKinds(() => promisedReaddir(path, { withFileTypes: true, encoding: 'buffer' }))
  const names = entries.map((entry): unknown => entry).filter((entry) => Buffer.isBuffer(entry))
  if (names.length === 0) return entries
  // Bun gives the names alone.
  const found = await Promise.all(
    names.map(async (name) => {
      const stats = await lstatIfThere(Buffer.concat([path, Buffer.from('/'), name]))
      return stats && Object.assign(stats, { name })
    }),
  )
  return found.filter((entry) => entry !== null)
}

/** Listings of a folder in which files keep vanishing. */
const LISTING_ATTEMPTS = 100

/** Some filesystems do not list kinds, so Node looks at each entry, and fails if one has vanished: not for lack of a folder. */
async function withKinds<T>(list: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await withDescriptor(list)
    } catch (error) {
      const isOfEntry = hasCode(error, 'ENOENT') && syscallOf(error) === 'lstat'
      if (!isOfEntry || attempt === LISTING_ATTEMPTS) throw error
    }
  }
}

function syscallOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'syscall' in error ? error.syscall : undefined
}

export function copyFile(from: string, to: string, mode: number): Promise<void> {
  return withDescriptor(() => promisedCopyFile(from, to, mode))
}

/** May take long: some network filesystems send what was written only now, and tell their errors only here. */
export async function close(fd: number): Promise<void> {
  try {
    await promisedClose(fd)
  } finally {
    wakeOne()
  }
}

/**
 * Closes a file that was only read: no failure matters. Synchronous, because nothing is to be written back, and a trip
 * through the thread pool costs more than the close.
 */
export function closeRead(fd: number): void {
  try {
    fs.closeSync(fd)
  } catch {}
  wakeOne()
}

function wakeOne(): void {
  lastClose = Date.now()
  const [oldest] = waiting
  oldest?.()
}

async function withDescriptor<T>(work: () => Promise<T>): Promise<T> {
  for (const start = Date.now(); ; ) {
    try {
      return await work()
    } catch (error) {
      if (!hasCode(error, 'EMFILE', 'ENFILE') || Date.now() - Math.max(start, lastClose) > PATIENCE)
        throw error
      await freedDescriptor()
    }
  }
}

function freedDescriptor(): Promise<void> {
  return new Promise((resolve) => {
    const wake = () => {
      clearTimeout(timer)
      waiting.delete(wake)
      withdraw()
      resolve()
    }
    const withdraw = RESTING.claim()
    const timer = setTimeout(wake, RETRY_AFTER)
    waiting.add(wake)
  })
}

export function lstat(path: fs.PathLike): Promise<fs.BigIntStats> {
  return new Promise((resolve, reject) => {
    fs.lstat(path, { bigint: true }, (error, stats) => (error ? reject(error) : resolve(stats)))
  })
}

/** The room of the filesystem that a path is on. */
export function statfs(path: string): Promise<fs.BigIntStatsFs> {
  return promisify(fs.statfs)(path, { bigint: true })
}

/** Tells how many bytes were read. */
export function read(
  fd: number,
  buffer: Buffer,
  start: number,
  length: number,
  position: number,
): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.read(fd, buffer, start, length, position, (error, bytesRead) =>
      error ? reject(error) : resolve(bytesRead),
    )
  })
}

/** Synchronous: for bytes that the kernel has in memory. */
export function readNow(fd: number, buffer: Buffer, length: number, position: number): number {
  return fs.readSync(fd, buffer, 0, length, position)
}

/** Null where there is nothing, or nothing can be. */
export async function lstatIfThere(path: fs.PathLike): Promise<fs.BigIntStats | null> {
  try {
    return await lstat(path)
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return null
    throw error
  }
}

/** Undefined where there is nothing, or nothing can be. Synchronous: for what the kernel has in memory, as the thread pool costs ten times as much. */
export function lstatNow(path: fs.PathLike): fs.BigIntStats | undefined {
  try {
    return fs.lstatSync(path, { bigint: true, throwIfNoEntry: false })
  } catch (error) {
    if (hasCode(error, 'ENOTDIR', 'ELOOP')) return undefined
    throw error
  }
}

/** Synchronous as well: the inode of an open file is in memory. */
export function setTimes(fd: number, time: number): void {
  fs.futimesSync(fd, time, time)
}

/** Synchronous as well. */
export function fstat(fd: number): fs.BigIntStats {
  return fs.fstatSync(fd, { bigint: true })
}

/** The same for half the price, with times that are cut. */
export function fstatInNumbers(fd: number): fs.Stats {
  return fs.fstatSync(fd)
}

/** The whole of a file below the root's reserved folder, or null if it is not there. */
export async function readText(path: string): Promise<string | null> {
  try {
    return await withDescriptor(() => promisedReadFile(path, 'utf8'))
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return null
    throw error
  }
}

/** Bytes that are read or written at a time: a call cannot be interrupted, and the system takes no 2 GiB at once. */
export const LONGEST_CALL = 64 * 1024 * 1024

/** Writes all of the bytes at the end of what was written before. One `write` may take only a part of them. */
export async function writeAll(fd: number, bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
  for (let written = 0; written < bytes.byteLength; ) {
    signal?.throwIfAborted()
    const length = Math.min(bytes.byteLength - written, LONGEST_CALL)
    written += (await write(fd, bytes, written, length, null)).bytesWritten
  }
}

/** Makes the entries of a directory durable. Windows cannot, and does so by itself. False if it is gone. */
export async function fsyncDirectory(path: fs.PathLike): Promise<boolean> {
  if (isWindows) return true
  let fd: number
  try {
    fd = await open(path, fs.constants.O_RDONLY)
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false
    throw error
  }
  try {
    await fsync(fd)
    return true
  } finally {
    await close(fd)
  }
}
