import type { buildConnector, Dispatcher, Pool } from 'undici'
import { lazily } from '../../load.js'
import type { S3Config } from './config.js'
import { type ForwardProxy, proxyFor } from './proxy.js'
import { openTunnel } from './tunnel.js'

const loadPool = lazily(() => import('./vendor/undici-pool.js'))

/** The connections to a server. */
export type Connections = Pick<Dispatcher, 'dispatch'>

/** The connections to a server or, where the environment names one, to its proxy. Made with the first request. */
export async function openPool(origin: string, config: S3Config): Promise<Connections> {
  const { Pool, buildConnector } = await loadPool()
  const proxy = await proxyFor(origin)
  const tunnels = proxy !== undefined && origin.startsWith('https:')
  const timeout = config.connectTimeout
  const connector = tunnels ? tunnelConnector(proxy, timeout) : buildConnector({ timeout })
  const forwards = proxy !== undefined && !tunnels
  const pool = new Pool(forwards ? proxy.url : origin, {
    connections: config.maxConnections,
    connect: endingAborted(connector),
    // Each exchange has its own deadline; that of a content is between two pieces of it.
    headersTimeout: 0,
    bodyTimeout: config.idleTimeout,
    keepAliveTimeout: 10_000,
    pipelining: 1,
  })
  return forwards ? forwarded(pool, origin, proxy) : pool
}

/** Connects to the server through the proxy, which sees nothing but the host. */
function tunnelConnector(proxy: ForwardProxy, timeout: number): buildConnector.connector {
  return ({ hostname, port }, done) => {
    const target = { host: hostname.replace(/^\[|\]$/g, ''), port: port || '443', timeout }
    openTunnel(proxy, target).then(
      (socket) => done(null, socket),
      (error) => done(error, null),
    )
  }
}

/**
 * Where a request is aborted, undici ends its connection, keeps the request, and opens a connection for it that nobody
 * uses: https://github.com/nodejs/undici/issues/5845. After a failure of the connection it keeps none.
 */
function endingAborted(connector: buildConnector.connector): buildConnector.connector {
  return (target, done) =>
    connector(target, (...result) => {
      const [, socket] = result
      if (socket) {
        const destroy = socket.destroy.bind(socket)
        socket.destroy = (error) => destroy(error?.message === 'aborted' ? new Broken() : error)
      }
      done(...result)
    })
}

/** By its code, undici takes it for a failure of the connection alone. */
class Broken extends Error {
  readonly code = 'UND_ERR_SOCKET'
}

/** Requests in absolute form, which a proxy sends on: RFC 9112 §3.2.2. */
function forwarded(pool: Pool, origin: string, proxy: ForwardProxy): Connections {
  return {
    dispatch: (request, handler) => {
      const headers = Object.assign({}, request.headers, proxy.headers)
      return pool.dispatch({ ...request, path: origin + request.path, headers }, handler)
    },
  }
}
