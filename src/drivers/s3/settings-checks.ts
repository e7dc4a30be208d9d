import { type CheckOutcome, type CheckRequest, ok, warning } from '../../checks.js'
import type { BucketConfig, CorsRule } from './bucket-config.js'

/** The headers that a browser asks for before it sends a signed upload. */
const UPLOAD_HEADERS = ['content-type', 'if-none-match']
const REMEDY =
  "Run `stowage cors --set https://app.example.com`, or call setCors({ origins: ['https://app.example.com'] }), with the origin of your pages."

/** Whether pages may upload to the bucket. */
export async function checkCors(settings: BucketConfig, { signal }: CheckRequest): Promise<CheckOutcome> {
  const rules = await settings.cors(signal)
  if (rules.length === 0) {
    return warning('The bucket has no CORS rules: no page may upload to it or read it by script.', REMEDY)
  }
  const writing = rules.filter(({ methods }) => methods.includes('PUT'))
  if (writing.length === 0)
    return warning('No CORS rule of the bucket allows PUT, so no page may upload.', REMEDY)
  const full = writing.filter(takesUploads)
  if (full.length === 0) {
    return warning(
      `The CORS rules do not allow the headers of an upload: ${UPLOAD_HEADERS.join(', ')}.`,
      REMEDY,
    )
  }
  const fit = full.filter(({ exposedHeaders }) => has(exposedHeaders, 'etag'))
  if (fit.length === 0) {
    return warning('The CORS rules do not expose ETag, which uploads in parts need.', REMEDY)
  }
  const origins = [...new Set(fit.flatMap((rule) => rule.origins))]
  return ok(`Pages of ${origins.join(', ')} may upload.`)
}

function takesUploads({ headers }: CorsRule): boolean {
  return UPLOAD_HEADERS.every((header) => has(headers, header))
}

function has(headers: readonly string[], wanted: string): boolean {
  return headers.some((header) => header === '*' || header.toLowerCase() === wanted)
}

/** Whether the bucket gets rid of uploads that were never completed. */
export async function checkLifecycle(
  settings: BucketConfig,
  { folder, signal }: CheckRequest,
): Promise<CheckOutcome> {
  if (await settings.abortsUploads(folder, signal))
    return ok('The bucket removes uploads that were never completed.')
  return warning(
    'No lifecycle rule removes uploads that were never completed; they are paid for and nobody sees them.',
    'Run `stowage sweep` every night, or write expiry rules by `stowage lifecycle` or setLifecycle: such a rule comes with them.',
  )
}
