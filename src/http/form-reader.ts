import { isProblem, SourceFailure } from '../errors.js'
import { malformed, type PartHeaders } from './form-headers.js'
import type { FormEvent, FormParser } from './form-parser.js'

/** Bytes that are parsed at once: a body may come as one large piece. */
const SLICE = 64 * 1024

/** Reads a form part by part, as fast as its reader asks. */
export class FormReader {
  readonly #chunks: AsyncIterator<Uint8Array>
  readonly #parser: FormParser
  #rest: Uint8Array = new Uint8Array()
  #events: readonly FormEvent[] = []
  #index = 0

  constructor(chunks: AsyncIterator<Uint8Array>, parser: FormParser) {
    this.#chunks = chunks
    this.#parser = parser
  }

  /** The headers of the next part; undefined after the last. What is left of the part before is skipped. */
  async nextPart(): Promise<PartHeaders | undefined> {
    for (;;) {
      const event = await this.#take()
      if (event.kind === 'part') return event.headers
      if (event.kind === 'whole') return undefined
    }
  }

  /** Whether the part has a byte. */
  async hasContent(): Promise<boolean> {
    return (await this.#peek()).kind === 'bytes'
  }

  /** The bytes of the part. */
  async *content(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const event = await this.#take()
      if (event.kind !== 'bytes') return
      yield event.bytes
    }
  }

  async #take(): Promise<FormEvent> {
    const event = await this.#peek()
    this.#index += 1
    return event
  }

  async #peek(): Promise<FormEvent> {
    let event = this.#events[this.#index]
    while (event === undefined) {
      this.#events = this.#parser.parse(await this.#slice())
      this.#index = 0
      event = this.#events[0]
    }
    if (event.kind === 'failure') throw event.error
    return event
  }

  async #slice(): Promise<Uint8Array> {
    if (this.#rest.byteLength === 0) this.#rest = await this.#read()
    const slice = this.#rest.subarray(0, SLICE)
    this.#rest = this.#rest.subarray(SLICE)
    return slice
  }

  async #read(): Promise<Uint8Array> {
    try {
      const { done, value } = await this.#chunks.next()
      if (!done) return value
    } catch (error) {
      if (isProblem(error)) throw error
      if (error instanceof SourceFailure) throw malformed(CUT, error.cause)
      throw error
    }
    throw malformed(CUT)
  }
}

const CUT = 'the form was cut: the client left, or its last boundary is missing'
