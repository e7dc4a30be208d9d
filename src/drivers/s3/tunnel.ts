import type { Agent } from 'node:https'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { lazily } from '../../load.js'
import { clearTimeout, setTimeout } from '../../timers.js'
import type { ForwardProxy } from './proxy.js'

/** Loaded with the first proxy only. */
const loadModules = lazily(async () => {
  const [http, https, tls] = await Promise.all([
    import('node:http'),
    import('node:https'),
    import('node:tls'),
  ])
  return { http, https, tls }
})

/** The end of a tunnel. */
export interface TunnelTarget {
  /** Without brackets. */
  readonly host: string
  readonly port: string
  /** Milliseconds to wait for the proxy. */
  readonly timeout: number
}

/** The proxy refuses to connect. */
export class ProxyRefusal extends Error {
  override readonly name = 'ProxyRefusal'
  readonly code: 'PROXY_UNAUTHORIZED' | 'PROXY_REFUSED'

  /** `status`: the proxy's. */
  constructor(status: number) {
    super(`the proxy answered CONNECT with ${status}`)
    this.code = status === 407 ? 'PROXY_UNAUTHORIZED' : 'PROXY_REFUSED'
  }
}

/** Opens a TLS connection to a server through a proxy, by CONNECT: RFC 9110 §9.3.6. */
export async function openTunnel(proxy: ForwardProxy, target: TunnelTarget): Promise<TLSSocket> {
  const { tls } = await loadModules()
  const socket = await connect(proxy, target)
  const { host } = target
  return new Promise((resolve, reject) => {
    const servername = /^[\d.]+$|:/.test(host) ? {} : { servername: host } // RFC 6066 §3 allows no IP addresses.
    const secured = tls.connect({ socket, host, ALPNProtocols: ['http/1.1'], ...servername })
    const fail = (error: Error) => {
      clearTimeout(timer)
      secured.destroy()
      reject(error)
    }
    const timer = setTimeout(() => fail(timedOut()), target.timeout)
    secured.once('error', fail).once('secureConnect', () => {
      clearTimeout(timer)
      secured.off('error', fail)
      resolve(secured)
    })
  })
}

async function connect(
  { url, headers }: ForwardProxy,
  { host, port, timeout }: TunnelTarget,
): Promise<Socket> {
  const { http, https } = await loadModules()
  const authority = `${host.includes(':') ? `[${host}]` : host}:${port}`
  return new Promise((resolve, reject) => {
    const { request } = url.protocol === 'https:' ? https : http
    const options = {
      method: 'CONNECT',
      path: authority,
      headers: { ...headers, host: authority },
      agent: false,
    }
    const sent = request(url, options)
    sent.setTimeout(timeout, () => sent.destroy(timedOut()))
    sent.once('error', reject)
    sent.once('connect', ({ statusCode = 0 }, socket) => {
      socket.setTimeout(0)
      if (statusCode >= 200 && statusCode < 300) return resolve(socket as Socket) // A client's is never another Duplex.
      socket.destroy()
      reject(new ProxyRefusal(statusCode))
    })
    sent.end()
  })
}

function timedOut(): Error {
  return Object.assign(new Error('the proxy did not connect in time'), { code: 'ETIMEDOUT' })
}

/** Settings of an agent's connections. */
interface AgentOptions {
  readonly keepAlive: boolean
  readonly maxSockets: number
}

/** An agent of `node:https` whose connections go through a proxy. */
export async function tunnelAgent(
  proxy: ForwardProxy,
  options: AgentOptions,
  timeout: number,
): Promise<Agent> {
  const { https } = await loadModules()
  return Object.assign(new https.Agent(options), {
    createConnection(
      { host, port }: { host: string; port: number | string },
      done: (error: Error | null, socket?: Socket) => void,
    ): undefined {
      openTunnel(proxy, { host, port: String(port), timeout }).then((socket) => done(null, socket), done)
    },
  })
}
