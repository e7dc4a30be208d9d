import type { Readable } from 'node:stream'
import { lazily } from '../load.js'
import { malformed, type PartHeaders, readPartHeaders } from './form-headers.js'

/** One step in a form. `whole` is the closing boundary. */
export type FormEvent =
  | { readonly kind: 'part'; readonly headers: PartHeaders }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | { readonly kind: 'end' }
  | { readonly kind: 'whole' }
  | { readonly kind: 'failure'; readonly error: unknown }

/** Bytes of the headers of one part. Browsers need some hundred. */
const MAX_HEADER_BYTES = 16 * 1024
const MAX_HEADERS = 64
/** Bytes before the first part, or of headers that do not end, before the form is refused. */
const MAX_IDLE_BYTES = 64 * 1024

const loadDicer = lazily(() => import('../vendor/dicer.js'))
type DicerClass = Awaited<ReturnType<typeof loadDicer>>['Dicer']

/** Cuts a form into its parts. It is given bytes and answers at once, so that the reader sets the pace. */
export class FormParser {
  readonly #dicer: InstanceType<DicerClass>
  #events: FormEvent[] = []
  #state: 'outside' | 'headers' | 'body' = 'outside'
  #idleBytes = 0

  static async create(boundary: string): Promise<FormParser> {
    return new FormParser((await loadDicer()).Dicer, boundary)
  }

  private constructor(Dicer: DicerClass, boundary: string) {
    const limits = { maxHeaderPairs: MAX_HEADERS, maxHeaderSize: MAX_HEADER_BYTES }
    this.#dicer = new Dicer({ boundary, ...limits })
    this.#dicer.on('part', (part: Readable) => this.#startPart(part))
    this.#dicer.on('finish', () => this.#add({ kind: 'whole' }))
    this.#dicer.on('error', (error) => this.#fail(error))
  }

  /** The steps that the next bytes of the form complete. Nothing may be parsed after `whole` or `failure`. */
  parse(chunk: Uint8Array): readonly FormEvent[] {
    this.#events = []
    try {
      this.#dicer.write(chunk)
    } catch (error) {
      this.#fail(error)
    }
    if (this.#events.length > 0 || this.#state === 'body') this.#idleBytes = 0
    else this.#idleBytes += chunk.byteLength
    if (this.#idleBytes > MAX_IDLE_BYTES) this.#fail(undefined)
    return this.#events
  }

  #startPart(part: Readable): void {
    this.#state = 'headers'
    part.on('header', (headers: object) => this.#readHeaders(headers))
    part.on('error', ignore)
    // Dicer's part is a stream, which it fills while it parses. Without a buffer in between, nothing is read ahead.
    part.push = (chunk: Uint8Array | null) => {
      if (chunk === null) this.#endPart(part)
      else if (chunk.byteLength > 0) this.#add({ kind: 'bytes', bytes: chunk })
      return true
    }
  }

  #readHeaders(headers: object): void {
    this.#state = 'body'
    try {
      // Lists of texts by names in lower case, without a prototype.
      this.#add({ kind: 'part', headers: readPartHeaders(headers as Record<string, readonly string[]>) })
    } catch (error) {
      this.#add({ kind: 'failure', error })
    }
  }

  #endPart(part: Readable): void {
    if (this.#state === 'headers') this.#fail(undefined)
    else this.#add({ kind: 'end' })
    this.#state = 'outside'
    part.emit('end') // Dicer counts them, and finishes after the last.
  }

  #fail(cause: unknown): void {
    this.#add({ kind: 'failure', error: malformed('the form is malformed', cause) })
  }

  #add(event: FormEvent): void {
    this.#events.push(event)
  }
}

function ignore(): void {}
