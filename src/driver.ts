import type { Body } from './content.js'
import type { Problem } from './errors.js'
import type { Folder, Name } from './names.js'
import type { DeliveredRange, OpenBody } from './stored-file.js'
import type { Attributes, ByteRange, FileInfo, ListedFile } from './types.js'

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
  /** What the storage is, for `toString()` and errors: `FileSystemStorage(/srv/uploads)`. MUST NOT hold a secret. */
  readonly label: string
  /** Bytes that a name may have, at most 1,024. Less where a prefix takes its share. */
  readonly nameLimit: number

  /**
   * Takes the content in, as far as possible without a name. On failure it MUST leave nothing behind. An error of
   * `body.chunks` MUST be thrown on unchanged.
   */
  stage(request: StageRequest): Promise<Staged>
  /** Prepares a copy of a file with its attributes. A missing source MUST be found out here: `NotFound`. */
  stageCopy(request: StageCopyRequest): Promise<Staged>
  /** Opens a file. A missing one is `NotFound`; a range that starts past its end is `RangeNotSatisfiable`. */
  read(request: ReadRequest): Promise<OpenedFile>
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
   * What a signed address of this storage allows; undefined where its signature is missing, wrong or expired. Only for
   * backends whose addresses lead to the application itself. MUST NOT do I/O.
   */
  verify?(address: SignedAddress): SignedGrant | undefined
  /** Says what an error of this driver means. */
  classify(error: unknown): Problem
}

/** Whether there is a file, in the way that costs the driver least. */
export async function hasFile(
  driver: StorageDriver,
  name: Name,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  return driver.has ? driver.has(name, signal) : (await driver.head(name, signal)) !== null
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
  /** Ends the work when it is aborted. */
  readonly signal: AbortSignal | undefined
}

/** Content on its way: nobody sees it until it is published. */
export interface Staged {
  /**
   * Makes the content visible under `name`, in one step, as durable as the backend promises. With `createOnly` a taken
   * name MUST be left alone, without a race, and the answer is false; the next call has another name.
   */
  publish(name: Name, createOnly: boolean): Promise<boolean>
  /** Frees whatever is left. Called once, in any case. MUST NOT fail. */
  discard(): Promise<void>
}

/** What a backend knows about a file. */
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

/** What a signed address allows. */
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
