import type { Check } from './checks.js'
import type { Body } from './content.js'
import { Problem } from './errors.js'
import type { Folder, Name } from './names.js'
import type { Staged } from './staged.js'
import type { DeliveredRange, OpenBody } from './stored-file.js'
import type { Attributes, ByteRange, FileInfo, ListedFile } from './types.js'
import type { UploadDriver } from './upload-driver.js'

export type { Staged } from './staged.js'

/**
 * The I/O of one backend. `Storage` holds all policy (names, defaults, collisions, limits, errors) and hands a driver
 * input that is checked and complete.
 *
 * - A driver throws whatever happens. `Storage` asks `classify` what it means and adds the operation, the name and the
 *   storage. A driver that knows better throws a `Problem`.
 * - A driver stops soon after its `signal` is aborted, and leaves nothing half-done. What it throws then is ignored.
 * - Names are relative, `/`-separated and in NFC: see `Name`.
 *
 * A backend is one driver and a class of three lines. The cases of `stowage/testing` prove it.
 *
 * @example
 * class MyStorage extends Storage {
 *   constructor(options: MyOptions) {
 *     super(new MyDriver(options))
 *   }
 * }
 */
export interface StorageDriver {
  /** Names the storage, for `toString()` and errors: `FileSystemStorage(/srv/uploads)`. MUST NOT hold a secret. */
  readonly label: string
  /** Bytes that a name may have, at most 1,024. Less where a prefix takes its share. */
  readonly nameLimit: number

  /**
   * Takes the content in, as far as possible without a name. On failure it MUST leave nothing behind. An error of
   * `body.chunks` MUST be thrown on unchanged.
   */
  stage(request: StageRequest): Promise<Staged>
  /**
   * Prepares a copy of a file with its attributes. A missing source MUST be found out here: `NotFound`. With `version`,
   * here or in `publish`, a source of another version MUST be refused with `Unavailable`, and nothing may change.
   */
  stageCopy(request: StageCopyRequest): Promise<Staged>
  /** Opens a file. A missing one is `NotFound`; a range that starts past its end is `RangeNotSatisfiable`. */
  read(request: ReadRequest): Promise<OpenedFile>
  /**
   * Reads a file for somebody who keeps nothing of it, such as a hash. Fails as `read` does; a missing file MUST be
   * `NotFound` before the first piece. Only for backends that can do this with less work than `read`.
   */
  readonly scan?: ((request: ScanRequest) => Promise<void>) | undefined
  /** The state of a file, or null where there is none. MUST throw when the backend cannot tell. */
  head(name: Name, signal: AbortSignal | undefined): Promise<FileState | null>
  /** Whether there is a file. Only for backends that can tell this with less work than `head`. */
  has?(name: Name, signal: AbortSignal | undefined): Promise<boolean>
  /**
   * Deletes at most 1,000 files; a missing one is success. Returns the names that failed, and throws what concerns
   * all of them, such as a dead server. MUST NOT delete a folder.
   */
  remove(names: readonly Name[], signal: AbortSignal | undefined): Promise<readonly RemoveFailure[]>
  /**
   * Deletes (with `dryRun`: counts) all files below a folder, also files whose names break the naming rule. Returns
   * their number. If some fail, the rest MUST be deleted before it throws.
   */
  removeBelow(folder: Name, dryRun: boolean, signal: AbortSignal | undefined): Promise<number>
  /**
   * Removes what crashes left below a folder before a time: temporary files, open uploads, probes, placeholders. MUST NOT
   * touch a file that readers can see. Returns the number of things removed. Leave it out where nobody can tell.
   */
  sweep?(folder: Folder, before: Date, signal: AbortSignal | undefined): Promise<number>
  /**
   * The files below a folder, of all depths, in batches, in UTF-8 byte order of their names. A missing folder has none.
   * Memory MUST NOT grow with the number of files on S3-like backends, nor beyond one folder a level elsewhere.
   * With `after`, names up to and including it are not needed, and may be left out: S3 has `start-after` for this.
   */
  list(folder: Folder, signal: AbortSignal | undefined, after?: string): AsyncIterable<readonly ListedFile[]>
  /**
   * The files and folders of one level, in batches, in UTF-8 byte order of their full names; a folder sorts as its name
   * and `/`. A missing folder has none.
   */
  listdir(folder: Folder, signal: AbortSignal | undefined): AsyncIterable<readonly Entry[]>
  /** The public address. MUST NOT do I/O. */
  locate(name: Name): string
  /** A private address for one file. */
  sign(request: SignRequest): Promise<string>
  /** A private address for one upload. */
  signUpload(request: SignUploadRequest): Promise<SignedRequest>
  /**
   * The permission that a signed address of this storage gives; undefined where its signature is missing, wrong or expired. Only for
   * backends whose addresses lead to the application itself. MUST NOT do I/O.
   */
  verify?(address: SignedAddress): SignedGrant | undefined
  /** Uploads in parts, straight from clients. Without it, `createUploadHandler` is `Unsupported` on this storage. */
  readonly uploads?: UploadDriver | undefined
  /**
   * Where the files below a folder are: for drivers made of other drivers only. `migrate` and `mirror` refuse by it to
   * copy files into themselves.
   */
  placesOf?(folder: Folder): readonly Place[]
  /** What `diagnose` checks about this backend, besides its files: the server and its settings, the disk. */
  checks?(): Promise<readonly Check[]>
  /** Says what an error of this driver means. */
  classify(error: unknown): Problem
}

/** A folder of a driver. */
export interface Place {
  /** The driver that has its files. */
  readonly driver: StorageDriver
  /** The folder, by its name there. */
  readonly folder: Folder
}

/** Where the files below a folder are, by drivers that are made of no others. */
export function placesOf(driver: StorageDriver, folder: Folder): readonly Place[] {
  const places = driver.placesOf?.(folder)
  return places ? places.flatMap((place) => placesOf(place.driver, place.folder)) : [{ driver, folder }]
}

/** Whether there is a file, in the way that costs the driver least. */
export async function hasFile(
  driver: StorageDriver,
  name: Name,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  return driver.has ? driver.has(name, signal) : (await driver.head(name, signal)) !== null
}

/** Removes what crashes left below a folder. `Unsupported` where the backend cannot. */
export async function sweepBelow(
  driver: StorageDriver,
  folder: Folder,
  before: Date,
  signal: AbortSignal | undefined,
): Promise<number> {
  if (driver.sweep) return driver.sweep(folder, before, signal)
  throw new Problem('Unsupported', 'this storage cannot tell what crashes left in it')
}

/** The checks of a backend. Most have none of their own. */
export async function checksOf(driver: StorageDriver): Promise<readonly Check[]> {
  return driver.checks ? driver.checks() : []
}

/** A save: everything checked and resolved. */
export interface StageRequest {
  /** The name that was asked for. `publish` is told the one that the file gets. */
  readonly name: Name
  /** The content. */
  readonly body: Body
  /** The headers and metadata to store. */
  readonly attributes: Attributes
  /** Ends the work when it is aborted. */
  readonly signal: AbortSignal | undefined
  /** Call it with the number of bytes stored so far. What it throws MUST be thrown on. */
  progress(bytes: number): void
}

/** A copy or a move. */
export interface StageCopyRequest {
  /** The source. */
  readonly from: Name
  /** Whether the source is removed once the copy is published. */
  readonly move: boolean
  /**
   * The ETag of the one version that may be copied: somebody has judged it. A move SHOULD leave another version alone
   * that came to the name of the source after that. Undefined: whatever version is there.
   */
  readonly version: string | undefined
  /** The type that the copy MUST get. Undefined: the source's. */
  readonly contentType: string | undefined
  /** Ends the work when it is aborted. */
  readonly signal: AbortSignal | undefined
}

/** The error for a source that is not the `version` of a {@link StageCopyRequest} any more. */
export function sourceReplaced(): Problem {
  return new Problem(
    'Unavailable',
    'the file was replaced while it was judged; nothing was changed: try again',
  )
}

/** The state of a file in a backend. */
export type FileState = Omit<FileInfo, 'name'>

/** One read. */
export interface ReadRequest {
  /** The file. */
  readonly name: Name
  /** Undefined for the whole file. See `resolveRange`. */
  readonly range: ByteRange | undefined
  /** Ends the work when it is aborted. */
  readonly signal: AbortSignal | undefined
}

/** One read of all bytes of a file. */
export interface ScanRequest {
  /** The file. */
  readonly name: Name
  /** Ends the work when it is aborted. */
  readonly signal: AbortSignal | undefined
  /**
   * Call it with the bytes, in order, and all of one version of the file. The memory of a piece may be used again after
   * the call. What it throws MUST be thrown on.
   */
  take(piece: Uint8Array): void
}

/** A file that was opened. */
export interface OpenedFile {
  /** The state of the version that was opened. */
  readonly state: FileState
  /** The bytes that `body` delivers. */
  readonly range: DeliveredRange
  /** The content, not yet read. */
  readonly body: OpenBody
}

/** One name that could not be deleted. */
export interface RemoveFailure {
  /** One of the names given. */
  readonly name: Name
  /** As it was thrown; `Storage` classifies it. */
  readonly error: unknown
}

/** One entry of a folder. */
export interface Entry {
  /** Whether it is a file or a folder. */
  readonly kind: 'file' | 'directory'
  /** Its full name, without a trailing `/`. It may break the naming rule: others put files there, too. */
  readonly name: string
}

/** A signed GET or HEAD. */
export interface SignRequest {
  /** The one method that the address MUST allow. */
  readonly method: 'GET' | 'HEAD'
  /** The file. */
  readonly name: Name
  /** Seconds from `signedAt`. */
  readonly expiresIn: number
  /** The start of the signature's validity. */
  readonly signedAt: Date
  /** The header to answer with. */
  readonly contentDisposition: string | undefined
  /** The type to answer with. */
  readonly contentType: string | undefined
  /** Ends the work when it is aborted. */
  readonly signal: AbortSignal | undefined
}

/** A request to a signed address. */
export interface SignedAddress {
  /** The HTTP method. */
  readonly method: string
  /** The name that the path of the address says. */
  readonly name: Name
  /** The query of the address, with or without its `?`. */
  readonly query: string
}

/** The permission of a signed address. */
export type SignedGrant =
  | {
      /** Reading. */
      readonly method: 'GET' | 'HEAD'
      /** The header to answer with. */
      readonly contentDisposition: string | undefined
      /** The type to answer with. */
      readonly contentType: string | undefined
    }
  | {
      /** One upload. */
      readonly method: 'PUT'
      /** The exact size in bytes. */
      readonly size: number
      /** Whether a taken name is refused. */
      readonly createOnly: boolean
      /** The headers and metadata to store. */
      readonly attributes: Attributes
    }

/** A signed PUT. */
export interface SignUploadRequest {
  /** The name that the upload will have. */
  readonly name: Name
  /** The exact size in bytes. MUST be bound by the signature. */
  readonly size: number
  /** Seconds from `signedAt`. */
  readonly expiresIn: number
  /** The start of the signature's validity. */
  readonly signedAt: Date
  /** Whether a taken name MUST be refused at upload. */
  readonly createOnly: boolean
  /** The headers and metadata to store. */
  readonly attributes: Attributes
  /** Ends the work when it is aborted. */
  readonly signal: AbortSignal | undefined
}

/** An address, and what belongs to it. */
export interface SignedRequest {
  /** The address, to be used within its time. */
  readonly url: string
  /** The headers that the uploader has to send. */
  readonly headers: Record<string, string>
  /** When the credentials of the signature end, if they do. */
  readonly endsAt?: Date | undefined
}
