import { readText } from '../error-fields.js'
import { isStorageError, type StorageErrorCode } from '../errors.js'

/** An error as an HTTP answer. Safe to show: it has no name, path, bucket or words of the system. */
export interface HttpError {
  /** The HTTP status. */
  readonly status: number
  /** The code of the `StorageError`; `Unknown` for any other error. */
  readonly code: StorageErrorCode
  /** One sentence for the user. */
  readonly message: string
  /** Headers of the answer, names in lower case: `retry-after`, `content-range`. */
  readonly headers: Readonly<Record<string, string>>
}

/** Seconds after which a client may try again. */
const RETRY_AFTER = 5
const SERVER_ERROR = 'The server could not do this.'
const MESSAGES: Readonly<Record<StorageErrorCode, string>> = {
  NotFound: 'There is no such file.',
  AlreadyExists: 'There is a file of this name already.',
  InvalidName: 'This file name cannot be used.',
  Rejected: 'This file cannot be accepted.',
  BadRequest: 'The request is malformed or incomplete.',
  RangeNotSatisfiable: 'The file is shorter than that.',
  Aborted: 'The request was not finished.',
  Unavailable: 'The file storage cannot be reached. Please try again later.',
  Full: 'The file storage is full.',
  Unsupported: 'This is not supported.',
  Misconfigured: SERVER_ERROR,
  PartialDelete: SERVER_ERROR,
  PermissionDenied: SERVER_ERROR,
  InvalidArgument: SERVER_ERROR,
  Corrupt: SERVER_ERROR,
  Unknown: SERVER_ERROR,
}

/**
 * The answer for an error: its status, and a message for the user. An error of multer is 413 or 400, any other
 * foreign error 500.
 *
 * @example
 * const { status, message, headers } = httpError(error)
 * response.status(status).set(headers).json({ message })
 */
export function httpError(error: unknown): HttpError {
  if (!isStorageError(error)) return ofForeign(error)
  const { code, status } = error
  const headers: Record<string, string> = {}
  if (code === 'Unavailable') headers['retry-after'] = String(RETRY_AFTER)
  if (code === 'RangeNotSatisfiable' && error.size !== undefined) {
    headers['content-range'] = `bytes */${error.size}`
  }
  return { status, code, message: messageOf(code, status), headers }
}

function messageOf(code: StorageErrorCode, status: number): string {
  if (code === 'Rejected') return status === 413 ? TOO_LARGE : 'Files of this type are not accepted.'
  if (code === 'BadRequest' && status === 413) return 'The form has too many or too large fields or files.'
  return MESSAGES[code]
}

const TOO_LARGE = 'The file is too large.'

/** Messages of multer and its parser for a form that is malformed or cut. These errors have no name of their own. */
const CUT_FORM =
  /^(?:Unexpected end of (?:form|file)|Malformed (?:part header|content type)|Multipart: Boundary not found|Request (?:aborted|closed))$/

/** multer has limits of its own, and its errors reach the same error handler. */
function ofForeign(error: unknown): HttpError {
  const isMalformed = CUT_FORM.test(readText(error, 'message') ?? '')
  if (readText(error, 'name') !== 'MulterError' && !isMalformed)
    return { status: 500, code: 'Unknown', message: SERVER_ERROR, headers: {} }
  const isLimit = /^LIMIT_(?!UNEXPECTED_FILE)/.test(readText(error, 'code') ?? '')
  return isLimit
    ? { status: 413, code: 'Rejected', message: TOO_LARGE, headers: {} }
    : { status: 400, code: 'BadRequest', message: MESSAGES.BadRequest, headers: {} }
}

/** The same as a `Response` of `application/problem+json` (RFC 9457). */
export function errorResponse(error: unknown): Response {
  const { status, code, message, headers } = httpError(error)
  return problemResponse(status, code, message, headers)
}

/** An answer for a failure that is no error of a storage. */
export function problemResponse(
  status: number,
  code: string,
  message: string,
  headers: Readonly<Record<string, string>> = {},
  more: Readonly<Record<string, string>> = {},
): Response {
  const body = JSON.stringify({ title: message, status, code, ...more })
  return new Response(body, {
    status,
    statusText: message, // Some clients show nothing else.
    headers: {
      'content-type': 'application/problem+json',
      // So a client that still sends knows that it has the whole answer.
      'content-length': String(Buffer.byteLength(body)),
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      ...headers,
    },
  })
}
