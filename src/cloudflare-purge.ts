import { inContext, Problem, quote } from './errors.js'
import { sleep } from './timers.js'
import type { Purge } from './types.js'

/** Options of {@link cloudflarePurge}. */
export interface CloudflarePurgeOptions {
  /** The id of the zone that the public address belongs to: the dashboard shows it beside the domain. */
  zoneId: string
  /** An API token with the permission "Cache Purge" on the zone. */
  apiToken: string
  /** The start of Cloudflare's API. Default `https://api.cloudflare.com/client/v4`. */
  endpoint?: string | undefined
}

/** Addresses that Cloudflare takes in one request on every plan. */
const BATCH = 30
/** Addresses that may wait. More means that Cloudflare does not keep up, or is away. */
const MOST_WAITING = 10_000
const ATTEMPTS = 5
/** Milliseconds for one request. */
const TIMEOUT = 30_000
/** The longest wait in seconds that a `Retry-After` is obeyed for. */
const LONGEST_WAIT = 120

/**
 * Purges addresses from Cloudflare's cache: the option `purge` of `R2Storage`. Sends 30 addresses a request, one request
 * at a time; addresses that come meanwhile share the next one. Waits as long as a `429` says, and tries again what may
 * pass.
 *
 * @throws {ConfigurationError} for an option that is missing or malformed.
 * @example
 * new R2Storage({ ...options, publicBaseUrl: 'https://cdn.example.com', purge: cloudflarePurge({ zoneId, apiToken }) })
 */
export function cloudflarePurge(options: CloudflarePurgeOptions): Purge {
  return inContext({ operation: 'cloudflarePurge' }, () => {
    const queue = new PurgeQueue(toRequest(options))
    return (urls) => queue.add(urls)
  })
}

interface PurgeRequest {
  readonly address: string
  readonly apiToken: string
}

function toRequest(options: CloudflarePurgeOptions): PurgeRequest {
  const { zoneId, apiToken, endpoint = 'https://api.cloudflare.com/client/v4' } = options ?? {}
  if (typeof zoneId !== 'string' || !/^\w+$/.test(zoneId)) {
    throw new Problem('Misconfigured', 'zoneId must be the id of a Cloudflare zone')
  }
  if (typeof apiToken !== 'string' || !/^[\x21-\x7e]+$/.test(apiToken)) {
    throw new Problem('Misconfigured', 'apiToken must be an API token of Cloudflare')
  }
  if (typeof endpoint !== 'string' || !/^https?:\/\/[^?#]+$/.test(endpoint)) {
    throw new Problem('Misconfigured', 'endpoint must be the start of an address')
  }
  return { address: `${endpoint.replace(/\/+$/, '')}/zones/${zoneId}/purge_cache`, apiToken }
}

interface Waiting {
  readonly url: string
  readonly done: (error?: unknown) => void
}

class PurgeQueue {
  readonly #request: PurgeRequest
  readonly #waiting: Waiting[] = []
  #isRunning = false

  constructor(request: PurgeRequest) {
    this.#request = request
  }

  async add(urls: readonly string[]): Promise<void> {
    if (this.#waiting.length + urls.length > MOST_WAITING) {
      throw new Problem('Unavailable', `more than ${MOST_WAITING} addresses wait for their purge`)
    }
    const purged = urls.map(
      (url) =>
        new Promise<void>((resolve, reject) => {
          this.#waiting.push({ url, done: (error) => (error === undefined ? resolve() : reject(error)) })
        }),
    )
    if (!this.#isRunning) void this.#run()
    await Promise.allSettled(purged)
    await Promise.all(purged)
  }

  /** Never rejects. */
  async #run(): Promise<void> {
    this.#isRunning = true
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, BATCH)
      const error = await send(this.#request, [...new Set(batch.map(({ url }) => url))]).then(
        () => undefined,
        (failure: unknown) => failure,
      )
      for (const { done } of batch) done(error)
    }
    this.#isRunning = false
  }
}

async function send(request: PurgeRequest, files: readonly string[]): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const failure = await tryToSend(request, files)
    if (failure === undefined) return
    if (failure.wait === undefined || attempt === ATTEMPTS) throw failure.problem
    await sleep(Math.max(failure.wait, 100 * 2 ** attempt))
  }
}

interface SendFailure {
  readonly problem: Problem
  /** Milliseconds before it is worth another try. Undefined: never. */
  readonly wait: number | undefined
}

async function tryToSend(
  { address, apiToken }: PurgeRequest,
  files: readonly string[],
): Promise<SendFailure | undefined> {
  let response: Response
  let text: string
  try {
    response = await fetch(address, {
      method: 'POST',
      headers: { authorization: `Bearer ${apiToken}`, 'content-type': 'application/json' },
      body: JSON.stringify({ files }),
      redirect: 'error',
      signal: AbortSignal.timeout(TIMEOUT),
    })
    text = (await response.text()).slice(0, 10_000)
  } catch (cause) {
    return { problem: new Problem('Unavailable', 'Cloudflare cannot be reached', { cause }), wait: 0 }
  }
  const { status, headers } = response
  const errors = response.ok ? refusalIn(text) : (refusalIn(text) ?? '')
  if (errors === undefined) return undefined
  const reason = `Cloudflare answered ${status} to the purge${errors === '' ? '' : `: ${errors}`}`
  if (status === 429 || status >= 500) {
    return { problem: new Problem('Unavailable', reason), wait: toWait(headers.get('retry-after')) }
  }
  const code = status === 401 || status === 403 ? 'PermissionDenied' : 'Unknown'
  return { problem: new Problem(code, reason), wait: undefined }
}

/** The errors in an answer of Cloudflare's API. Undefined where it reports success. */
function refusalIn(text: string): string | undefined {
  try {
    const { success, errors } = JSON.parse(text)
    if (success === true) return undefined
    const messages = Array.isArray(errors) ? errors.map((error) => String(error?.message)) : []
    return quote(messages.join('; '))
  } catch {
    return 'the body is not what the API of Cloudflare sends'
  }
}

/** Milliseconds of a `Retry-After`, which is in seconds or a date. */
function toWait(retryAfter: string | null): number {
  if (retryAfter === null) return 0
  const seconds = /^\d+$/.test(retryAfter) ? Number(retryAfter) : (Date.parse(retryAfter) - Date.now()) / 1000
  return Number.isNaN(seconds) ? 0 : Math.min(Math.max(seconds, 0), LONGEST_WAIT) * 1000
}
