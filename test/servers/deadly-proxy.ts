import { once } from 'node:events'
import { Agent, createServer, type IncomingMessage, request } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface DeadlyProxy {
  readonly endpoint: string
  /** Calls `kill` when the server has done the nth request from now on, before its answer. */
  arm(nth: number, kill: () => void): void
  stop(): Promise<void>
}

/** A proxy before an S3 server whose client dies at a certain request. It passes the Host header on as it was signed. */
export async function startDeadlyProxy(upstream: string): Promise<DeadlyProxy> {
  const { hostname, port } = new URL(upstream)
  const agent = new Agent({ keepAlive: true })
  let left = 0
  let deadly = () => {}
  const server = createServer((incoming, response) => {
    left -= 1
    const armed = left === 0 ? deadly : undefined
    const { method, url, rawHeaders: headers } = incoming
    const outgoing = request({ host: hostname, port, agent, method, path: url, headers }, (answer) => {
      if (armed) {
        answer.resume().once('end', () => {
          armed()
          incoming.destroy()
        })
      } else {
        response.writeHead(answer.statusCode ?? 502, endToEnd(answer))
        answer.pipe(response)
      }
    })
    outgoing.on('error', () => incoming.destroy())
    incoming.on('error', () => {}).pipe(outgoing)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    arm(nth, kill) {
      left = nth
      deadly = kill
    },
    async stop() {
      agent.destroy()
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

/** The headers of an answer, without those of the connection. */
function endToEnd({ rawHeaders }: IncomingMessage): string[] {
  const passed: string[] = []
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const [name = '', value = ''] = rawHeaders.slice(index, index + 2)
    if (!/^(?:connection|keep-alive|transfer-encoding)$/i.test(name)) passed.push(name, value)
  }
  return passed
}
