import { baseName } from './names.js'
import { encodeExtended } from './percent.js'

/** `attachment; filename="caf_.pdf"; filename*=UTF-8''caf%C3%A9.pdf`: an ASCII fallback, then RFC 8187. */
export function attachment(filename: string): string {
  // Bidirectional overrides can make `fdp.exe` look like `exe.pdf`.
  const shown = baseName(filename.toWellFormed().replaceAll('\\', '/')).replace(
    /[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu,
    '',
  )
  return `attachment; ${filenameParameters(shown || 'file')}`
}

function filenameParameters(filename: string): string {
  const fallback = filename.replace(/[^\x20-\x7e]/gu, '_').replace(/["\\%]/g, '_')
  return fallback === filename
    ? `filename="${filename}"`
    : `filename="${fallback}"; filename*=UTF-8''${encodeExtended(filename)}`
}

/** Encodes `filename="é"` by RFC 8187, because HTTP headers are ASCII. Any other value stays unchanged. */
export function encodeDisposition(value: unknown): unknown {
  if (typeof value !== 'string' || /^[\x20-\x7e]*$/.test(value)) return value
  if (/\p{Cc}|filename\*/iu.test(value) || !value.isWellFormed()) return value // The check of header values refuses it.
  return value.replace(/filename="([^"]*)"/i, (_, filename: string) => filenameParameters(filename))
}
