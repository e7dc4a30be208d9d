/** A gate before a server: it lets requests through, or answers PUTs itself. */
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Gate {
  /** `http://127.0.0.1:` and a free port. */
  readonly address: string
  /** What PUTs of files in these folders are answered with; undefined lets them through. */
  answer: number | undefined
  close(): void
}

/** Starts a gate before the server at `address`. The host that a request was signed for stays as it is. */
export async function startGate(address: string): Promise<Gate> {
  const { port } = new URL(address)
  const server = createServer((incoming, outgoing) => {
    const isFile = incoming.method === 'PUT' && !incoming.url?.includes('/rooms/')
    if (gate.answer !== undefined && isFile) refuse(gate.answer, incoming, outgoing)
    else pass(port, incoming, outgoing)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const own = server.address() as AddressInfo
  const close = () => {
    server.close()
    server.closeAllConnections()
  }
  const gate: Gate = { address: `http://127.0.0.1:${own.port}`, answer: undefined, close }
  return gate
}

function pass(port: string, incoming: IncomingMessage, outgoing: ServerResponse): void {
  const { method, url, headers } = incoming
  const passed = request({ host: '127.0.0.1', port, method, path: url, headers }, (answer) => {
    outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
    answer.pipe(outgoing)
  })
  passed.on('error', () => outgoing.destroy())
  incoming.pipe(passed)
}

/** As R2 says it. Browsers of any site may read the answer. */
function refuse(status: number, incoming: IncomingMessage, outgoing: ServerResponse): void {
  incoming.resume()
  incoming.on('end', () => {
    outgoing.writeHead(status, { 'content-type': 'application/xml', 'access-control-allow-origin': '*' })
    outgoing.end('<Error><Code>ServiceUnavailable</Code><Message>Not now.</Message></Error>')
  })
}
