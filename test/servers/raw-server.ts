import { createServer, type Socket } from 'node:net'

export interface RawCall {
  readonly method: string
  readonly url: string
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

export interface RawServer extends AsyncDisposable {
  readonly endpoint: string
  /** Every request that has arrived in whole. */
  readonly calls: RawCall[]
  /** Connections that are open now. */
  readonly connections: number
  /** What is done about a request: whatever bytes, or none. May be changed. */
  reply: (call: RawCall, socket: Socket) => void
  /** How fast requests are read; as fast as they come by default. */
  bytesPerSecond: number
  stop(): Promise<void>
}

/** A server on 127.0.0.1 that answers requests with bytes that need not be HTTP at all. */
export async function startRawServer(reply: RawServer['reply']): Promise<RawServer> {
  const sockets = new Set<Socket>()
  const calls: RawCall[] = []
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket)).on('error', () => {})
    let pending: Buffer = Buffer.alloc(0)
    socket.on('data', (chunk: Buffer) => {
      pending = Buffer.concat([pending, chunk])
      if (raw.bytesPerSecond < Number.POSITIVE_INFINITY) {
        socket.pause()
        setTimeout(() => socket.resume(), (chunk.byteLength / raw.bytesPerSecond) * 1000)
      }
      for (let parsed = parse(pending); parsed !== undefined; parsed = parse(pending)) {
        pending = parsed.rest
        calls.push(parsed.call)
        raw.reply(parsed.call, socket)
      }
    })
  })
  await new Promise<void>((resolve) => server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const stop = async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise<void>((resolve) => server.close(() => resolve()))
  }
  const raw: RawServer = {
    endpoint: `http://127.0.0.1:${address.port}`,
    calls,
    get connections() {
      return sockets.size
    },
    reply,
    bytesPerSecond: Number.POSITIVE_INFINITY,
    stop,
    [Symbol.asyncDispose]: stop,
  }
  return raw
}

function parse(bytes: Buffer): { call: RawCall; rest: Buffer } | undefined {
  const end = bytes.indexOf('\r\n\r\n')
  if (end === -1) return undefined
  const [first = '', ...lines] = bytes.toString('latin1', 0, end).split('\r\n')
  const [method = '', url = ''] = first.split(' ')
  const headers: Record<string, string> = {}
  for (const line of lines) {
    const colon = line.indexOf(':')
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim()
  }
  const bodyEnd = end + 4 + Number(headers['content-length'] ?? 0)
  if (bytes.length < bodyEnd) return undefined
  return {
    call: { method, url, headers, body: bytes.subarray(end + 4, bodyEnd) },
    rest: bytes.subarray(bodyEnd),
  }
}

/** A well-formed answer, with the length of its body unless `headers` says otherwise. */
export function rawAnswer(
  status: number,
  headers: Readonly<Record<string, string>> = {},
  body: string | Buffer = '',
): Buffer {
  const names = Object.keys(headers).map((name) => name.toLowerCase())
  const framed = names.includes('content-length') || names.includes('transfer-encoding')
  const all = framed ? headers : { ...headers, 'Content-Length': String(Buffer.byteLength(body)) }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  return Buffer.concat([
    Buffer.from(`HTTP/1.1 ${status} Told\r\n${lines.join('')}\r\n`, 'latin1'),
    Buffer.from(body),
  ])
}
