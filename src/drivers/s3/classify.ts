import { readText } from '../../error-fields.js'
import { isProblem, Problem, type StorageErrorCode } from '../../errors.js'
import { isNotLoaded, notLoaded } from '../../load.js'
import { analyse, type Failure, isSetUpCode, retryOf } from './failures.js'
import { sizeOf } from './read.js'
import { PAGE, S3Error } from './s3-error.js'

type Meaning = readonly [StorageErrorCode, string]

const UNREACHABLE: Meaning = ['Unavailable', 'the storage server cannot be reached or does not answer']
const NOT_S3: Meaning = ['Unavailable', 'the response is not from an S3 server: check the endpoint']
const ELSEWHERE: Meaning = [
  'Misconfigured',
  'the server sends the request elsewhere: check the region and the endpoint',
]
const INCOMPLETE: Meaning = ['Unavailable', 'the request did not get through: try again later']
const NOT_A_HEADER: Meaning = ['InvalidArgument', 'a value cannot be sent as a header']
const UNKNOWN_KEY: Meaning = [
  'PermissionDenied',
  'the server does not know the access key: check access key id and secret',
]
const INSECURE: Meaning = [
  'Misconfigured',
  'no secure connection to the endpoint: check its scheme and certificate',
]
const PROXY_UNAUTHORIZED: Meaning = [
  'Misconfigured',
  'the proxy asks for a user and a password: put them into HTTPS_PROXY or HTTP_PROXY',
]
const VIRTUAL_ONLY: Meaning = [
  'Misconfigured',
  "the server wants the bucket in the host name: use S3Storage with addressing: 'virtual'",
]
const FULL: Meaning = ['Full', 'the storage server is full']

const BY_CODE: Readonly<Record<string, Meaning>> = {
  InvalidBucketName: ['Misconfigured', 'the server refuses the name of the bucket'],
  [PAGE]: NOT_S3,
  NoSuchUpload: ['Unavailable', 'somebody else aborted the multipart upload: try again'],
  Unauthorized: UNKNOWN_KEY,
  InvalidAccessKeyId: UNKNOWN_KEY,
  SignatureDoesNotMatch: ['PermissionDenied', 'the signature was refused: check the secret access key'],
  RequestTimeTooSkewed: ['PermissionDenied', 'the signature was refused: set the clock of this machine'],
  ExpiredToken: ['PermissionDenied', 'the temporary credentials have expired'],
  ExpiredRequest: ['PermissionDenied', 'the signature has expired: check the clock of this machine'],
  AccessDenied: [
    'PermissionDenied',
    'the credentials do not permit this: check what the token may do, and on which bucket',
  ],
  NotEntitled: ['PermissionDenied', 'the account has no R2 subscription'],
  ObjectLockedByBucketPolicy: ['PermissionDenied', 'a bucket lock protects the file'],
  QuotaExceeded: ['Full', 'the quota of the bucket or the user is used up'],
  StorageFull: FULL,
  XMinioStorageFull: FULL,
  InsufficientCapacity: FULL,
  EntityTooLarge: ['InvalidArgument', 'the content is larger than the server takes'],
  MetadataTooLarge: ['InvalidArgument', 'the metadata is larger than the server takes'],
  AuthorizationHeaderMalformed: ELSEWHERE,
  PermanentRedirect: ELSEWHERE,
  // Alibaba Cloud's and Tencent Cloud's codes.
  SecondLevelDomainForbidden: VIRTUAL_ONLY,
  PathStyleDomainForbidden: VIRTUAL_ONLY,
  PROXY_UNAUTHORIZED,
  PROXY_REFUSED: [
    'Unavailable',
    'the proxy does not connect to the server: check HTTPS_PROXY, or name the server in NO_PROXY',
  ],
  ERR_INVALID_CHAR: NOT_A_HEADER,
  UND_ERR_INVALID_ARG: NOT_A_HEADER,
  InvalidObjectName: ['InvalidName', 'the server refuses the name'],
  KeyTooLongError: ['InvalidName', 'the server refuses the name as too long'],
  ENOTFOUND: ['Unavailable', 'the host of the endpoint is not found: check the endpoint and the network'],
  ECONNREFUSED: [
    'Unavailable',
    'the endpoint refuses connections: check the endpoint, or wait until the server is up',
  ],
}

const BY_STATUS: Readonly<Record<number, Meaning>> = {
  301: ELSEWHERE,
  302: ELSEWHERE,
  307: ELSEWHERE,
  308: ELSEWHERE,
  400: ['InvalidArgument', 'the server refuses the request'],
  401: ['PermissionDenied', 'the credentials were refused: check access key id and secret'],
  403: ['PermissionDenied', 'permission denied: check the credentials and what they permit'],
  404: ['NotFound', 'there is no such file'],
  407: PROXY_UNAUTHORIZED,
  408: INCOMPLETE,
  412: ['AlreadyExists', 'there is a file of this name'],
  413: ['InvalidArgument', 'the content is larger than the server takes'],
  416: ['RangeNotSatisfiable', 'the range starts past the end of the file'],
  429: ['Unavailable', 'too many requests: try again later'],
  501: ['Unsupported', 'the server does not support this'],
  507: FULL,
}

/** Node's and undici's parsers: no HTTP, or the rest of an answer that was longer than it said. */
const NOT_HTTP = /^HPE_/

/** Says what an error of the driver means. */
export function classify(error: unknown, bucket: string): Problem {
  if (isProblem(error)) return error
  if (isNotLoaded(error)) return notLoaded(error)
  if (!(error instanceof S3Error)) {
    const isTypeError = readText(error, 'name') === 'TypeError'
    const reason = (isTypeError ? readText(error, 'message') : undefined) ?? 'an unexpected error'
    return new Problem('Unknown', reason, { cause: error })
  }
  if (isProblem(error.cause)) return error.cause
  if (isNotLoaded(error.cause)) return notLoaded(error.cause)
  const failure = analyse(error)
  const [code, reason] = meaningOf(failure, bucket)
  const detail = [failure.code === PAGE ? '' : failure.code, failure.status].filter(Boolean).join(' ')
  const size = code === 'RangeNotSatisfiable' ? sizeOf(failure) : undefined
  return new Problem(code, detail ? `${reason} (${detail})` : reason, { cause: error, size })
}

function meaningOf({ status, code }: Failure, bucket: string): Meaning {
  if (code === 'NoSuchBucket') {
    const advice = 'check its name, and the endpoint (a jurisdiction has its own)'
    return ['NotFound', `the bucket ${JSON.stringify(bucket)} does not exist: ${advice}`]
  }
  const known = Object.hasOwn(BY_CODE, code) ? BY_CODE[code] : undefined
  if (known) return known
  if (status === undefined) {
    if (isSetUpCode(code)) return INSECURE
    return NOT_HTTP.test(code) ? NOT_S3 : UNREACHABLE
  }
  if (status >= 400 && status < 500 && status !== 429 && retryOf(code)) return INCOMPLETE
  const general = BY_STATUS[status]
  if (general) return general
  if (status < 300) return NOT_S3
  if (status >= 500) return ['Unavailable', 'the storage server has a problem: try again later']
  return ['Unknown', 'the server refuses the request']
}
