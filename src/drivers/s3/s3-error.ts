/** Details of an {@link S3Error}. */
export interface S3ErrorInit {
  /** HTTP status; undefined where no answer came, or not all of it. */
  readonly status?: number | undefined
  /** S3's code, or the system's. Default `''`. */
  readonly code?: string | undefined
  /** The headers of the answer, by their names in lower case. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** How often a client with retries of its own has sent the request. Default 1. */
  readonly attempts?: number | undefined
  /** The error underneath. */
  readonly cause?: unknown
}

/** The one way in which an `ObjectApi` fails: an error that the server answered, or the lack of an answer. */
export class S3Error extends Error {
  override readonly name = 'S3Error'
  /** HTTP status; undefined where no answer came, or not all of it. */
  readonly status: number | undefined
  /** S3's code, or the system's. `''` where there is none, as for every HEAD. */
  readonly code: string
  /** The headers of the answer, by their names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  /** How often a client with retries of its own has sent the request. */
  readonly attempts: number

  constructor(message: string, { status, code = '', headers = {}, attempts = 1, cause }: S3ErrorInit) {
    super(message, cause === undefined ? undefined : { cause })
    this.status = status
    this.code = code
    this.headers = headers
    this.attempts = attempts
  }
}

/** The code of a page that says what only an S3 server can know, such as 404. */
export const PAGE = 'Page'

/** A success that lacks what every S3 server sends: the page of a proxy or a captive portal. A retry may cure it. */
export function notFromS3(status: number, headers: Readonly<Record<string, string>> = {}): S3Error {
  return new S3Error('the response is not from an S3 server', { status, headers })
}
