/** R2's S3 error codes with their HTTP status, from R2's error table; the ones it leaves out follow AWS S3. */
const statusOf = {
  AccessDenied: 403,
  AuthorizationHeaderMalformed: 400,
  AuthorizationQueryParametersError: 400,
  BadDigest: 400,
  EntityTooLarge: 400,
  EntityTooSmall: 400,
  ExpiredRequest: 400,
  IncompleteBody: 400,
  InternalError: 500,
  InvalidArgument: 400,
  InvalidDigest: 400,
  InvalidObjectName: 400,
  InvalidMaxKeys: 400,
  InvalidPart: 400,
  InvalidRange: 416,
  InvalidRegionName: 400,
  InvalidRequest: 400,
  InvalidStorageClass: 400,
  InvalidURI: 400,
  MalformedXML: 400,
  MetadataTooLarge: 400,
  MissingContentLength: 411,
  NoSuchBucket: 404,
  NoSuchCORSConfiguration: 404,
  NoSuchKey: 404,
  NoSuchLifecycleConfiguration: 404,
  NoSuchUpload: 404,
  NotImplemented: 501,
  PreconditionFailed: 412,
  RequestTimeTooSkewed: 403,
  SignatureDoesNotMatch: 403,
  TooManyRequests: 429,
  Unauthorized: 401,
  XAmzContentSHA256Mismatch: 400,
} as const

export type ErrorCode = keyof typeof statusOf

/** A refusal, answered as `<Error><Code/><Message/></Error>`. */
export class S3Error extends Error {
  override readonly name = 'S3Error'
  readonly status: number

  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly headers: Readonly<Record<string, string>> = {},
  ) {
    super(message)
    this.status = statusOf[code]
  }
}

/** The client went away before the answer: there is nobody to answer and nothing may be stored. */
export class ClientGone extends Error {
  override readonly name = 'ClientGone'
}

export function headerNotImplemented(name: string, value: string): S3Error {
  return new S3Error('NotImplemented', `Header '${name}' with value '${value}' not implemented`)
}
