import { readText } from '../error-fields.js'
import { inContext, Problem, toStorageError } from '../errors.js'
import { checkConstructorOptions, type OptionNames } from '../options.js'
import type { StrictR2 } from './local-r2/server.js'

/** Options of {@link startLocalR2}. */
export interface LocalR2Options {
  /** Port on 127.0.0.1, 1 to 65,535. Default: a free one. */
  port?: number | undefined
  /** The bucket's name: 3 to 63 lower-case letters, digits and hyphens. Default `test-bucket`. */
  bucket?: string | undefined
}

/** A server that {@link startLocalR2} started. */
export interface LocalR2 {
  /** `http://127.0.0.1:` and the port: the `endpoint` of an `R2Storage`. */
  readonly endpoint: string
  /** The key id that requests must be signed with; a new one for each server. */
  readonly accessKeyId: string
  /** The secret of that key. */
  readonly secretAccessKey: string
  /** The name of the one bucket, which is empty at first. */
  readonly bucket: string
  /** All of this as the variables that `createDefaultStorage` reads, `R2_ENABLED` included. */
  readonly env: Readonly<Record<LocalR2Variable, string>>
  /** Stops the server, closes all connections and forgets all files. May be called again. Never rejects. */
  close(): Promise<void>
}

/** An environment variable that {@link LocalR2.env} sets. */
export type LocalR2Variable =
  | 'R2_ENABLED'
  | 'R2_ACCESS_KEY_ID'
  | 'R2_SECRET_ACCESS_KEY'
  | 'R2_BUCKET_NAME'
  | 'R2_ENDPOINT_URL'

const OPTIONS: OptionNames<LocalR2Options> = { port: true, bucket: true }

/**
 * Starts a stand-in for Cloudflare R2, for tests of an application: no account and no installation. It has the S3 API
 * as Cloudflare documents it, and is stricter than most emulators. It verifies signatures, expiry and checksums, wants
 * parts of one size, and answers `501` to what R2 does not document.
 *
 * It listens on 127.0.0.1 only, and keeps files in memory until `close()`. It keeps CORS and lifecycle settings, and applies
 * those of CORS; until some are set, browsers of any origin may use it. It has no public addresses, no SSE-C, and cannot list
 * or create buckets. Several servers may run at once. Not for production.
 *
 * @throws {ConfigurationError} for an unknown option, a malformed one, or a port that is taken.
 * @example
 * const server = await startLocalR2()
 * const storage = createDefaultStorage(server.env)
 * await storage.save('a.txt', 'hello')
 * await server.close()
 */
export async function startLocalR2(options: LocalR2Options = {}): Promise<LocalR2> {
  const context = { operation: 'startLocalR2' }
  const { port, bucket } = inContext(context, () => checked(options))
  const server = await start(port, bucket).catch((cause: unknown) => {
    throw toStorageError(notStarted(port, cause), context)
  })
  const { endpoint, accessKeyId, secretAccessKey } = server
  return {
    endpoint,
    accessKeyId,
    secretAccessKey,
    bucket,
    env: {
      R2_ENABLED: '1',
      R2_ACCESS_KEY_ID: accessKeyId,
      R2_SECRET_ACCESS_KEY: secretAccessKey,
      R2_BUCKET_NAME: bucket,
      R2_ENDPOINT_URL: endpoint,
    },
    close: () => server.stop(),
  }
}

function checked(options: LocalR2Options): { port: number; bucket: string } {
  checkConstructorOptions(options, OPTIONS)
  const { port, bucket = 'test-bucket' } = options
  if (port !== undefined && !(Number.isSafeInteger(port) && port >= 1 && port <= 65_535)) {
    throw new Problem('Misconfigured', 'port must be a whole number from 1 to 65535')
  }
  if (!/^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/.test(bucket)) {
    throw new Problem(
      'Misconfigured',
      'bucket must be 3 to 63 lower-case letters, digits and hyphens, with no hyphen at either end',
    )
  }
  return { port: port ?? 0, bucket }
}

/** The server is a file of its own in the build: who runs the conformance cases alone does not load it. */
async function start(port: number, bucket: string): Promise<StrictR2> {
  const { startStrictR2 } = await import('./local-r2/server.js')
  return startStrictR2({ port, buckets: [bucket], cors: true })
}

function notStarted(port: number, cause: unknown): Problem {
  const reason =
    readText(cause, 'code') === 'EADDRINUSE'
      ? `port ${port} is taken: choose another one, or leave out the option for any free port`
      : 'the server could not be started'
  return new Problem('Misconfigured', reason, { cause })
}
