/**
 * The short cut from `serveFile` to the listener of `node:http`. A `Response` makes a web stream of its bytes, and the
 * listener bytes of that again, which costs more than all the rest of a small file. So an answer to a request of the
 * listener keeps its content, and makes a body of it only for those who look at the body.
 */
import type { Readable } from 'node:stream'
import type { Bytes, StoredFile } from '../stored-file.js'
import { bodyOf } from './body.js'

type Content = Bytes | StoredFile

/** Requests of the listener. */
const requests = new WeakSet<Request>()
/** Bytes up to which a file is read at once: cheaper than a stream. */
const SMALL = 256 * 1024

/** Says that the listener waits for the answer to a request. */
export function expectDirect(request: Request): void {
  requests.add(request)
}

/** Answers a request with the content of a file, which it owns from now on. */
export async function answerWith(request: Request, file: StoredFile, init: ResponseInit): Promise<Response> {
  const { length } = file.range
  if (length === 0) {
    await file.close()
    return new Response(null, init)
  }
  const content = length <= SMALL ? await file.bytes() : file
  return requests.has(request) ? new DirectResponse(content, init) : new Response(toBody(content), init)
}

/** The content for the listener to send: undefined where it has to look at the body. */
export function takeDirect(response: Response): Bytes | Readable | undefined {
  const content = DirectResponse.take(response)
  return content === undefined || Buffer.isBuffer(content) ? content : content.stream()
}

function toBody(content: Content): Bytes | ReadableStream {
  return Buffer.isBuffer(content) ? content : bodyOf(content)
}

/** A `Response` without a body of its own. */
const Head: new (
  body: null,
  init: ResponseInit,
) => Omit<Response, 'body' | 'bodyUsed' | 'clone' | 'arrayBuffer' | 'blob' | 'formData' | 'json' | 'text'> =
  Response

/** A `Response` that makes its body when somebody looks at it. To others it is like every `Response`. */
class DirectResponse extends Head {
  #content: Content | undefined
  /** The response with a body, once somebody has looked at it. */
  #made: Response | undefined

  constructor(content: Content, init: ResponseInit) {
    super(null, init)
    this.#content = content
  }

  /** The content, which is gone then. */
  static take(response: Response): Content | undefined {
    if (!(#content in response)) return undefined
    const content = response.#content
    response.#content = undefined
    return content
  }

  #make(): Response {
    if (this.#made) return this.#made
    const content = DirectResponse.take(this)
    if (content === undefined) throw new TypeError('the body was already sent')
    this.#made = new Response(toBody(content), this)
    return this.#made
  }

  get body() {
    return this.#make().body
  }

  get bodyUsed() {
    return this.#made ? this.#made.bodyUsed : this.#content === undefined
  }

  clone() {
    // The headers may have changed since the body was made.
    return new Response(this.#make().clone().body, this)
  }

  async arrayBuffer() {
    return await this.#make().arrayBuffer()
  }

  async blob() {
    return await this.#make().blob()
  }

  async bytes() {
    return new Uint8Array(await this.#make().arrayBuffer())
  }

  async formData() {
    return await this.#make().formData()
  }

  async json() {
    return await this.#make().json()
  }

  async text() {
    return await this.#make().text()
  }
}
