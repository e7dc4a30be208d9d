/** Forms as browsers send them, and as they should not. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'

export const BOUNDARY = '----WebKitFormBoundaryAbCdEf0123456789'

export interface PartOfForm {
  readonly headers: readonly string[]
  readonly content?: string | Uint8Array
}

export function field(name: string, content: string): PartOfForm {
  return { headers: [`Content-Disposition: form-data; name="${name}"`], content }
}

/** `filename` as it stands in the header. */
export function file(filename: string, content: string | Uint8Array = 'hello', name = 'file'): PartOfForm {
  return {
    headers: [
      `Content-Disposition: form-data; name="${name}"; filename="${filename}"`,
      'Content-Type: application/octet-stream',
    ],
    content,
  }
}

export function formOf(parts: readonly PartOfForm[], boundary = BOUNDARY): Buffer {
  const pieces = parts.flatMap(({ headers, content = '' }) => [
    `--${boundary}\r\n${headers.map((header) => `${header}\r\n`).join('')}\r\n`,
    content,
    '\r\n',
  ])
  return Buffer.concat([...pieces, `--${boundary}--\r\n`].map((piece) => Buffer.from(piece)))
}

export const FORM_TYPE = `multipart/form-data; boundary=${BOUNDARY}`

/** A request whose body comes in these pieces. */
export function requestOf(
  body: Uint8Array | readonly (string | Uint8Array)[],
  contentType = FORM_TYPE,
  ending: 'ends' | 'stalls' = 'ends',
): Request {
  const pieces = body instanceof Uint8Array ? [body] : [...body]
  const stream = new ReadableStream<Uint8Array>({
    pull(controller) {
      const next = pieces.shift()
      if (next !== undefined) controller.enqueue(Buffer.from(next))
      else if (ending === 'ends') controller.close()
      else return new Promise(() => {})
      return undefined
    },
  })
  const init = { method: 'POST', headers: { 'content-type': contentType }, body: stream, duplex: 'half' }
  return new Request('http://localhost/', init as RequestInit) // Node's types do not know `duplex`.
}

/** Pieces of so many bytes. */
export function cutUp(body: Uint8Array, bytes: number): Uint8Array[] {
  const pieces: Uint8Array[] = []
  for (let at = 0; at < body.byteLength; at += bytes) pieces.push(body.subarray(at, at + bytes))
  return pieces
}

/** A server for one test; its port. */
export async function listening(
  handle: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<number> {
  const server = createServer(handle)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  return (server.address() as AddressInfo).port // It listens on TCP.
}

export function connected(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true }, () => resolve(socket))
    socket.on('error', reject)
    onTestFinished(() => void socket.destroy())
  })
}

export function headOf(length: number, contentType = FORM_TYPE): string {
  return `POST / HTTP/1.1\r\nHost: a\r\nContent-Type: ${contentType}\r\nContent-Length: ${length}\r\n\r\n`
}

/** Sends all pieces in writes of their own. Gives the statuses of so many answers. */
export async function sendRaw(
  port: number,
  pieces: readonly (string | Uint8Array)[],
  answers = 1,
): Promise<number[]> {
  const socket = await connected(port)
  let answered = ''
  const statuses = () => [...answered.matchAll(/HTTP\/1\.1 (\d+)/g)].map((found) => Number(found[1]))
  const done = new Promise<void>((resolve) => {
    socket.on('error', () => {}).on('close', () => resolve())
    socket.on('data', (chunk) => {
      answered += String(chunk)
      if (statuses().length === answers) resolve()
    })
  })
  for (const piece of pieces) {
    const written = new Promise((resolve) => socket.write(piece, resolve))
    await Promise.race([written, done])
  }
  await done
  socket.destroy()
  return statuses()
}
