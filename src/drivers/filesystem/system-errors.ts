import { getSystemErrorMap } from 'node:util'
import { readText } from '../../error-fields.js'
import { Problem, type StorageErrorCode } from '../../errors.js'

/** The meaning of the system's error codes, and how to fix them. */
const SYSTEM_ERRORS: Readonly<Record<string, readonly [StorageErrorCode, string]>> = {
  ENOENT: ['NotFound', 'there is no such file'],
  ENOTDIR: ['NotFound', 'there is no such file'],
  ELOOP: ['NotFound', 'there is no such file'],
  ENXIO: ['NotFound', 'there is no such file'],
  EEXIST: ['AlreadyExists', 'there is something else of this name'],
  EISDIR: ['AlreadyExists', 'there is a folder of this name'],
  ENAMETOOLONG: ['InvalidName', 'the path is longer than the filesystem takes'],
  EACCES: ['PermissionDenied', 'the process may not do this: check owner and mode of the storage folder'],
  EPERM: ['PermissionDenied', 'the process may not do this: check owner and mode of the storage folder'],
  EROFS: ['PermissionDenied', 'the filesystem is mounted read-only'],
  ENOSPC: ['Full', 'the disk is full, or out of inodes: free some space'],
  EDQUOT: ['Full', 'the disk quota is used up'],
  EFBIG: ['Full', 'the file is larger than the filesystem or a limit of the process allows'],
  EMFILE: ['Unavailable', 'the process has too many open files: raise its limit (ulimit -n)'],
  ENFILE: ['Unavailable', 'the system has too many open files'],
  ENOMEM: ['Unavailable', 'the system is out of memory'],
  EAGAIN: ['Unavailable', 'the system is busy'],
  EBUSY: ['Unavailable', 'the file is in use'],
  ETIMEDOUT: ['Unavailable', 'the filesystem does not answer'],
  ESTALE: ['Unavailable', 'the network filesystem has lost the file'],
}

/** The system's own words name paths of the machine, so they are in `cause` only. */
export function classifySystemError(error: unknown): Problem {
  const systemCode = codeOf(error)
  const [code, reason] = SYSTEM_ERRORS[systemCode] ?? ['Unknown', describe(error, systemCode)]
  return new Problem(code, systemCode === '' ? reason : `${reason} (${systemCode})`, { cause: error })
}

/** `ENOENT`, …, or an empty string. */
export function codeOf(error: unknown): string {
  return readText(error, 'code') ?? ''
}

export function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  return codes.includes(codeOf(error))
}

/** Runs `work` and swallows the errors named; any other error passes. */
export async function tolerate(work: Promise<unknown>, ...codes: readonly string[]): Promise<void> {
  try {
    await work
  } catch (error) {
    if (!hasCode(error, ...codes)) throw error
  }
}

function describe(error: unknown, code: string): string {
  if (code === '') return 'an unexpected error, see its cause'
  const errno = typeof error === 'object' && error !== null && 'errno' in error ? error.errno : undefined
  const [, words] = (typeof errno === 'number' && getSystemErrorMap().get(errno)) || []
  return `the filesystem reports an error: ${words ?? 'see its cause'}`
}
