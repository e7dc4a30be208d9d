/**
 * The short cut from `serveFile` to the listener of `node:http`. A `Response` makes a web stream of its bytes, and the
 * listener bytes of that again, which costs more than all the rest of a small file. So an answer to a request of the
 * listener keeps its content beside it, and makes a body of it only for those who look at the body.
 */
import type { Readable } from 'node:stream'
import type { Bytes, StoredFile } from '../stored-file.js'
import { bodyOf } from './body.js'

type Content = Bytes | StoredFile

/** Requests of the listener. */
const requests = new WeakSet<Request>()
/** Content that nobody has taken yet. */
const contents = new WeakMap<Response, Content>()
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
  if (!requests.has(request)) return new Response(toBody(content), init)
  const response = new Response(null, init)
  // On the object itself: `@hono/node-server` replaces the global class while the process runs.
  Object.defineProperties(response, BODY)
  contents.set(response, content)
  return response
}

/** What the listener is to send: undefined where it has to look at the body. */
export function takeDirect(response: Response): Bytes | Readable | undefined {
  const content = contents.get(response)
  if (content === undefined) return undefined
  contents.delete(response)
  return Buffer.isBuffer(content) ? content : content.stream()
}

function toBody(content: Content): Bytes | ReadableStream {
  return Buffer.isBuffer(content) ? content : bodyOf(content)
}

/** Answers whose body somebody has looked at, as they would be without the short cut. */
const plain = new WeakMap<Response, Response>()

function plainOf(response: Response): Response {
  let found = plain.get(response)
  if (!found) {
    const content = contents.get(response)
    contents.delete(response)
    found = new Response(content && toBody(content))
    plain.set(response, found)
  }
  return found
}

/** What a `Response` says of its body. */
const BODY: PropertyDescriptorMap = {
  clone: {
    value(this: Response) {
      return new Response(plainOf(this).clone().body, this)
    },
  },
}
for (const name of ['body', 'bodyUsed']) {
  BODY[name] = {
    get(this: Response) {
      return Reflect.get(plainOf(this), name)
    },
  }
}
for (const name of ['arrayBuffer', 'blob', 'bytes', 'formData', 'json', 'text']) {
  BODY[name] = {
    value(this: Response) {
      const response = plainOf(this)
      return Reflect.get(response, name).call(response)
    },
  }
}
