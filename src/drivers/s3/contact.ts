import type { CheckRequest } from '../../checks.js'
import { isProblem, type Problem } from '../../errors.js'
import { classify } from './classify.js'
import type { S3Config } from './config.js'
import { S3Connection } from './connection.js'
import { analyse, type Failure } from './failures.js'
import type { ObjectApi } from './object-api.js'
import { type ForwardProxy, proxyFor } from './proxy.js'
import { S3Error } from './s3-error.js'
import type { Signer } from './signer.js'

/** Milliseconds that the first contact may take, and after which it is not tried again. */
const PATIENCE = 10_000

/** What the first request to a server came to. */
export interface Contact {
  /** Undefined where the object is there, which cannot be. */
  readonly failure: Failure | undefined
  /** A failure of our own, before anything was sent. */
  readonly problem: Problem | undefined
  /** In the words of `classify`. */
  readonly reason: string
  /** The proxy that the request went through. */
  readonly proxy: ForwardProxy | undefined
  /** Milliseconds that the server's clock is ahead. Undefined where it did not say. */
  readonly ahead: number | undefined
  /** Milliseconds that the request took. */
  readonly took: number
}

/**
 * Asks for an object that is not there: the one request whose answer tells apart all that may be wrong with the address,
 * the keys and the bucket.
 */
export async function contact(
  api: ObjectApi,
  signer: Signer,
  config: S3Config,
  { folder, signal }: CheckRequest,
): Promise<Contact> {
  const idleTimeout = Math.min(config.idleTimeout, PATIENCE)
  const hasty = { ...config, idleTimeout, maxAttempts: 2, retryTimeout: PATIENCE }
  const connection = new S3Connection(api, signer, hasty)
  const begun = Date.now()
  const result = { failure: undefined, problem: undefined, reason: '', proxy: undefined, ahead: undefined }
  try {
    const proxy = config.address && (await proxyFor(config.address.origin))
    const error = await failureOf(
      connection.run(signal, async (call) => {
        const { body } = await api.get({ key: `${folder}/contact` }, call)
        body.on('error', () => {}).destroy()
      }),
    )
    const took = Date.now() - begun
    if (signal.aborted) throw signal.reason
    if (error === undefined) return { ...result, proxy, took }
    const problem = isProblem(error) ? error : undefined
    const failure = analyse(error)
    const ahead = Date.parse(failure.headers.date ?? '') - Date.now()
    const reason = classify(error, config.bucket).message
    return { failure, problem, reason, proxy, ahead: Number.isNaN(ahead) ? undefined : ahead, took }
  } catch (error) {
    if (!isProblem(error)) throw error
    return { ...result, problem: error, reason: error.message, took: Date.now() - begun }
  }
}

async function failureOf(work: Promise<void>): Promise<unknown> {
  try {
    await work
    return undefined
  } catch (error) {
    return error instanceof S3Error && isProblem(error.cause) ? error.cause : error
  }
}
