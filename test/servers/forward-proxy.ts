import { createServer, request as sendOn } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'

/** One request that a proxy was asked to send on. */
export interface ProxiedRequest {
  readonly method: string
  /** The absolute address, or host and port with CONNECT. */
  readonly target: string
  /** Status of the proxy's own answer; 0 for what it sends on. */
  readonly refused: number
}

export interface ForwardProxy extends AsyncDisposable {
  readonly port: number
  readonly requests: ProxiedRequest[]
  /** `user:password` that it asks for. Default none. */
  credentials: string | undefined
  /** Refuses every CONNECT with this status. Default none. */
  refuseConnect: number | undefined
}

/** A forward proxy on 127.0.0.1, as Squid is one. It takes every host name for this machine. */
export async function startForwardProxy(): Promise<ForwardProxy> {
  const requests: ProxiedRequest[] = []
  const sockets = new Set<Socket>()
  const refusal = (header: string | undefined, status: number | undefined) => {
    const { credentials } = proxy
    const wanted = credentials && `Basic ${Buffer.from(credentials).toString('base64')}`
    return wanted !== undefined && header !== wanted ? 407 : status
  }
  const server = createServer((incoming, response) => {
    const { method = '', url = '', headers } = incoming
    const refused = url.startsWith('http://') ? refusal(headers['proxy-authorization'], undefined) : 400
    requests.push({ method, target: url, refused: refused ?? 0 })
    if (refused !== undefined) {
      incoming.resume().once('end', () => response.writeHead(refused).end('<html>the proxy</html>'))
      return
    }
    const { port } = new URL(url)
    const { 'proxy-authorization': _, ...passed } = headers
    const path = url.replace(/^http:\/\/[^/]*/, '') // As it came, since the signature is over it.
    const sent = sendOn({ host: '127.0.0.1', port, method, path, headers: passed }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(response)
    })
    sent.once('error', () => response.destroy())
    incoming.pipe(sent)
  })
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  server.on('connect', ({ url = '', headers }, client: Socket, head: Buffer) => {
    const refused = refusal(headers['proxy-authorization'], proxy.refuseConnect)
    requests.push({ method: 'CONNECT', target: url, refused: refused ?? 0 })
    if (refused !== undefined) {
      client.end(`HTTP/1.1 ${refused} Refused\r\nContent-Length: 0\r\n\r\n`)
      return
    }
    const upstream = connect({ host: '127.0.0.1', port: Number(/\d+$/.exec(url)) }, () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n')
      upstream.write(head)
      upstream.pipe(client).pipe(upstream)
    })
    sockets.add(upstream)
    upstream.once('error', () => client.destroy())
    client.once('error', () => upstream.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const proxy: ForwardProxy = {
    port: (server.address() as AddressInfo).port,
    requests,
    credentials: undefined,
    refuseConnect: undefined,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
  return proxy
}
