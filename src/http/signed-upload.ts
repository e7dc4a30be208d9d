import type { SignedGrant } from '../driver.js'
import { isStorageError } from '../errors.js'
import type { Name } from '../names.js'
import type { Storage } from '../storage.js'
import { errorResponse, problemResponse } from './problem.js'
import { Refusal } from './refusal.js'

type UploadGrant = Extract<SignedGrant, { readonly method: 'PUT' }>

/** Takes one signed upload: exactly its size, its type, and no name that is taken. */
export async function takeUpload(
  storage: Storage,
  name: Name,
  { size, createOnly, attributes }: UploadGrant,
  request: Request,
): Promise<Response> {
  const { headers, body } = request
  try {
    const length = lengthOf(request)
    if (length > size) return refuse(413, 'The upload is larger than agreed.')
    if (length < size) return refuse(400, 'The upload is smaller than agreed.')
    if (headers.get('content-type') !== attributes.contentType) {
      return refuse(415, 'The upload has another type than agreed.')
    }
    await storage.save(name, exactly(body ?? [], size), {
      ...attributes,
      ifExists: createOnly ? 'error' : 'overwrite',
      signal: request.signal,
    })
    const { etag } = await storage.stat(name)
    return new Response(null, { status: 200, headers: { etag } })
  } catch (error) {
    if (error instanceof Refusal) return refuse(error.status, error.message)
    if (isStorageError(error)) return errorResponse(error)
    // The client's connection broke.
    return refuse(400, CUT)
  }
}

const CUT = 'The upload was cut.'

/** The length that a request says it has. @throws {Refusal} */
export function lengthOf({ headers }: Request): number {
  const length = headers.get('content-length')
  if (length === null) throw new Refusal(411, 'The upload has to say its length.')
  if (!/^\d{1,16}$/.test(length)) throw new Refusal(400, 'The length of the upload is not a number.')
  return Number(length)
}

/** A request may lie about its length. */
export async function* exactly(
  chunks: ReadableStream<Uint8Array> | readonly Uint8Array[],
  size: number,
): AsyncGenerator<Uint8Array> {
  let bytes = 0
  for await (const chunk of chunks) {
    bytes += chunk.byteLength
    if (bytes > size) throw new Refusal(413, 'The upload is larger than agreed.')
    yield chunk
  }
  if (bytes < size) throw new Refusal(400, CUT)
}

function refuse(status: number, message: string): Response {
  return problemResponse(status, status === 413 ? 'Rejected' : 'BadRequest', message)
}
