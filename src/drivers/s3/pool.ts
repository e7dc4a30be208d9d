import type { Dispatcher } from 'undici'
import { lazily } from '../../load.js'
import type { S3Config } from './options.js'

const loadPool = lazily(() => import('./vendor/undici-pool.js'))

/**
 * The connections to the server, made with the first request. A proxy would have its place here: another `Dispatcher`.
 */
export async function openPool(endpoint: string, config: S3Config): Promise<Dispatcher> {
  const { Pool } = await loadPool()
  return new Pool(endpoint, {
    connections: config.maxConnections,
    connect: { timeout: config.connectTimeout },
    // Each exchange has its own deadline; that of a content is between two pieces of it.
    headersTimeout: 0,
    bodyTimeout: config.idleTimeout,
    keepAliveTimeout: 10_000,
    pipelining: 1,
  })
}
