import { Problem } from '../../errors.js'
import { isHeaderValue } from '../../headers.js'

/** Headers that a server demands with every write, by their names in lower case. */
export type WriteHeaders = Readonly<Record<string, string>>

/** Headers that belong to one request or to a signature, and keys of SSE-C, which reads would need as well. */
const OWN =
  /^x-amz-(?:content-sha256$|date$|security-token$|signature|algorithm$|credential$|meta-|copy-source|metadata-directive$|checksum-|sdk-|trailer$|decoded-content-length$|server-side-encryption-customer-)/

/** Checks the option `writeHeaders`. */
export function toWriteHeaders(given: Readonly<Record<string, string>> | undefined): WriteHeaders {
  if (given === undefined) return {}
  if (typeof given !== 'object' || given === null) throw refused('must be an object of headers')
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(given)) {
    const header = name.toLowerCase()
    const shown = JSON.stringify(name.slice(0, 100))
    if (!/^x-amz-[a-z0-9-]+$/.test(header)) throw refused(`has ${shown}, but its names begin with x-amz-`)
    if (OWN.test(header)) throw refused(`has ${shown}, which cannot be the same for every write`)
    if (Object.hasOwn(headers, header)) throw refused(`has ${shown} twice`)
    if (!isHeaderValue(value)) throw refused(`has a value for ${shown} that is not a header value`)
    headers[header] = value
  }
  return headers
}

function refused(what: string): Problem {
  return new Problem('Misconfigured', `the option writeHeaders ${what}`)
}
