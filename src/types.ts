/** What to do when the name is taken. */
export type IfExists =
  /** Store under a free alternative name, as Django does: `report.pdf` → `report_Ab3dE9x.pdf`. */
  | 'rename'
  /** Replace the file: its content, headers and metadata. */
  | 'overwrite'
  /** Reject with `FileExistsError`. */
  | 'error'

/** Every method that does I/O takes a signal. */
export interface AbortOptions {
  /** Ends the work promptly; the promise rejects with code `Aborted`, whose `cause` is the signal's `reason`. */
  signal?: AbortSignal | undefined
}

/** HTTP headers that are stored with a file. */
export interface FileHeaders {
  /**
   * The MIME type. Default: by the name's extension, else `application/octet-stream`. With `allowedTypes` it is what
   * the bytes are, so that a file is never served as something else than was checked.
   */
  contentType?: string | undefined
  /** How caches may keep the file. Default: none on disk and in memory, the storage's `cacheControl` on R2 and S3. */
  cacheControl?: string | undefined
  /** How browsers show the file. A file name outside ASCII is rewritten as RFC 8187 asks. */
  contentDisposition?: string | undefined
  /** The language of the content, e.g. `en-US`. */
  contentLanguage?: string | undefined
  /** A coding the caller has already applied, e.g. `gzip`. This package never compresses or decompresses. */
  contentEncoding?: string | undefined
}

/** How far a save has come. */
export interface SaveProgress {
  /** Bytes that the storage has taken over so far. */
  bytes: number
  /** Bytes in all, where the content tells. */
  total?: number
}

export interface UploadRules {
  /** The most bytes the content may have. */
  maxSize?: number | undefined
  /** The types it may have, judged by its bytes: `'image/png'`, `'audio/*'`. */
  allowedTypes?: readonly string[] | undefined
}

export interface SaveOptions extends AbortOptions, FileHeaders, UploadRules {
  /** What to do when the name is taken. Default `'rename'`. */
  ifExists?: IfExists | undefined
  /**
   * The caller's own notes: keys of letters, digits and `-` (stored in lower case), Unicode values; 8,000 bytes in all
   * (a value with white space around it counts percent-encoded).
   * Come back from `stat` and `open`.
   */
  metadata?: Readonly<Record<string, string>> | undefined
  /** Called as bytes are taken over, at last with all of them. An error it throws fails the save. */
  onProgress?: ((progress: SaveProgress) => void) | undefined
  /**
   * Milliseconds without a byte from a stream after which the save fails with code `Aborted`. Default 300,000 (5
   * minutes); 0 waits for ever. A form's file whose client has left may never end by itself.
   */
  sourceTimeout?: number | undefined
}

export interface OpenOptions extends AbortOptions {
  /**
   * A part of the file: `offset` in bytes, negative counts from the end; `length` in bytes, default to the end.
   * An end past the file's is clamped; a start at or past it is `RangeNotSatisfiable`.
   */
  range?: ByteRange | undefined
}

export interface ByteRange {
  readonly offset: number
  readonly length?: number | undefined
}

export interface CopyOptions extends AbortOptions {
  /** What to do when the new name is taken. Default `'rename'`. */
  ifExists?: IfExists | undefined
}

export interface DeletePrefixOptions extends AbortOptions {
  /** Count only, delete nothing. Default false. */
  dryRun?: boolean | undefined
}

export interface ListOptions extends AbortOptions {
  /**
   * Called with the name of each file that is left out because the naming rule refuses it: put there by another program,
   * such as the key `a//b`, or a name in NFD that a Mac made.
   */
  onInvalidName?: ((name: string) => void) | undefined
}

/** One file in a listing. */
export interface ListedFile {
  readonly name: string
  /** Bytes. */
  readonly size: number
  readonly lastModified: Date
  /** Quoted, as in HTTP. Changes whenever the content does; compare for equality only. */
  readonly etag: string
}

/** The headers of a file without its type; those that are not set are missing. */
type OptionalHeaders = Omit<FileHeaders, 'contentType'>

/** The headers and metadata of a stored file. */
export interface Attributes extends Readonly<Defined<OptionalHeaders>> {
  /** The MIME type. */
  readonly contentType: string
  /** The caller's own notes: keys in lower case, Unicode values. `{}` if there are none. */
  readonly metadata: Readonly<Record<string, string>>
}

/** The same optional fields, each of which is missing rather than undefined. */
type Defined<Fields> = { [Field in keyof Fields]?: Exclude<Fields[Field], undefined> }

/** Everything a storage knows about a file. */
export interface FileInfo extends ListedFile, Attributes {}

/** One level of a folder, as base names in UTF-8 byte order. */
export interface DirectoryListing {
  directories: string[]
  files: string[]
}

export interface SignedUrlOptions extends AbortOptions {
  /** Seconds the address is good for, 1 to 604,800 (7 days). Default 3,600. */
  expiresIn?: number | undefined
  /** Makes browsers save the file rather than show it: `true` under its own base name, or under the given one. */
  download?: boolean | string | undefined
  /** Serve the file as this type. */
  contentType?: string | undefined
  /**
   * Seconds. The same URL is given out within each window of this length, so that browsers and CDNs can cache it.
   * Each URL is good for at least `expiresIn` when it is handed out; the two together are at most 604,800.
   */
  stableFor?: number | undefined
}

export interface SignedUploadOptions extends AbortOptions {
  /** The exact size in bytes; the backend refuses any other. */
  size: number
  /** The type the uploader must send; the backend refuses any other. */
  contentType: string
  /** Seconds the address is good for, 1 to 604,800 (7 days). Default 3,600. */
  expiresIn?: number | undefined
  /** `'rename'` (default) picks a free name now and signs create-only, `'error'` signs create-only, `'overwrite'` neither. */
  ifExists?: IfExists | undefined
  cacheControl?: string | undefined
  metadata?: Readonly<Record<string, string>> | undefined
}

/** An address that takes one upload. */
export interface SignedUpload {
  method: 'PUT'
  url: string
  /** What the uploader must send along, as it is; `Content-Length` is sent by every HTTP client on its own. */
  headers: Record<string, string>
  /** The name the file will have. */
  name: string
  expiresAt: Date
}
