/** An answer given in place of the server's own. Without a body, `code` and `message` make an S3 error of it. */
export interface Answer {
  readonly status: number
  readonly code?: string
  readonly message?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** Answers before the request body is read (it is drained afterwards). */
  readonly early?: boolean
}

/** What happens to one request: any mixture of faults before, during and after the operation. */
export interface Faults {
  /** Processing time once the body is in, before anything is stored; in place of the general `delayMs`. */
  readonly delayMs?: number
  /** The operation is done, then this is answered: a lost acknowledgement. */
  readonly afterwards?: Answer | 'reset'
  /** The response body ends with a closed connection after so many bytes. */
  readonly cutAfter?: number
  /** The response body stops flowing, connection open, after so many bytes. */
  readonly stallAfter?: number
}

/**
 * `'reset'` closes the connection at once, `'hang'` reads the body and never answers, an `Answer` is given instead of
 * doing the operation; nothing is stored in any of the three.
 */
export type Verdict = undefined | 'pass' | 'reset' | 'hang' | Answer | Faults

export interface RequestInfo {
  /** S3's name for it: PutObject, UploadPart, … */
  readonly operation: string
  readonly method: string
  readonly bucket: string
  readonly key: string
  readonly query: Readonly<Record<string, string>>
  readonly headers: Readonly<Record<string, string>>
}

/** Everything about the server that a test may change while it runs. */
export interface Behaviour {
  /** Processing time of every write between the last byte of the body and the moment it is stored. Default 0. */
  delayMs: number
  /** Least time between two writes of one key, else 429, as R2's "1 per second". Default 0: not enforced. */
  sameKeyWriteIntervalMs: number
  /** Bodies over this size are not kept: only size and MD5 are, and `patternChunks` is served. Default Infinity. */
  discardBodiesOver: number
  /** False for a server that ignores R2's `cf-copy-destination-*` headers. Default true. */
  conditionalCopyHeader: boolean
  /** False for a server that ignores conditions when it stores an object. Default true. */
  conditionalWrites: boolean
  /** Answers preflights and adds the headers a page needs, for any origin. Default false. */
  cors: boolean
  /** Compresses for clients that accept gzip, dropping Content-Length, on HEAD too, as Cloudflare's edge may. Default false. */
  edgeCompression: boolean
  /** The path that all requests begin with, as at servers whose endpoint has one. Default none. */
  basePath: string
  /** Headers that are kept with an object besides those of R2, in lower case. Default none. */
  moreHeaders: readonly string[]
  /** The server's clock in milliseconds; also what `Date` says. */
  now: () => number
  /** Called for every authentic request before the operation. */
  onRequest: ((info: RequestInfo) => Verdict | Promise<Verdict>) | undefined
  /** Called for every key of a DeleteObjects; what it returns is that key's error entry, and the key stays. */
  onBulkDelete: ((bucket: string, key: string) => { code: string; message: string } | undefined) | undefined
}

export const usualBehaviour: Readonly<Behaviour> = {
  delayMs: 0,
  sameKeyWriteIntervalMs: 0,
  discardBodiesOver: Number.POSITIVE_INFINITY,
  conditionalCopyHeader: true,
  conditionalWrites: true,
  cors: false,
  edgeCompression: false,
  basePath: '',
  moreHeaders: [],
  now: Date.now,
  onRequest: undefined,
  onBulkDelete: undefined,
}
