import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import type { Storage } from 'stowage'
import { createUploadHandler, type UploadHandlerOptions } from 'stowage/http'

/** The smallest part of R2 that is not the last. */
export const PART = 5 * 1024 * 1024
export const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGBgAAAABQABXvMqOgAAAABJRU5ErkJggg==',
  'base64',
)

/** A picture of an exact size, which no other has. */
export function picture(size: number, seed = 'a'): Buffer {
  const bytes = Buffer.alloc(size, createHash('sha256').update(seed).digest())
  PNG.copy(bytes, 0, 0, Math.min(size, PNG.byteLength))
  return bytes
}

export interface Begun {
  key: string
  uploadId: string
}

interface SentPart {
  PartNumber: number
  ETag: string
}

/** A client of Companion's routes, without a browser. */
export class UploadClient {
  readonly #handler: (request: Request) => Promise<Response | undefined>
  readonly origin: string

  constructor(storage: Storage, options: Partial<UploadHandlerOptions> = {}, origin = 'http://app.test') {
    this.origin = origin
    this.#handler = createUploadHandler(storage, {
      authorize: () => true,
      name: ({ filename }) => `docs/${filename}`,
      ...options,
    })
  }

  /** A request of any kind. Addresses elsewhere go over the network. */
  async ask(path: string, init: RequestInit = {}): Promise<Response> {
    const url = new URL(path, this.origin)
    if (url.origin !== this.origin) return fetch(url, init)
    const body = init.body
    const headers = new Headers(init.headers)
    const length = Buffer.isBuffer(body) || typeof body === 'string' ? Buffer.byteLength(body) : undefined
    if (length !== undefined && !headers.has('content-length')) headers.set('content-length', String(length))
    const response = await this.#handler(new Request(url, { ...init, headers }))
    assert.ok(response, path)
    return response
  }

  create(filename: string, type = 'image/png', metadata: object = {}): Promise<Response> {
    return this.ask('/s3/multipart', { method: 'POST', body: JSON.stringify({ filename, type, metadata }) })
  }

  async begin(filename: string, type?: string): Promise<Begun> {
    return json(await this.create(filename, type))
  }

  sign({ key, uploadId }: Begun, number: number): Promise<Response> {
    return this.ask(`/s3/multipart/${uploadId}/${number}?${new URLSearchParams({ key })}`)
  }

  async put(upload: Begun, number: number, bytes: Buffer): Promise<SentPart> {
    const { url } = await json<{ url: string }>(await this.sign(upload, number))
    const response = await this.ask(url, { method: 'PUT', body: bytes })
    assert.equal(response.status, 200, await response.clone().text())
    const etag = response.headers.get('etag')
    assert.ok(etag)
    return { PartNumber: number, ETag: etag }
  }

  list({ key, uploadId }: Begun): Promise<Response> {
    return this.ask(`/s3/multipart/${uploadId}?${new URLSearchParams({ key })}`)
  }

  complete({ key, uploadId }: Begun, parts: unknown): Promise<Response> {
    const query = new URLSearchParams({ key })
    return this.ask(`/s3/multipart/${uploadId}/complete?${query}`, {
      method: 'POST',
      body: JSON.stringify({ parts }),
    })
  }

  abort({ key, uploadId }: Begun): Promise<Response> {
    return this.ask(`/s3/multipart/${uploadId}?${new URLSearchParams({ key })}`, { method: 'DELETE' })
  }

  /** A whole upload. */
  async send(filename: string, bytes: Buffer, type?: string): Promise<Response> {
    const upload = await this.begin(filename, type)
    const parts: SentPart[] = []
    for (let start = 0; start === 0 || start < bytes.byteLength; start += PART) {
      parts.push(await this.put(upload, parts.length + 1, bytes.subarray(start, start + PART)))
    }
    return this.complete(upload, parts)
  }
}

/** The object of a success. */
export async function json<T>(response: Response): Promise<T> {
  const text = await response.text()
  assert.equal(response.status, 200, text)
  return JSON.parse(text)
}

/** Status and message of a refusal. */
export async function refusal(response: Response): Promise<{ status: number; message: string }> {
  assert.equal(response.headers.get('content-type'), 'application/problem+json')
  const { title, status, message } = JSON.parse(await response.text())
  assert.equal(status, response.status)
  assert.equal(title, message)
  return { status, message }
}

export async function namesOf(storage: Storage): Promise<string[]> {
  const names: string[] = []
  const odd: string[] = []
  for await (const { name } of storage.list('', { onInvalidName: (name) => odd.push(name) })) names.push(name)
  assert.deepEqual(odd, [])
  return names
}
