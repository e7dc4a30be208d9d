import type { Body } from './content.js'
import type { Attributes } from './metadata.js'
import type { Name } from './names.js'
import type { DeliveredRange, OpenBody } from './stored-file.js'
import type { ByteRange, FileInfo, ListedFile } from './types.js'

/** A save for a backend: everything checked and resolved. */
export interface StageRequest {
  /** The name that was asked for; the one that it gets is told to `publish`. */
  readonly name: Name
  readonly body: Body
  readonly attributes: Attributes
  readonly signal: AbortSignal | undefined
  /** Tell how many bytes are stored so far. */
  progress(bytes: number): void
}

/** A copy or a move for a backend. */
export interface StageCopyRequest {
  readonly from: Name
  /** Whether the source goes away when the copy is published. */
  readonly move: boolean
  readonly signal: AbortSignal | undefined
}

/** Content on its way: nobody sees it until it is published. */
export interface Staged {
  /**
   * Makes the content visible under `name`, in one step, and durable as the backend promises. With `createOnly` a
   * taken name is left alone and the answer is false, without a race; the next call has another name.
   */
  publish(name: Name, createOnly: boolean): Promise<boolean>
  /** Frees whatever is left. Called once in any case. MUST NOT fail. */
  discard(): Promise<void>
}

/** What a backend knows about a file. */
export type FileState = Omit<FileInfo, 'name'>

export interface ReadRequest {
  readonly name: Name
  /** Undefined for the whole file. */
  readonly range: ByteRange | undefined
  readonly signal: AbortSignal | undefined
}

export interface OpenedFile {
  readonly state: FileState
  readonly range: DeliveredRange
  readonly body: OpenBody
}

/** One entry of a listing: a file, or (one level only) a folder. Names are the callers', without the prefix. */
export type Entry =
  | ({ readonly kind: 'file' } & ListedFile)
  | { readonly kind: 'directory'; readonly name: string }

export interface SignRequest {
  readonly name: Name
  /** Seconds from `signedAt`. */
  readonly expiresIn: number
  readonly signedAt: Date
  readonly contentDisposition: string | undefined
  readonly contentType: string | undefined
  readonly signal: AbortSignal | undefined
}

export interface SignUploadRequest {
  readonly name: Name
  readonly size: number
  /** Seconds from `signedAt`. */
  readonly expiresIn: number
  readonly signedAt: Date
  readonly createOnly: boolean
  readonly attributes: Attributes
  readonly signal: AbortSignal | undefined
}
