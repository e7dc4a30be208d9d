import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type {
  $Command,
  S3Client,
  S3ClientResolvedConfig,
  ServiceInputTypes,
  ServiceOutputTypes,
} from '@aws-sdk/client-s3'
import { Problem } from '../../errors.js'
import { Semaphore } from '../semaphore.js'
import { boundAnswers } from './answers.js'
import { CredentialsKeeper } from './credentials.js'
import { analyse, backoff, type Failure, readHeader } from './failures.js'
import { FastLane } from './lane.js'
import { type S3Config, type S3Credentials, uploadTime } from './options.js'

export type Sdk = typeof import('@aws-sdk/client-s3')

/** What one attempt of a request works with. */
export interface Attempt {
  readonly sdk: Sdk
  /** `client.send`, with the signal of the operation. */
  send<Input extends ServiceInputTypes, Output extends ServiceOutputTypes>(
    command: $Command<Input, Output, S3ClientResolvedConfig>,
  ): Promise<Output>
}

interface Loaded {
  readonly sdk: Sdk
  readonly client: S3Client
  readonly lane: FastLane | undefined
}

export interface Place {
  /** The server's address without a path. */
  readonly origin: string
  /** With the port, if it is not the scheme's own. */
  readonly host: string
  /** What comes before the bucket: nothing, unless a client of the caller has a path in its endpoint. */
  readonly path: string
  readonly region: string
}

/** What credentials are refused with that others may cure. A HEAD's refusal has no code. */
const STALE = /^(?:ExpiredToken|InvalidAccessKeyId|InvalidToken|TokenRefreshRequired)$/
/** Milliseconds between two clocks from which on ours is corrected: as by the SDK; R2 and S3 put up with 15 minutes. */
const MAX_SKEW = 5 * 60 * 1000
/** Milliseconds. A time this far away is no clock that is wrong but a header that is. */
const CENTURY = 100 * 365 * 24 * 60 * 60 * 1000
/** What a request with a wrong time is refused with. A HEAD's refusal has no code that says so. */
const REFUSED: ReadonlySet<number | undefined> = new Set([400, 401, 403])

/** The client, loaded and made when it is first needed, and the one layer of retries around it. */
export class S3Connection {
  readonly config: S3Config
  readonly #loaded = once(() => this.#load())
  /** Where to sign for. */
  readonly place = once(() => this.#findPlace())
  readonly #credentials: CredentialsKeeper
  readonly #slots: Semaphore
  /** What the server's clock is ahead of ours, in milliseconds. */
  #clockOffset = 0

  constructor(config: S3Config) {
    this.config = config
    this.#credentials = new CredentialsKeeper(() => this.#fetchCredentials(), config.idleTimeout)
    this.#slots = new Semaphore(config.maxConnections, config.retryTimeout)
  }

  /**
   * Does a request, again and again where its failure may pass. `work` MUST send something that can be sent again.
   */
  async run<T>(signal: AbortSignal | undefined, work: (attempt: Attempt) => Promise<T>): Promise<T> {
    const { config } = this
    const { client, sdk, lane } = await orAborted(this.#loaded(), signal)
    let excused = 0
    /** Milliseconds that may still go into waiting for answers that the server may be long at, and that may be lost. */
    let patience = longestAnswer(config)
    let isLong = false
    const attemptWith: Attempt = {
      sdk,
      send: async (command) => {
        if (config.client) return client.send(command, signal ? { abortSignal: signal } : {})
        const turn = this.#slots.take(signal)
        if (turn) {
          const begun = Date.now()
          await turn
          excused += Date.now() - begun
        }
        const uploading = uploadTime(bodyBytes(command.input))
        isLong = mayTakeLong(command.input)
        excused += isLong ? patience : uploading
        this.#slots.expect(uploading)
        let body: Readable | undefined
        try {
          // Without options the client keeps the middleware chain of a command, which the lane alone can do with.
          const output = await (lane?.takes(command, signal)
            ? client.send(command)
            : sendWithin(deadlineOf(command.input, config), client, command, signal))
          body = bodyOf(output)
          this.#slots.progress()
          return output
        } catch (error) {
          if (analyse(error).status !== undefined) this.#slots.progress()
          throw error
        } finally {
          // A body holds its connection until it is read or given up.
          if (body && !body.closed) body.once('close', () => this.#slots.give())
          else this.#slots.give()
        }
      },
    }
    // A client that the caller passed in has its own retries.
    const maxAttempts = config.client ? 1 : config.maxAttempts
    let giveUpAt = Date.now() + config.retryTimeout
    let mended = false
    for (let attempt = 1; ; attempt++) {
      const start = Date.now()
      const offset = this.#clockOffset
      const credentials = this.#credentials.current
      excused = 0
      try {
        return await work(attemptWith)
      } catch (error) {
        if (signal?.aborted) throw signal.reason
        const failure = analyse(error)
        // The wait for a connection is not taken from the tries, nor a body's way, after which its answer may be lost.
        const waited = Math.min(Date.now() - start, excused)
        giveUpAt += waited
        if (isLong) patience = Math.max(0, patience - waited)
        const curable: boolean =
          !mended && (this.#setClock(failure, error, offset) || this.#renew(failure, credentials))
        mended ||= curable
        // The SDK believes any date.
        if (!config.client) client.config.systemClockOffset = this.#clockOffset
        const wait = backoff(failure, attempt)
        if ((failure.retry === 'no' && !curable) || attempt >= maxAttempts || Date.now() + wait > giveUpAt)
          throw error
        await sleep(wait, undefined, signal ? { signal } : {})
      }
    }
  }

  /** The same for cleaning up after a failure or an abort: bounded, and it never fails. */
  async attemptQuietly(work: (attempt: Attempt) => Promise<unknown>): Promise<void> {
    await this.run(AbortSignal.timeout(this.config.idleTimeout), work).catch(() => {})
  }

  /** A time by the server's clock, as far as that is known. */
  toServerTime(time: number): Date {
    // A client of the caller keeps account on its own.
    return new Date(time + (this.config.client?.config.systemClockOffset ?? this.#clockOffset))
  }

  /** Sets our clock by a refusal, if it was wrong when the attempt began; whether it was. */
  #setClock({ status }: Failure, error: unknown, offset: number): boolean {
    if (!REFUSED.has(status)) return false
    const ahead = Date.parse(readHeader(error, 'date')) - Date.now()
    if (!(Math.abs(ahead - offset) > MAX_SKEW && Math.abs(ahead) < CENTURY)) return false
    this.#clockOffset = ahead
    return true
  }

  /** What to sign with; a promise only where there is something to wait for. */
  credentials(signal: AbortSignal | undefined): S3Credentials | Promise<S3Credentials> {
    const found = this.#credentials.get()
    return found instanceof Promise ? orAborted(found, signal) : found
  }

  /** After a refusal of credentials: whether a provider may have others by now. */
  #renew({ status, code }: Failure, used: S3Credentials | undefined): boolean {
    const refused = status === 401 || STALE.test(code) || (status === 400 && code === 'Unknown')
    if (!refused || typeof this.config.credentials !== 'function') return false
    this.#credentials.drop(used)
    return true
  }

  async #fetchCredentials(): Promise<S3Credentials> {
    const { credentials, client } = this.config
    if (typeof credentials === 'function') return credentials()
    if (credentials) return credentials
    if (client) return client.config.credentials()
    throw new Problem('Misconfigured', 'there are no credentials')
  }

  async #findPlace(): Promise<Place> {
    const [endpoint, region] = await Promise.all([this.#endpoint(), this.#region()])
    const { origin, host, pathname } = new URL(endpoint)
    return { origin, host, path: pathname.replace(/\/+$/, ''), region }
  }

  async #endpoint(): Promise<string> {
    const { endpoint, client } = this.config
    if (endpoint !== undefined) return endpoint
    const resolved = await client?.config.endpoint?.()
    if (!resolved)
      throw new Problem('Misconfigured', 'the client has no endpoint: give the option endpoint as well')
    return `${resolved.protocol}//${resolved.hostname}${resolved.port ? `:${resolved.port}` : ''}${resolved.path}`
  }

  async #region(): Promise<string> {
    const { region, client } = this.config
    return client ? client.config.region() : region
  }

  async #load(): Promise<Loaded> {
    const sdk = await import('@aws-sdk/client-s3')
    const { config } = this
    if (config.client) return { client: config.client, sdk, lane: undefined }
    const client = new sdk.S3Client({
      region: config.region,
      ...(config.endpoint !== undefined && { endpoint: config.endpoint }),
      credentials: async () => {
        const { accessKeyId, secretAccessKey, sessionToken } = await this.credentials(undefined)
        const keys = { accessKeyId, secretAccessKey, ...(sessionToken !== undefined && { sessionToken }) }
        // Always about to expire, so that the SDK keeps none but asks each time.
        return { ...keys, expiration: new Date(0) }
      },
      forcePathStyle: true,
      // R2 and others do not know the flexible checksums that are on by default (aws/aws-sdk-js-v3#6810).
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      // R2 never answers 100, so the client would wait for it: 6 seconds with each larger body.
      expectContinueHeader: false,
      maxAttempts: 1, // The retries are in `run`.
      cacheMiddleware: true,
      requestHandler: {
        connectionTimeout: config.connectTimeout,
        // Counts while a body is on its way; what has none ends by the deadline of its attempt.
        socketTimeout: config.idleTimeout + uploadTime(config.partSize),
        httpAgent: { keepAlive: true, maxSockets: config.maxConnections },
        httpsAgent: { keepAlive: true, maxSockets: config.maxConnections },
      },
    })
    boundAnswers(client, config.idleTimeout)
    const lane =
      config.fastPath && config.endpoint !== undefined
        ? await FastLane.open(this, config.endpoint, sdk)
        : undefined
    lane?.join(client)
    return { client, sdk, lane }
  }
}

/** Does `work` once, for all who ask; after a failure the next one who asks has it done again. */
function once<T>(work: () => Promise<T>): () => Promise<T> {
  let done: Promise<T> | undefined
  return () => {
    done ??= work().catch((error: unknown) => {
      done = undefined
      throw error
    })
    return done
  }
}

/** The outcome of `work`, or the abort if that comes first. */
export function orAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
    if (signal.aborted) onAbort()
  })
}

/** Sends a command, and gives it up after `deadline` milliseconds: no idle time-out ends what trickles. */
async function sendWithin<Input extends ServiceInputTypes, Output extends ServiceOutputTypes>(
  deadline: number,
  client: S3Client,
  command: $Command<Input, Output, S3ClientResolvedConfig>,
  signal: AbortSignal | undefined,
): Promise<Output> {
  signal?.throwIfAborted()
  const controller = new AbortController()
  let stop = () => {}
  const stopped = new Promise<never>((_, reject) => {
    // The SDK does not end by an abort alone when the connection has become one of another protocol.
    stop = () => {
      controller.abort()
      reject(new Error(`no answer within ${deadline} ms`))
    }
  })
  const timer = setTimeout(stop, deadline)
  signal?.addEventListener('abort', stop)
  try {
    return await Promise.race([client.send(command, { abortSignal: controller.signal }), stopped])
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', stop)
  }
}

/** Milliseconds for one attempt. What the server may be long at is known by its input. */
function deadlineOf(input: ServiceInputTypes, config: S3Config): number {
  if (mayTakeLong(input)) return longestAnswer(config)
  return config.connectTimeout + config.idleTimeout + uploadTime(bodyBytes(input))
}

/** Milliseconds for an answer that the server may be long at. */
function longestAnswer({ retryTimeout }: S3Config): number {
  return retryTimeout * 10
}

/** Whether it copies, or completes an upload of several parts, which a server may put together at length. */
function mayTakeLong(input: ServiceInputTypes): boolean {
  if ('CopySource' in input) return true
  return 'MultipartUpload' in input && (input.MultipartUpload?.Parts?.length ?? 0) > 1
}

function bodyBytes(input: object): number {
  return 'Body' in input && input.Body instanceof Uint8Array ? input.Body.byteLength : 0
}

function bodyOf(output: object): Readable | undefined {
  return 'Body' in output && output.Body instanceof Readable ? output.Body : undefined
}
