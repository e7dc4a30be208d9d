import { Problem, SourceFailure } from './errors.js'
import { mapHeaders } from './headers.js'
import { allowManyListeners } from './signals.js'
import type {
  AbortOptions,
  AcceptOptions,
  ByteRange,
  CopyOptions,
  DeletePrefixOptions,
  IfExists,
  ListOptions,
  OpenOptions,
  SaveOptions,
  SignedUploadOptions,
  SignedUrlOptions,
} from './types.js'

/** Seconds: the limit of SigV4 and of R2. */
const MAX_EXPIRY = 604_800
/** Seconds: the default age of everything that is cleaned up. */
const WEEK = 7 * 24 * 60 * 60
/** Milliseconds: no `Date` is earlier. */
const EARLIEST = -8.64e15

/** The option names of each method. */
export const ABORT_OPTIONS: OptionNames<AbortOptions> = { signal: true }
export const LIST_OPTIONS: OptionNames<ListOptions> = { ...ABORT_OPTIONS, onInvalidName: true }
export const OPEN_OPTIONS: OptionNames<OpenOptions> = { ...ABORT_OPTIONS, range: true }
export const COPY_OPTIONS: OptionNames<CopyOptions> = { ...ABORT_OPTIONS, ifExists: true }
export const ACCEPT_OPTIONS: OptionNames<AcceptOptions> = {
  ...COPY_OPTIONS,
  maxSize: true,
  allowedTypes: true,
}
export const DELETE_PREFIX_OPTIONS: OptionNames<DeletePrefixOptions> = { ...ABORT_OPTIONS, dryRun: true }
export const SAVE_OPTIONS: OptionNames<SaveOptions> = {
  ...ACCEPT_OPTIONS,
  ...mapHeaders(() => true),
  metadata: true,
  onProgress: true,
  sourceTimeout: true,
}
export const SIGNED_URL_OPTIONS: OptionNames<SignedUrlOptions> = {
  ...ABORT_OPTIONS,
  method: true,
  expiresIn: true,
  download: true,
  contentType: true,
  stableFor: true,
}
export const SIGNED_UPLOAD_OPTIONS: OptionNames<SignedUploadOptions> = {
  ...COPY_OPTIONS,
  size: true,
  contentType: true,
  expiresIn: true,
  cacheControl: true,
  metadata: true,
}

/** The names of all options of a type. A new option does not compile until it is listed here. */
export type OptionNames<Options> = { readonly [Option in keyof Required<Options>]: true }

/** Refuses a misspelt option, for callers without TypeScript. */
export function checkOptions(options: object, known: object): void {
  for (const option in options) {
    if (!Object.hasOwn(known, option)) {
      throw new Problem(
        'InvalidArgument',
        `unknown option "${option}"; known options: ${Object.keys(known).join(', ')}`,
      )
    }
  }
}

/** The same for the options of a constructor: a storage with a misspelt option would be another one. */
export function checkConstructorOptions(options: object, known: object): void {
  if (typeof options !== 'object' || options === null) {
    throw new Problem('Misconfigured', 'the options must be an object')
  }
  for (const option in options) {
    if (!Object.hasOwn(known, option)) {
      const list = Object.keys(known).join(', ')
      throw new Problem('Misconfigured', `there is no option "${option}"; there are ${list}`)
    }
  }
}

/** The time `olderThan` seconds ago: what is older counts as left behind. Default a week. */
export function toCutoff(olderThan: number = WEEK, least = 0): Date {
  if (!Number.isSafeInteger(olderThan) || olderThan < least) {
    throw new Problem('InvalidArgument', `olderThan must be a whole number of seconds, ${least} or more`)
  }
  // An invalid date is neither before nor after any time, so everything might count as old.
  return new Date(Math.max(Date.now() - olderThan * 1000, EARLIEST))
}

/** The signal of the options. Checks both, for callers without TypeScript. */
export function toSignal(options: AbortOptions): AbortSignal | undefined {
  if (typeof options !== 'object' || options === null) {
    throw new Problem('InvalidArgument', 'the options must be an object')
  }
  const { signal } = options
  if (signal !== undefined && typeof signal?.throwIfAborted !== 'function') {
    throw new Problem('InvalidArgument', 'signal must be an AbortSignal')
  }
  if (signal) allowManyListeners(signal)
  return signal
}

/** Checks `ifExists`. */
export function toIfExists(value: IfExists | undefined): IfExists {
  if (value === undefined) return 'rename'
  if (value !== 'rename' && value !== 'overwrite' && value !== 'error') {
    throw new Problem('InvalidArgument', "ifExists must be 'rename', 'overwrite' or 'error'")
  }
  return value
}

/** Checks a range. The whole file is undefined. */
export function toRange(range: ByteRange | undefined): ByteRange | undefined {
  if (range === undefined) return undefined
  const { offset, length } = range ?? {} // `null`, which JSON can contain, has no offset.
  if (
    !Number.isSafeInteger(offset) ||
    (length !== undefined && !(Number.isSafeInteger(length) && length >= 0))
  ) {
    throw new Problem(
      'InvalidArgument',
      'range.offset must be a whole number of bytes, and range.length, if given, one of 0 or more',
    )
  }
  return offset === 0 && length === undefined ? undefined : { offset, length }
}

/** The date of a signature and its lifetime in seconds. A stable URL is signed at the start of its window. */
export function toSigningTimes(
  expiresIn: number | undefined,
  stableFor: number | undefined,
): { signedAt: Date; expiresIn: number } {
  const seconds = expiresIn ?? 3600
  if (!Number.isSafeInteger(seconds) || seconds < 1 || seconds > MAX_EXPIRY) {
    throw new Problem(
      'InvalidArgument',
      `expiresIn must be a whole number of seconds from 1 to ${MAX_EXPIRY}`,
    )
  }
  const now = Math.floor(Date.now() / 1000)
  if (stableFor === undefined) return { signedAt: new Date(now * 1000), expiresIn: seconds }
  if (!Number.isSafeInteger(stableFor) || stableFor < 1 || seconds + stableFor > MAX_EXPIRY) {
    throw new Problem(
      'InvalidArgument',
      `stableFor must be a whole number of seconds, 1 or more, and at most ${MAX_EXPIRY} together with expiresIn`,
    )
  }
  return { signedAt: new Date((now - (now % stableFor)) * 1000), expiresIn: seconds + stableFor }
}

/** Checks `onInvalidName`. */
export function toOnInvalidName({ onInvalidName }: ListOptions): ListOptions['onInvalidName'] {
  if (onInvalidName !== undefined && typeof onInvalidName !== 'function') {
    throw new Problem('InvalidArgument', 'onInvalidName must be a function')
  }
  if (onInvalidName === undefined) return undefined
  return (name) => {
    try {
      onInvalidName(name)
    } catch (error) {
      throw new SourceFailure(error)
    }
  }
}

/** Checks `onProgress`. */
export function toOnProgress({ onProgress }: SaveOptions): SaveOptions['onProgress'] {
  if (onProgress !== undefined && typeof onProgress !== 'function') {
    throw new Problem('InvalidArgument', 'onProgress must be a function')
  }
  return onProgress
}

export function toSourceTimeout({ sourceTimeout }: SaveOptions): number | undefined {
  if (sourceTimeout !== undefined && !(Number.isSafeInteger(sourceTimeout) && sourceTimeout >= 0)) {
    throw new Problem('InvalidArgument', 'sourceTimeout must be a whole number of milliseconds, 0 or more')
  }
  return sourceTimeout
}

/** Reports progress to the caller: never backwards, and at last the total. */
export function progressReporter(onProgress: SaveOptions['onProgress'], total: number | undefined) {
  let reported = -1
  const report = (bytes: number) => {
    if (bytes <= reported) return
    reported = bytes
    if (!onProgress) return
    try {
      onProgress(total === undefined ? { bytes } : { bytes, total })
    } catch (error) {
      throw new SourceFailure(error)
    }
  }
  /** Returns the total. */
  const finish = (): number => {
    const bytes = total ?? Math.max(0, reported)
    report(bytes)
    return bytes
  }
  return { report, finish }
}
