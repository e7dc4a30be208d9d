import type { StorageErrorCode } from '../index.js'

/** The exit codes of the command line. */
export const EXIT = {
  ok: 0,
  missing: 1,
  failed: 2,
  notAuthorised: 3,
  conflict: 4,
  /** As in BSD's `sysexits.h`. */
  usage: 64,
  /** 128 and the number of SIGINT, as shells have it. */
  interrupted: 130,
  /** The same for SIGHUP and SIGTERM. */
  hungUp: 129,
  terminated: 143,
} as const

export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

/** Codes of errors that are not `failed`. */
const BY_CODE: Partial<Record<StorageErrorCode, ExitCode>> = {
  NotFound: EXIT.missing,
  AlreadyExists: EXIT.conflict,
  PermissionDenied: EXIT.notAuthorised,
  InvalidName: EXIT.usage,
  InvalidArgument: EXIT.usage,
  Misconfigured: EXIT.usage,
  Unsupported: EXIT.usage,
}

/** Errors of the machine's own files, by the codes that Node gives them. */
const BY_SYSTEM_CODE: Readonly<Record<string, ExitCode>> = {
  ENOENT: EXIT.missing,
  EACCES: EXIT.notAuthorised,
  EPERM: EXIT.notAuthorised,
  EEXIST: EXIT.conflict,
  EISDIR: EXIT.usage,
  ENOTDIR: EXIT.usage,
}

export function exitCodeOf(code: string): ExitCode {
  const byCode: Readonly<Record<string, ExitCode | undefined>> = { ...BY_SYSTEM_CODE, ...BY_CODE }
  return byCode[code] ?? EXIT.failed
}

/** The one of two exit codes that a command with both ends with. */
export function graver(one: ExitCode, other: ExitCode): ExitCode {
  return one > other ? one : other
}
