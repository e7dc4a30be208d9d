import type { Body } from './content.js'
import { Problem } from './errors.js'
import type { Name } from './names.js'
import type { Staged } from './staged.js'
import type { Attributes } from './types.js'

/**
 * The I/O of direct uploads: a client sends a file in parts, each by a signed address. Nobody sees the file before its
 * upload is complete, judged and published.
 *
 * - An upload has a name and an id. With an id that is unknown, or belongs to another name, every method MUST throw
 *   `NotFound` and change nothing. Only `signPart` and `verify` may leave this to the request that uses the address.
 * - All state MUST be in the backend, so that another process can continue an upload.
 * - `StorageDriver.sweep` of the root discards the uploads without a change since its time, complete or not.
 */
export interface UploadDriver {
  /**
   * Begins an upload. The id MUST be unguessable, at most 2,000 characters of `[A-Za-z0-9_.-]`, and MUST NOT be `.` or
   * `..`.
   */
  create(request: CreateUploadRequest): Promise<string>
  /** The parts that are stored, in the order of their numbers. */
  list(upload: UploadRequest): Promise<readonly UploadedPart[]>
  /**
   * The address of a PUT that stores one part. Where the driver has a `receiver`, only the query of the address, without
   * its `?`: the application knows the rest. MUST bind name, id, number and expiry.
   */
  signPart(request: SignPartRequest): Promise<string>
  /**
   * Puts the parts together. They are in order, and were in `list` before. Nobody MUST see the content yet. Completing
   * again, after a failure, MUST work until the content is published or discarded. Parts that the backend cannot put
   * together are a `BadRequest`.
   */
  complete(request: CompleteUploadRequest): Promise<CompletedUpload>
  /**
   * Whether the file `as` became of this upload. It is asked when the upload is gone, or a name is taken: the process that
   * published it may have died before it could answer. So what tells this MUST become visible together with the file. An id
   * of another name has no file.
   */
  isPublished(upload: UploadRequest, as: Name): Promise<boolean>
  /** Discards an upload and its parts. */
  abort(upload: UploadRequest): Promise<void>
  /** Takes the parts, where they come through the application. */
  readonly receiver?: PartReceiver | undefined
}

/** The error for an id that is unknown, or belongs to another name. */
export function noSuchUpload(): Problem {
  return new Problem('NotFound', 'there is no such upload')
}

/** The error for a part that was replaced, or discarded, while its upload was completed. */
export function partReplaced(): Problem {
  return new Problem('BadRequest', 'a part changed while the upload was completed')
}

/** Takes parts that come through the application. */
export interface PartReceiver {
  /** The permission that an address of `signPart` gives; undefined where its signature is missing, wrong or expired. No I/O. */
  verify(address: PartAddress): PartGrant | undefined
  /**
   * Stores a part and returns its ETag: the MD5 of its bytes, in quotes. A part of the same number is replaced in one
   * step. On failure the part MUST be as it was before. An error of `body.chunks` MUST be thrown on unchanged.
   */
  store(request: StorePartRequest): Promise<string>
}

/** One upload. */
export interface UploadRequest {
  /** The name that the file is to have. */
  readonly name: Name
  /** As `create` gave it. It comes from a client, and may be anything. */
  readonly id: string
  /** Ends the work when it is aborted. */
  readonly signal: AbortSignal | undefined
}

/** A new upload. */
export interface CreateUploadRequest {
  /** The name that the file is to have. */
  readonly name: Name
  /** The headers and metadata to store. The type is what the client claims. */
  readonly attributes: Attributes
  /** Ends the work when it is aborted. */
  readonly signal: AbortSignal | undefined
}

/** A part that is stored. */
export interface UploadedPart {
  /** From 1 to 10,000. */
  readonly number: number
  /** In quotes, as in HTTP. Empty where the backend does not know it any more, since the upload was completed before. */
  readonly etag: string
  /** Bytes. */
  readonly size: number
}

/** An address to sign. */
export interface SignPartRequest extends UploadRequest {
  /** From 1 to 10,000. */
  readonly number: number
  /** Seconds from `signedAt`. */
  readonly expiresIn: number
  /** The start of the signature's validity. */
  readonly signedAt: Date
}

/** A completion. */
export interface CompleteUploadRequest extends UploadRequest {
  /** The parts of the file, one or more, in the order of their numbers. Others are left out, or a `BadRequest`. */
  readonly parts: readonly UploadedPart[]
}

/** An upload that is complete, and that nobody sees yet. */
export interface CompletedUpload {
  /** Bytes of all of it. */
  readonly size: number
  /** The type that the client claims. */
  readonly contentType: string
  /** Reads the first `SAMPLE_BYTES`, or all of a smaller content. */
  sample(): Promise<Uint8Array>
  /**
   * Prepares the publication under this type. When it is published, the upload is gone. If two completions of one upload
   * come to this, there MUST be one file in the end. If a process dies in the midst, the upload MUST still be there, or
   * published.
   */
  stage(contentType: string): Promise<Staged>
  /** Discards the upload: the content was refused, or is published already. */
  discard(): Promise<void>
}

/** A request to a signed address of a part. */
export interface PartAddress {
  /** As `create` gave it. It comes from a client, and may be anything. */
  readonly id: string
  /** The part's number. */
  readonly number: number
  /** The query of the address, with or without its `?`. */
  readonly query: string
}

/** The permission of a part's address. */
export interface PartGrant {
  /** The name of the upload. */
  readonly name: Name
}

/** One part to store. */
export interface StorePartRequest extends UploadRequest {
  /** From 1 to 10,000. */
  readonly number: number
  /** The content. */
  readonly body: Body
}
