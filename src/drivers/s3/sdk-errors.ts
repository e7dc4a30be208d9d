import { readField, readText } from '../../error-fields.js'
import { isProblem } from '../../errors.js'
import { isNotLoaded, notLoaded } from '../../load.js'
import { S3Error } from './s3-error.js'

/** Names that the SDK gives to errors without a code of S3. */
const NO_CODE = /^(?:Error|Unknown|UnknownError|NotFound|SyntaxError)$/
/** Codes of a missing object or bucket. The errors of a mocked client may have no status. */
const MISSING = /^(?:NoSuchKey|NotFound|NoSuchBucket)$/
/** The system's and undici's codes for a connection that broke: with a status, it broke within the answer. */
const BROKEN = /^(?:E[A-Z]+|UND_ERR_[A-Z_]+|ERR_STREAM_[A-Z_]+)$/

/** Turns an error of the SDK into an `S3Error`. Other errors pass unchanged. */
export function fromSdkError(error: unknown): unknown {
  if (isProblem(error) || error instanceof S3Error) return error
  if (isNotLoaded(error)) return notLoaded(error)
  const code = readText(error, 'Code') ?? readText(error, 'code')
  const errorName = readText(error, 'name') ?? ''
  // Node refuses a header by a TypeError with a code.
  if (errorName === 'TypeError' && code === undefined) return error
  const name = code ?? errorName
  const { status, attempts } = metadataOf(error)
  const headers = takeHeaders(error)
  const found = BROKEN.test(name) ? undefined : (status ?? (MISSING.test(name) ? 404 : undefined))
  const message = (found === undefined ? undefined : readText(error, 'message')) ?? 'no answer came'
  const init = { status: found, code: NO_CODE.test(name) ? '' : name, headers, attempts, cause: error }
  return new S3Error(message, init)
}

function metadataOf(error: unknown): { readonly status?: number; readonly attempts?: number } {
  const metadata = readField(error, '$metadata')
  const [status, attempts] = [readField(metadata, 'httpStatusCode'), readField(metadata, 'attempts')]
  return {
    ...(typeof status === 'number' && { status }),
    ...(typeof attempts === 'number' && { attempts }),
  }
}

/** The headers of the answer. Its body goes: it knows the request, and with it the signature. */
function takeHeaders(error: unknown): Record<string, string> {
  const response = readField(error, '$response')
  if (typeof response !== 'object' || response === null) return {}
  Reflect.set(response, 'body', undefined) // The SDK makes `$response` itself undeletable.
  const headers = readField(response, 'headers')
  if (typeof headers !== 'object' || headers === null) return {}
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name.toLowerCase(), String(value)]),
  )
}
