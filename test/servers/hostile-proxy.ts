import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

/** What the proxy does to a request or to its answer. */
export type Fault =
  | 'reset before'
  | 'reset during'
  | 'reset after'
  | '429'
  | '500'
  | '502 with HTML'
  | '503 SlowDown'
  | '503 after it was done'
  | '520 to 530'
  | '200 with an error'
  | 'body cut'
  | 'body stalls'
  | 'body trickles'
  | 'length too long'
  | 'length too short'
  | 'answer dropped'

export interface HostileProxyOptions {
  /** The server behind it, `http://127.0.0.1:1234`. */
  readonly upstream: string
  /** Random numbers from 0 to 1. */
  readonly random: () => number
  /** The share of requests that meet with a fault. May be changed. */
  rate: number
  /** Restricts the faults. Default: all of them. */
  readonly only?: readonly Fault[]
  /** What follows on so many faults of one request is let through, since a client gives up after six attempts. Default 5. */
  readonly mostInARow?: number
}

export interface HostileProxy {
  readonly endpoint: string
  /** How often what was done. */
  readonly faults: Map<Fault, number>
  /** Requests that arrived. */
  readonly requests: number
  /** Connections of clients that are open now. */
  readonly connections: number
  rate: number
  /** Closes the connections that no request is under way on, as a server does after a while. */
  closeIdle(): void
  stop(): Promise<void>
}

/** The share of connections on which half of the answers are dropped. */
const BAD_CONNECTIONS = 0.05

/**
 * A proxy before an S3 server that breaks things at random, at a given rate. It passes the Host header on as it was
 * signed. At 1 in 10, six faults in a row on one request would come once in a million requests; unless told otherwise they
 * never come, so that an operation that fails is a defect of the client.
 */
export async function startHostileProxy(options: HostileProxyOptions): Promise<HostileProxy> {
  const { random, only, mostInARow = 5 } = options
  const upstream = new URL(options.upstream)
  const agent = new Agent({ keepAlive: true })
  const sockets = new Map<Socket, { readonly bad: boolean; used: boolean }>()
  const faults = new Map<Fault, number>()
  const streaks = new Map<string, number>()
  const timers = new Set<NodeJS.Timeout>()
  let rate = options.rate
  let requests = 0

  const pick = (incoming: IncomingMessage, kinds: readonly Fault[]): Fault | undefined => {
    const bad = kinds.includes('answer dropped') && sockets.get(incoming.socket)?.bad === true
    if (bad && random() < 0.5) return 'answer dropped'
    if (random() >= rate) return undefined
    const usual = kinds.filter((kind) => kind !== 'answer dropped' && (only?.includes(kind) ?? true))
    return usual[Math.floor(random() * usual.length)]
  }

  const server = createServer({ keepAliveTimeout: 30_000, requestTimeout: 0 }, (incoming, response) => {
    requests += 1
    const connection = sockets.get(incoming.socket)
    if (connection) connection.used = true
    incoming.on('error', () => {})
    response.on('error', () => {})
    const target = targetOf(incoming)
    const streak = streaks.get(target) ?? 0
    const fault = rate === 0 || streak >= mostInARow ? undefined : pick(incoming, faultsFor(incoming))
    if (fault === undefined) streaks.delete(target)
    else {
      streaks.set(target, streak + 1)
      faults.set(fault, (faults.get(fault) ?? 0) + 1)
    }
    meet(fault, incoming, response)
  })
  server.on('connection', (socket) => {
    sockets.set(socket, { bad: random() < BAD_CONNECTIONS && only === undefined, used: false })
    socket.once('close', () => sockets.delete(socket))
    socket.on('error', () => {})
  })
  await new Promise<void>((resolve) => server.listen({ port: 0, host: '127.0.0.1', backlog: 1024 }, resolve))
  const { port } = server.address() as AddressInfo

  return {
    endpoint: `http://127.0.0.1:${port}`,
    faults,
    get requests() {
      return requests
    },
    get connections() {
      return sockets.size
    },
    get rate() {
      return rate
    },
    set rate(value) {
      rate = value
    },
    closeIdle: () => {
      server.closeIdleConnections()
      // Node takes a connection that has had no request yet for one whose first request is on its way.
      for (const [socket, { used }] of sockets) if (!used) socket.destroy()
    },
    async stop() {
      for (const timer of timers) clearInterval(timer)
      for (const socket of sockets.keys()) socket.destroy()
      agent.destroy()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }

  function meet(fault: Fault | undefined, incoming: IncomingMessage, response: ServerResponse): void {
    switch (fault) {
      case undefined:
        forward(incoming, response, (answer) => {
          response.writeHead(answer.statusCode ?? 502, endToEnd(answer))
          answer.pipe(response)
        })
        return
      case 'reset before':
        incoming.socket.destroy()
        return
      case 'reset during':
        resetDuring(incoming)
        return
      case '429':
        refuse(incoming, response, 429, 'TooManyRequests')
        return
      case '500':
        refuse(incoming, response, 500, 'InternalError')
        return
      case '503 SlowDown':
        refuse(incoming, response, 503, 'SlowDown')
        return
      case '502 with HTML':
        answerAfterBody(incoming, response, 502, 'text/html', '<html><h1>502 Bad Gateway</h1></html>')
        return
      case '520 to 530': {
        const status = 520 + Math.floor(random() * 11)
        answerAfterBody(incoming, response, status, 'text/plain', `error code: ${status}`)
        return
      }
      case '200 with an error':
        answerAfterBody(incoming, response, 200, 'application/xml', errorBody('InternalError'))
        return
      case 'reset after':
        whenDone(incoming, response, () => incoming.socket.destroy())
        return
      case 'answer dropped':
        whenDone(incoming, response, () => {})
        return
      case '503 after it was done':
        whenDone(incoming, response, () => {
          send(response, 503, 'application/xml', errorBody('ServiceUnavailable'))
        })
        return
      case 'body cut':
      case 'body stalls':
      case 'body trickles':
      case 'length too long':
      case 'length too short':
        whenDone(incoming, response, (answer, body) => spoil(fault, incoming.socket, answer, body))
        return
    }
  }

  /** Sends a request on; what is done with the answer is up to `then`. */
  function forward(
    incoming: IncomingMessage,
    response: ServerResponse,
    then: (answer: IncomingMessage) => void,
  ): void {
    const outgoing = request({
      host: upstream.hostname,
      port: upstream.port,
      agent,
      method: incoming.method,
      path: incoming.url,
      headers: incoming.rawHeaders,
    })
    outgoing.on('response', then).on('error', () => incoming.socket.destroy())
    response.once('close', () => {
      if (!response.writableFinished) outgoing.destroy()
    })
    incoming.pipe(outgoing)
  }

  /** The same, once the server has done it and its whole answer is there. */
  function whenDone(
    incoming: IncomingMessage,
    response: ServerResponse,
    then: (answer: IncomingMessage, body: Buffer) => void,
  ): void {
    forward(incoming, response, (answer) => {
      const chunks: Buffer[] = []
      answer.on('data', (chunk: Buffer) => chunks.push(chunk))
      answer.once('end', () => then(answer, Buffer.concat(chunks)))
      answer.once('error', () => incoming.socket.destroy())
    })
  }

  /** The server gets half of the request, then the connection breaks on both sides. */
  function resetDuring(incoming: IncomingMessage): void {
    const half = Math.floor(Number(incoming.headers['content-length'] ?? 0) / 2)
    const outgoing = request({
      host: upstream.hostname,
      port: upstream.port,
      method: incoming.method,
      path: incoming.url,
      headers: incoming.rawHeaders,
    })
    outgoing.on('error', () => {})
    let sent = 0
    incoming.on('data', (chunk: Buffer) => {
      const part = chunk.subarray(0, half - sent)
      sent += part.byteLength
      if (part.byteLength > 0) outgoing.write(part)
      if (sent < half) return
      outgoing.destroy()
      incoming.socket.destroy()
    })
    incoming.once('end', () => {
      outgoing.destroy()
      incoming.socket.destroy()
    })
    incoming.once('close', () => outgoing.destroy())
  }

  /** An answer by hand, on the bare socket: HTTP as a server would not speak it. */
  function spoil(fault: Fault, socket: Socket, answer: IncomingMessage, body: Buffer): void {
    const claimed =
      fault === 'length too long'
        ? body.byteLength + 1 + Math.floor(random() * 1000)
        : fault === 'length too short'
          ? Math.floor(body.byteLength / 2)
          : body.byteLength
    socket.write(headOf(answer, claimed))
    const half = Math.floor(random() * body.byteLength)
    if (fault === 'length too short') socket.write(body)
    if (fault === 'length too long') socket.end(body)
    if (fault === 'body cut') socket.write(body.subarray(0, half), () => socket.destroy())
    if (fault === 'body stalls') socket.write(body.subarray(0, half))
    if (fault !== 'body trickles') return
    let sent = 0
    const timer = setInterval(() => {
      if (socket.destroyed || sent === body.byteLength) {
        clearInterval(timer)
        timers.delete(timer)
      } else socket.write(body.subarray(sent, ++sent))
    }, 1_000)
    timers.add(timer)
  }
}

/** What can be done to a request of this kind. */
function faultsFor(incoming: IncomingMessage): Fault[] {
  const { method = '', url = '' } = incoming
  const [path = '', query = ''] = url.split('?')
  const isObject = path.split('/').length > 2 && path.split('/')[2] !== ''
  const kinds: Fault[] = ['reset before', '429', '500', '502 with HTML', '503 SlowDown', '520 to 530']
  kinds.push('reset after', '503 after it was done', 'answer dropped')
  if (Number(incoming.headers['content-length'] ?? 0) > 0) kinds.push('reset during')
  const isCopy = 'x-amz-copy-source' in incoming.headers
  if (method === 'POST' || method === 'DELETE' || isCopy) {
    if (!/(?:^|&)uploads=?(?:&|$)/.test(query)) kinds.push('200 with an error')
  }
  if (method === 'GET' || method === 'POST' || isCopy) {
    kinds.push('body cut', 'body stalls', 'body trickles', 'length too long')
    // Of a file nobody could tell: HTTP says no more about where it ends than this length.
    if (!(method === 'GET' && isObject)) kinds.push('length too short')
  }
  return kinds
}

/** What tells a request and its repetitions from others. */
function targetOf({ method = '', url = '' }: IncomingMessage): string {
  return `${method} ${url}`
}

function refuse(incoming: IncomingMessage, response: ServerResponse, status: number, code: string): void {
  answerAfterBody(incoming, response, status, 'application/xml', errorBody(code))
}

function answerAfterBody(
  incoming: IncomingMessage,
  response: ServerResponse,
  status: number,
  contentType: string,
  body: string,
): void {
  incoming.resume()
  incoming.once('end', () => send(response, status, contentType, body))
}

function send(response: ServerResponse, status: number, contentType: string, body: string): void {
  response.writeHead(status, { 'content-type': contentType, 'content-length': Buffer.byteLength(body) })
  response.end(response.req.method === 'HEAD' ? undefined : body)
}

function errorBody(code: string): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>on purpose</Message></Error>`
}

function headOf(answer: IncomingMessage, length: number): string {
  const lines = [`HTTP/1.1 ${answer.statusCode} ${answer.statusMessage}`]
  const headers = endToEnd(answer)
  for (let index = 0; index < headers.length; index += 2) {
    if (headers[index]?.toLowerCase() !== 'content-length')
      lines.push(`${headers[index]}: ${headers[index + 1]}`)
  }
  return `${lines.join('\r\n')}\r\nContent-Length: ${length}\r\n\r\n`
}

/** The headers of an answer, without those about the connection to the server behind. */
function endToEnd({ rawHeaders }: IncomingMessage): string[] {
  const kept: string[] = []
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? ''
    if (!/^(?:connection|keep-alive|transfer-encoding)$/i.test(name))
      kept.push(name, rawHeaders[index + 1] ?? '')
  }
  return kept
}
