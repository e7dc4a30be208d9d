import type { Readable } from 'node:stream'
import type { HeaderName } from '../../headers.js'
import type { ByteRange } from '../../types.js'
import type { XmlElement } from './xml.js'

/**
 * The verbs on one bucket that the driver needs. Two implementations: `HttpObjectApi` (our own requests) and
 * `SdkObjectApi` (an AWS client). Which of them it is, is chosen once, when the storage is made.
 *
 * Every verb is one attempt within the bounds of its `call`, and fails with an `S3Error`. An implementation MUST take
 * no answer for a success that is not from an S3 server.
 */
export interface ObjectApi {
  /** Stores an object. */
  put(request: PutRequest, call: Call): Promise<Tagged>
  /** Opens an object, or a range of it. The body MUST be read or destroyed. */
  get(request: GetRequest, call: Call): Promise<OpenObject>
  /** The state of an object. */
  head(request: KeyRequest, call: Call): Promise<ObjectState>
  /** Deletes an object; a missing one is success on most servers. */
  delete(request: KeyRequest, call: Call): Promise<void>
  /** Deletes at most 1,000 objects, and says of each what became of it. */
  deleteMany(keys: readonly string[], call: Call): Promise<DeleteResult>
  /** One page of the keys that begin with a prefix. */
  list(request: ListRequest, call: Call): Promise<ListPage>
  /** Copies an object within the bucket. */
  copy(request: CopyRequest, call: Call): Promise<Tagged>
  /** Begins a multipart upload. */
  createUpload(request: CreateUploadRequest, call: Call): Promise<Upload>
  /** Stores one part. */
  uploadPart(request: UploadPartRequest, call: Call): Promise<Tagged>
  /** Copies one part from an object of the bucket. */
  copyPart(request: CopyPartRequest, call: Call): Promise<CopiedPart>
  /** Makes an upload the object of its key. */
  completeUpload(request: CompleteUploadRequest, call: Call): Promise<void>
  /** Discards an upload and its parts. */
  abortUpload(upload: Upload, call: Call): Promise<void>
  /** One page of the parts of an open upload. */
  listParts(request: ListPartsRequest, call: Call): Promise<PartPage>
  /** One page of the open uploads of keys that begin with a prefix. */
  listUploads(request: ListUploadsRequest, call: Call): Promise<UploadPage>
  /** A setting of the bucket, as its root element. None at all is an `S3Error` of a code such as `NoSuchCORSConfiguration`. */
  getSetting(setting: BucketSetting, call: Call): Promise<XmlElement>
  /** Replaces a setting of the bucket by the XML of its rules. */
  putSetting(setting: BucketSetting, rules: string, call: Call): Promise<void>
  /** A signed address for one request of somebody else. Sends nothing. */
  sign(request: SignRequest, signal: AbortSignal | undefined): Promise<SignedAddress>
}

/** A setting of a bucket, by its query parameter. */
export type BucketSetting = 'lifecycle' | 'cors'

/** The bounds of an attempt. */
export interface Call {
  readonly signal: AbortSignal | undefined
  /** Waits for a turn, sends the request within it, and ends the turn. */
  take<T>(load: Load, send: (turn: Turn) => Promise<T>): Promise<T>
}

/** The load of a request for the server and the connection. */
export interface Load {
  /** Bytes of the body. */
  readonly bytes: number
  /** Whether the server may take long before it answers. */
  readonly slow: boolean
}

/** One request's time on the wire. */
export interface Turn {
  /** Milliseconds until the answer is there, or has begun where it is a stream. Undefined: the client bounds itself. */
  readonly timeout: number | undefined
  /** Keeps the turn beyond `send`. Call the answer when the connection is free again. */
  hold(): () => void
}

/** Headers and metadata of an object. */
export interface ObjectAttributes {
  readonly headers: HeaderValues
  /** Values as HTTP carries them; keys in lower case. */
  readonly metadata: Readonly<Record<string, string>>
}

/** Values of stored headers. */
export type HeaderValues = { readonly [Header in HeaderName]?: string | undefined }

/** An object as a server describes it. */
export interface ObjectState extends ObjectAttributes {
  /** Bytes of the body; undefined where the server does not say. */
  readonly size: number | undefined
  readonly etag: string
  readonly lastModified: Date | undefined
  /** When the server answered, by its own clock. Not known through an AWS client. */
  readonly answered?: Date | undefined
}

/** An object with its content. */
export interface OpenObject extends ObjectState {
  /** The answer's `Content-Range`. */
  readonly contentRange: string | undefined
  readonly body: ObjectStream
}

/** The content of an object as it arrives. Destroying it gives up the connection. */
export interface ObjectStream extends Readable {
  /** Whether its connection is free: all has arrived, or it was given up. */
  readonly hasArrived: boolean
}

/** A request about one object. */
export interface KeyRequest {
  readonly key: string
}

/** One put. */
export interface PutRequest extends KeyRequest {
  readonly bytes: Uint8Array
  /** Base64 of the content's MD5, so that the server refuses what was damaged on the way. */
  readonly md5?: string | undefined
  readonly attributes?: ObjectAttributes | undefined
  /** Refuses a taken name by `412`. */
  readonly createOnly?: boolean | undefined
  /** Refuses by `412` to replace anything else than the object of this ETag. */
  readonly ifMatch?: string | undefined
}

/** One get. */
export interface GetRequest extends KeyRequest {
  readonly range?: ByteRange | undefined
  /** Refuses every other version by `412`. */
  readonly ifMatch?: string | undefined
}

/** The result of deleting many objects. A key in neither list may still be there. */
export interface DeleteResult {
  readonly deleted: readonly string[]
  readonly errors: readonly { readonly key: string; readonly code: string }[]
}

/** One page of a listing. */
export interface ListRequest {
  readonly prefix: string
  /** One level of `/` only. */
  readonly shallow: boolean
  /** Keys behind this one only. */
  readonly after?: string | undefined
  readonly token?: string | undefined
}

/** One key of a listing. */
export interface ListedKey {
  readonly key: string
  readonly size: number
  /** In whole seconds. */
  readonly lastModified: Date
  readonly etag: string
}

/** Keys and common prefixes, decoded, in the server's order. */
export interface ListPage {
  readonly keys: readonly ListedKey[]
  readonly prefixes: readonly string[]
  readonly truncated: boolean
  /** Where the next page begins. */
  readonly next: string | undefined
}

/** One copy. */
export interface CopyRequest extends KeyRequest {
  readonly fromKey: string
  /** Attributes of the copy, instead of the source's. */
  readonly attributes?: ObjectAttributes | undefined
  /** Refuses every other version of the source by `412`. */
  readonly ifMatch?: string | undefined
  /** Refuses a taken name by `412`: R2 only. */
  readonly createOnly?: boolean | undefined
}

/** One new upload. */
export interface CreateUploadRequest extends KeyRequest {
  readonly attributes?: ObjectAttributes | undefined
}

/** A multipart upload. */
export interface Upload extends KeyRequest {
  readonly uploadId: string
}

/** One part of an upload. */
export interface UploadPartRequest extends Upload {
  /** From 1. */
  readonly number: number
  readonly bytes: Uint8Array
}

/** One part that is copied. */
export interface CopyPartRequest extends Upload {
  /** From 1. */
  readonly number: number
  readonly fromKey: string
  /** Default: all of the source. */
  readonly range?: { readonly start: number; readonly end: number } | undefined
}

/** A part that was copied. */
export interface CopiedPart extends Tagged {
  /** `x-amz-server-side-encryption` of the answer. */
  readonly encryption: string | undefined
}

/** A part that an upload is completed with. */
export interface Part extends Tagged {
  readonly number: number
}

/** One completion. */
export interface CompleteUploadRequest extends Upload {
  readonly parts: readonly Part[]
  /** Refuses a taken name by `412`, on servers that know this. */
  readonly createOnly?: boolean | undefined
}

/** One page of an upload's parts. */
export interface ListPartsRequest extends Upload {
  /** Parts of a higher number only. Default 0. */
  readonly after?: number | undefined
}

/** Parts of an open upload, in the order of their numbers. */
export interface PartPage {
  readonly parts: readonly (Part & { readonly size: number })[]
  /** Where the next page begins; undefined at the end. */
  readonly next: number | undefined
}

/** One page of open uploads. */
export interface ListUploadsRequest {
  readonly prefix: string
  readonly after?: UploadMarker | undefined
  /** Whether keys are to come as they are, and not encoded. */
  readonly plain?: boolean | undefined
}

/** A place in a list of uploads. */
export interface UploadMarker {
  readonly key: string
  readonly uploadId: string
}

/** Open uploads. Uploads without key, id or date are left out. */
export interface UploadPage {
  readonly uploads: readonly (Upload & { readonly initiated: Date })[]
  /** Whether the server says how it has encoded the keys. Ceph encodes them and does not. */
  readonly saysEncoding: boolean
  /** Where the next page begins; undefined at the end. */
  readonly next: UploadMarker | undefined
}

/** An address to sign. */
export type SignRequest = {
  readonly key: string
  /** Seconds from `signedAt`. */
  readonly expiresIn: number
  /** By our own clock. */
  readonly signedAt: Date
} & (
  | {
      readonly method: 'GET' | 'HEAD'
      /** Headers to answer with. */
      readonly respondWith: Pick<HeaderValues, 'contentDisposition' | 'contentType'>
    }
  | {
      readonly method: 'PUT'
      readonly attributes: ObjectAttributes
      /** Exact bytes of the body. */
      readonly size: number
      /** Refuses a taken name by `412`. */
      readonly createOnly: boolean
    }
  | {
      readonly method: 'PUT'
      /** One part of an open upload of the key. */
      readonly part: { readonly uploadId: string; readonly number: number }
    }
)

/** A signed address. */
export interface SignedAddress {
  readonly url: string
  /** When the credentials of the signature end, if they do. */
  readonly endsAt: Date | undefined
}

/** An answer with the ETag of the stored bytes. */
export interface Tagged {
  readonly etag: string
}
