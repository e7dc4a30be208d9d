import { TextDecoder } from 'node:util'
import type { Body } from './content.js'
import { ofBytes } from './content.js'
import { Problem, RejectedUpload } from './errors.js'
import { lazily } from './load.js'
import { either } from './signals.js'
import type { UploadRules } from './types.js'

/** Rules for chat uploads: at most 50 MiB; PDF, JPEG, PNG and WebM audio, checked on their bytes. */
export const chatUploadRules: {
  /** 50 MiB, in bytes. */
  readonly maxSize: number
  /** PDF, JPEG, PNG and WebM audio. */
  readonly allowedTypes: readonly string[]
} = Object.freeze({
  maxSize: 50 * 1024 * 1024,
  allowedTypes: Object.freeze(['application/pdf', 'image/jpeg', 'image/png', 'audio/webm']),
})

/** Bytes needed to detect any type. Office files need the most: their type follows the first zip entries. */
export const SAMPLE_BYTES = 64 * 1024

/** Checks the upload rules of a save. Copies the list, because the caller may change it later. */
export function toUploadRules({ maxSize, allowedTypes }: UploadRules): UploadRules {
  if (maxSize !== undefined && !(Number.isSafeInteger(maxSize) && maxSize >= 0)) {
    throw new Problem('InvalidArgument', 'maxSize must be a whole number of bytes')
  }
  if (allowedTypes !== undefined && !(Array.isArray(allowedTypes) && allowedTypes.every(isTypePattern))) {
    throw new Problem(
      'InvalidArgument',
      'allowedTypes must be a list of MIME types such as "image/png" or "audio/*"',
    )
  }
  return { maxSize, allowedTypes: allowedTypes && [...allowedTypes] }
}

/** A body that passed the rules so far. */
export interface JudgedBody {
  readonly body: Body
  /** The type of the bytes, if there is `allowedTypes`. */
  readonly contentType: string | undefined
}

/**
 * Checks a body against the rules while it streams, and buffers only a sample. `claimed` is the type that the caller or
 * the extension claims. It only refines plain text; for other bytes it is ignored.
 *
 * @throws {RejectedUpload} here, or from the body while it is read.
 */
export async function applyRules(
  body: Body,
  { maxSize, allowedTypes }: UploadRules,
  claimed: string,
  signal: AbortSignal | undefined,
): Promise<JudgedBody> {
  let judged = maxSize === undefined ? body : limit(body, maxSize)
  if (allowedTypes === undefined) return { body: judged, contentType: undefined }
  const sample = await takeSample(judged, signal)
  judged = sample.body
  try {
    return { body: judged, contentType: await judgeType(sample.head, allowedTypes, claimed) }
  } catch (error) {
    await sample.release()
    throw error
  }
}

/** A content that is stored already. */
export interface StoredContent {
  /** Bytes of all of it. */
  readonly size: number
  /** The type that it was stored with. Judged as the claim of {@link applyRules}. */
  readonly contentType: string
  /** Gives the first {@link SAMPLE_BYTES}, or all of a smaller content. Called at most once, if a rule needs them. */
  sample(): Promise<Uint8Array>
}

/**
 * Checks a stored content against the rules. Returns the type to store it with, if there is `allowedTypes`.
 *
 * @throws {RejectedUpload}
 */
export async function judge(
  content: StoredContent,
  { maxSize, allowedTypes }: UploadRules,
): Promise<string | undefined> {
  if (maxSize !== undefined) checkSize(content.size, maxSize)
  if (allowedTypes === undefined) return undefined
  return judgeType(await content.sample(), allowedTypes, content.contentType)
}

/** The type to store a content with, by its first bytes. */
async function judgeType(sample: Uint8Array, allowed: readonly string[], claimed: string): Promise<string> {
  const found = await detectType(sample.subarray(0, SAMPLE_BYTES), claimed)
  if (!allowed.some((pattern) => matches(found, pattern))) {
    throw new RejectedUpload({ reason: 'type', allowed, found, empty: sample.byteLength === 0 })
  }
  return canonical(claimed) === found ? claimed : found
}

function isTypePattern(pattern: unknown): pattern is string {
  return typeof pattern === 'string' && /^[\w.+-]+\/(?:\*|[\w.+-]+)$/.test(pattern)
}

function limit(body: Body, maxSize: number): Body {
  if (body.size !== undefined) checkSize(body.size, maxSize)
  if (body.bytes !== undefined) return body
  return {
    ...body,
    async *chunks(signal) {
      let bytes = 0
      for await (const chunk of body.chunks(signal)) {
        bytes += chunk.byteLength
        checkSize(bytes, maxSize)
        yield chunk
      }
    },
  }
}

function checkSize(found: number, limit: number): void {
  if (found > limit) throw new RejectedUpload({ reason: 'size', limit, found })
}

/** The first bytes of a body, and a body with all of its bytes. */
async function takeSample(body: Body, signal: AbortSignal | undefined) {
  if (body.bytes !== undefined) {
    return { head: body.bytes.subarray(0, SAMPLE_BYTES), body, release: async () => {} }
  }
  const stop = new AbortController()
  const sampleSignal = either(signal, stop.signal)
  const iterator = body.chunks(sampleSignal)[Symbol.asyncIterator]()
  const taken: Uint8Array[] = []
  let bytes = 0
  let ended = false
  while (bytes < SAMPLE_BYTES && !ended) {
    const result = await iterator.next()
    if (result.done) ended = true
    else {
      taken.push(result.value)
      bytes += result.value.byteLength
    }
  }
  const head = Buffer.concat(taken)
  const release = async () => {
    await iterator.return?.()
  }
  if (ended) return { head: head.subarray(0, SAMPLE_BYTES), body: ofBytes(head), release }
  if (body.replayable) await release()
  const rest: AsyncIterable<Uint8Array> = { [Symbol.asyncIterator]: () => iterator }
  const chunks = async function* (readerSignal?: AbortSignal) {
    // The sample's signal reads the source. The reader's signal must end a stalled source as well.
    const onAbort = () => stop.abort(readerSignal?.reason)
    readerSignal?.addEventListener('abort', onAbort, { once: true })
    try {
      if (readerSignal?.aborted) onAbort()
      yield* taken.splice(0)
      yield* rest
    } finally {
      readerSignal?.removeEventListener('abort', onAbort)
      await release() // Also if the reader leaves before the rest.
    }
  }
  return { head, body: body.replayable ? body : { ...body, chunks }, release }
}

/** Text formats without magic bytes. If the bytes are plain text, the claim decides between them. */
const TEXT_CLAIMS =
  /^(?:text\/(?!html|xml|javascript)[\w.+-]+|application\/(?:json|[\w.+-]+\+json|x-ndjson|yaml|x-yaml|toml|sql|rtf))$/

const loadFileType = lazily(() => import('./vendor/file-type.js'))

/** The type of the bytes, by one name per type. A browser's reading of the bytes counts, not the claim. */
async function detectType(head: Uint8Array, claimed: string): Promise<string> {
  const { fileTypeFromBuffer } = await loadFileType()
  // A UTF-16 byte order mark looks like the start of an MP3 frame.
  const found = utf16Of(head) ? undefined : (await fileTypeFromBuffer(ofThisRealm(head)))?.mime
  // XML may be an image or a web page: see below.
  if (found !== undefined && found !== 'application/xml') {
    return canonical(AUDIO_ONLY[found]?.(latin1(head)) ? found.replace('video', 'audio') : found)
  }
  const text = plainText(head, utf16Of(head) ?? 'utf-8')
  if (text === undefined) return 'application/octet-stream'
  const start = text.replace(/^[\s\ufeff\x1b]+/, '')
  // A browser may show text that begins with a tag as a page. Tags further on are only text.
  if (/^<[!/?a-z]/i.test(start)) {
    if (!/^<(?:\?xml\b|!doctype\s+svg\b|svg\b|[\w.-]+:)/i.test(afterComments(start))) return 'text/html'
    return /<svg\b/i.test(start) ? 'image/svg+xml' : 'application/xml'
  }
  const claim = canonical(claimed)
  return TEXT_CLAIMS.test(claim) ? claim : 'text/plain'
}

/** Under jsdom, Node's `Buffer` is no `Uint8Array` of the page's. */
function ofThisRealm(bytes: Uint8Array): Uint8Array {
  if (bytes instanceof Uint8Array) return bytes
  const { buffer, byteOffset, byteLength }: Uint8Array = bytes
  return new Uint8Array(buffer, byteOffset, byteLength)
}

/** Skips leading comments. By hand, because a regular expression could take exponential time. */
function afterComments(markup: string): string {
  let rest = markup
  while (rest.startsWith('<!--')) {
    const end = rest.indexOf('-->', 2) // Browsers take `<!-->` for a whole comment.
    if (end === -1) return ''
    rest = rest.slice(end + 3).trimStart()
  }
  return rest
}

/** Containers of voice notes: whether the head has sound and no picture. */
const AUDIO_ONLY: Readonly<Record<string, (head: string) => boolean>> = {
  // Matroska's CodecID element (0x86) names each track's codec: `A_OPUS`, `V_VP9`.
  'video/webm': (head) => {
    const tracks = head.split('\x1f\x43\xb6\x75', 1)[0] ?? '' // Up to the first Cluster: sound may be any bytes.
    return /\x86[\x80-\xff]A_/.test(tracks) && !/\x86[\x80-\xff]V_/.test(tracks)
  },
  // ISO 14496-12 §8.4.3: each track's handler box says `soun` or `vide`, 8 bytes after its own type.
  'video/mp4': (head) => /hdlr[\s\S]{8}soun/.test(head) && !/hdlr[\s\S]{8}vide/.test(head),
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}

/** The UTF-16 form by its byte order mark, as browsers detect it. */
function utf16Of([first, second]: Uint8Array): 'utf-16le' | 'utf-16be' | undefined {
  if (first === 0xff && second === 0xfe) return 'utf-16le'
  return first === 0xfe && second === 0xff ? 'utf-16be' : undefined
}

function plainText(head: Uint8Array, encoding: string): string | undefined {
  try {
    // The sample may end inside a character; `stream` allows that.
    const text = new TextDecoder(encoding, { fatal: true }).decode(head, { stream: true })
    return /[\0-\x08\x0e-\x1a\x1c-\x1f\x7f]/.test(text) ? undefined : text
  } catch {
    return undefined
  }
}

/** Other common names of the same type. */
const ALIASES: Readonly<Record<string, string>> = {
  'image/jpg': 'image/jpeg',
  'image/pjpeg': 'image/jpeg',
  'image/vnd.microsoft.icon': 'image/x-icon',
  'audio/mp3': 'audio/mpeg',
  'audio/x-mpeg': 'audio/mpeg',
  'audio/x-m4a': 'audio/mp4',
  'audio/m4a': 'audio/mp4',
  'audio/x-wav': 'audio/wav',
  'audio/wave': 'audio/wav',
  'audio/vnd.wave': 'audio/wav',
  'audio/opus': 'audio/ogg',
  'audio/x-flac': 'audio/flac',
  'application/x-pdf': 'application/pdf',
  'text/xml': 'application/xml',
}

function canonical(type: string): string {
  const essence = (type.split(';')[0] ?? '').trim().toLowerCase()
  return ALIASES[essence] ?? essence
}

function matches(type: string, pattern: string): boolean {
  const wanted = canonical(pattern)
  return wanted.endsWith('/*') ? type.startsWith(wanted.slice(0, -1)) : type === wanted
}
