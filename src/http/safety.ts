import { attachment } from '../disposition.js'
import { isMediaType } from '../media-types.js'
import { baseName } from '../names.js'

/** Types that browsers may show: none of them runs a script. */
const INLINE: ReadonlySet<string> = new Set([
  'image/png',
  'image/jpeg',
  'image/gif',
  'image/webp',
  'image/avif',
  'video/mp4',
  'video/webm',
  'video/ogg',
  'text/plain',
  'application/pdf',
])
const SANDBOX = "default-src 'none'; sandbox"

/** Headers that keep browsers from running a file. `disposition`: the one that was stored or signed. */
export function safetyHeaders(
  name: string,
  contentType: string,
  disposition: string | undefined,
): Record<string, string> {
  const [essence = ''] = contentType.toLowerCase().split(';')
  const type = essence.trim()
  const inline = isMediaType(contentType) && (INLINE.has(type) || type.startsWith('audio/'))
  const headers: Record<string, string> = { 'x-content-type-options': 'nosniff' }
  if (inline) {
    if (disposition !== undefined) headers['content-disposition'] = disposition
    return headers
  }
  headers['content-security-policy'] = SANDBOX
  headers['content-disposition'] =
    disposition !== undefined && /^attachment(?:;|$)/i.test(disposition)
      ? disposition
      : attachment(baseName(name))
  return headers
}

/** Uses of a file that run it, as browsers name them (Fetch Metadata). A page may load a stored script as its own. */
const RUNNING: ReadonlySet<string | null> = new Set([
  'script',
  'worker',
  'sharedworker',
  'serviceworker',
  'audioworklet',
  'paintworklet',
  'xslt',
])

/** Whether a browser asks for a program. No header of the answer would stop it. */
export function isForRunning(headers: Headers): boolean {
  return RUNNING.has(headers.get('sec-fetch-dest'))
}
