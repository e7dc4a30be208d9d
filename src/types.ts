/** What to do when the name is taken. */
export type IfExists =
  /** Store under a free alternative name, as Django does: `report.pdf` → `report_Ab3dE9x.pdf`. */
  | 'rename'
  /** Replace the file: its content, headers and metadata. */
  | 'overwrite'
  /** Reject with `FileExistsError`. */
  | 'error'

/** Options of every method that does I/O. */
export interface AbortOptions {
  /** Aborts the work promptly. The promise rejects with code `Aborted`; `cause` is the signal's `reason`. */
  signal?: AbortSignal | undefined
}

/** HTTP headers that are stored with a file. */
export interface FileHeaders {
  /**
   * The MIME type. Default, also for `''`: by the name's extension, else `application/octet-stream`. With `allowedTypes`
   * it is the type of the bytes, so that the served type is the checked one.
   */
  contentType?: string | undefined
  /** How caches may keep the file. Default: none on disk and in memory, the storage's `cacheControl` on R2 and S3. */
  cacheControl?: string | undefined
  /** Whether browsers show or download the file. A file name outside ASCII is encoded by RFC 8187. */
  contentDisposition?: string | undefined
  /** The language of the content, e.g. `en-US`. */
  contentLanguage?: string | undefined
  /** The coding that the content already has, e.g. `gzip`. This package never compresses or decompresses. */
  contentEncoding?: string | undefined
}

/** Progress of a save. */
export interface SaveProgress {
  /** Bytes stored so far. */
  bytes: number
  /** Total bytes; missing if unknown. */
  total?: number
}

/** Rules for a content, checked on its bytes. See `UploadRejectedError`. */
export interface UploadRules {
  /** Most bytes of the content. */
  maxSize?: number | undefined
  /** Allowed types, detected from the bytes: `'image/png'`, `'audio/*'`. */
  allowedTypes?: readonly string[] | undefined
}

/** Options of `save`. */
export interface SaveOptions extends AbortOptions, FileHeaders, UploadRules {
  /** What to do when the name is taken. Default `'rename'`. */
  ifExists?: IfExists | undefined
  /**
   * Notes of the caller, returned by `stat` and `open`. Keys have letters, digits and `-`, stored in lower case. Values
   * are Unicode text. Keys and values have at most 8,000 bytes together. A value with white space at either end
   * counts percent-encoded.
   */
  metadata?: Readonly<Record<string, string>> | undefined
  /** Called as bytes are stored, at last with the total. An error that it throws fails the save. */
  onProgress?: ((progress: SaveProgress) => void) | undefined
  /**
   * Milliseconds without a byte from a stream after which the save fails with code `Aborted`. Default 300,000 (5
   * minutes); 0 waits for ever. A form's file whose client has left may never end by itself.
   */
  sourceTimeout?: number | undefined
}

/** Options of `open`. */
export interface OpenOptions extends AbortOptions {
  /**
   * A part of the file. An end past the file's end is clamped. A start at or past the end is `RangeNotSatisfiable`.
   * Default: the whole file.
   */
  range?: ByteRange | undefined
}

/** A part of a file. */
export interface ByteRange {
  /** Bytes before the part. A negative offset counts from the end. */
  readonly offset: number
  /** Bytes of the part. Default: to the end. */
  readonly length?: number | undefined
}

/** Options of `copy` and `move`. */
export interface CopyOptions extends AbortOptions {
  /** What to do when the new name is taken. Default `'rename'`. */
  ifExists?: IfExists | undefined
}

/** Options of `accept`: the rules, and what to do when the name is taken. */
export interface AcceptOptions extends CopyOptions, UploadRules {}

/** Options of `deletePrefix`. */
export interface DeletePrefixOptions extends AbortOptions {
  /** Only count the files. Default false. */
  dryRun?: boolean | undefined
}

/** Options of `list` and `listdir`. */
export interface ListOptions extends AbortOptions {
  /**
   * Called with each name that breaks the naming rule; the listing leaves it out. Other programs make such names: the key
   * `a//b`, or a name in NFD from a Mac. A folder on disk with such a name stands for all files in it; its name ends in
   * `/`.
   */
  onInvalidName?: ((name: string) => void) | undefined
}

/** One file in a listing. */
export interface ListedFile {
  /** The full name, relative to the storage. */
  readonly name: string
  /** Bytes. */
  readonly size: number
  /** The date of the last write. */
  readonly lastModified: Date
  /** Quoted, as in HTTP. Changes whenever the content changes. Compare it only for equality. */
  readonly etag: string
}

/** The headers of a file without its type. Unset ones are missing. */
type OptionalHeaders = Omit<FileHeaders, 'contentType'>

/** The headers and metadata of a stored file. */
export interface Attributes extends Readonly<Defined<OptionalHeaders>> {
  /** The MIME type. */
  readonly contentType: string
  /** Notes of the caller: keys in lower case, Unicode values. `{}` if there are none. */
  readonly metadata: Readonly<Record<string, string>>
}

/** The same optional fields, without undefined as a value. */
type Defined<Fields> = { [Field in keyof Fields]?: Exclude<Fields[Field], undefined> }

/** All information about a file. */
export interface FileInfo extends ListedFile, Attributes {}

/** One level of a folder, as base names in UTF-8 byte order. */
export interface DirectoryListing {
  /** Base names of the folders in it. */
  directories: string[]
  /** Base names of the files in it. */
  files: string[]
}

/** Options of `signedUrl`. */
export interface SignedUrlOptions extends AbortOptions {
  /**
   * The method that the address allows. A server refuses a HEAD to an address for GET, since the method is signed.
   * Default `'GET'`.
   */
  method?: 'GET' | 'HEAD' | undefined
  /** Seconds until the address expires, 1 to 604,800 (7 days). Default 3,600. */
  expiresIn?: number | undefined
  /** Browsers download the file: `true` under its own base name, a string under that name. Default false. */
  download?: boolean | string | undefined
  /** The type to answer with. Default: the stored type. */
  contentType?: string | undefined
  /**
   * Length of a window in seconds. Within one window the URL stays the same, so that browsers and CDNs can cache it.
   * Each URL is valid for at least `expiresIn`. The two together are at most 604,800.
   */
  stableFor?: number | undefined
}

/** Options of `signedUpload`. */
export interface SignedUploadOptions extends AbortOptions {
  /** The exact size in bytes. The backend refuses any other. */
  size: number
  /**
   * The type that the uploader must send. The backend refuses any other. `''`, a browser's type for a file that it does
   * not know, is the type by the extension of the name.
   */
  contentType: string
  /** Seconds until the address expires, 1 to 604,800 (7 days). Default 3,600. */
  expiresIn?: number | undefined
  /**
   * `'rename'` (default) picks a free name now and signs create-only. `'error'` signs create-only. `'overwrite'` signs
   * without a condition.
   */
  ifExists?: IfExists | undefined
  /** See {@link FileHeaders}. */
  cacheControl?: string | undefined
  /** See {@link SaveOptions}. */
  metadata?: Readonly<Record<string, string>> | undefined
}

/** An address that takes one upload. */
export interface SignedUpload {
  /** The HTTP method to send the file with. */
  method: 'PUT'
  /** Where to send the file. */
  url: string
  /** Headers that the uploader must send unchanged. Every HTTP client adds `Content-Length` by itself. */
  headers: Record<string, string>
  /** The name that the file gets. */
  name: string
  /** When the address expires. */
  expiresAt: Date
}

/** Removes public addresses from the cache of a CDN. See `cloudflarePurge`. An error only goes to the telemetry. */
export type Purge = (urls: readonly string[]) => Promise<void>
