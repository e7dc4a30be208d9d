import { Problem, SourceFailure, StorageError, type StorageErrorCode } from '../errors.js'
import { toOptionalFolder } from '../names.js'
import { ABORT_OPTIONS } from '../options.js'
import { either } from '../signals.js'
import type { Storage } from '../storage.js'
import { clearTimeout, setTimeout } from '../timers.js'
import type { AbortOptions, ListedFile } from '../types.js'
import { type Operation, run } from './run.js'

/** Options of {@link warm}. */
export interface WarmOptions extends AbortOptions {
  /** The folder whose files are fetched. Default: all files. */
  prefix?: string | undefined
  /** Files fetched at a time, 1 to 100. Default 8. */
  concurrency?: number | undefined
  /** Called after each file with what the cache said. An error it throws ends the warming, and is thrown on. */
  onFile?: ((file: WarmedFile) => void) | undefined
}

/** One file that was fetched. */
export interface WarmedFile {
  /** Its name. */
  readonly name: string
  /** Its public address. */
  readonly url: string
  /** The HTTP status: 200 where it is served. */
  readonly status: number
  /** Cloudflare's `CF-Cache-Status`, or another CDN's `X-Cache`: `HIT`, `MISS`, `DYNAMIC`, … Missing where there is none. */
  readonly cacheStatus?: string
  /** `Cache-Control` of the answer. */
  readonly cacheControl?: string
  /** `Age` of the answer in seconds. */
  readonly age?: number
}

/** One file that was not served. */
export interface WarmFailure {
  /** Its name. */
  readonly name: string
  /** Why: the network, or a status other than 200. */
  readonly error: StorageError
}

/** The result of {@link warm}. */
export interface WarmResult {
  /** Files that were served. */
  files: number
  /** Bytes that were fetched. */
  bytes: number
  /** Files by what the cache said; `none` where it said nothing. */
  cacheStatus: Record<string, number>
  /** Files that were not served. They do not stop the others. */
  failed: WarmFailure[]
}

const WARM: Operation<WarmOptions> = {
  name: 'warm',
  known: { ...ABORT_OPTIONS, prefix: true, concurrency: true, onFile: true },
}
/** Milliseconds without an answer, or without further bytes of it, after which a file counts as not served. */
const TIMEOUT = 60_000

/**
 * Fetches the public address of every file below a folder, so that a CDN has it before the first visitor, and reports
 * the cache headers. A CDN caches by place: this fills the one near this machine.
 *
 * @throws {StorageError} `InvalidArgument` for options; `Unsupported` where `url()` gives no absolute address; `Aborted`;
 * or the error of the listing.
 * @example const { cacheStatus } = await warm(storage, { prefix: 'user_avatars' })
 */
export async function warm(storage: Storage, options: WarmOptions = {}): Promise<WarmResult> {
  return run(WARM, storage, options, async (signal) => {
    const prefix = toOptionalFolder(options.prefix)
    const { concurrency = 8, onFile } = options
    if (!Number.isSafeInteger(concurrency) || concurrency < 1 || concurrency > 100) {
      throw new Problem('InvalidArgument', 'concurrency must be a whole number from 1 to 100')
    }
    if (onFile !== undefined && typeof onFile !== 'function') {
      throw new Problem('InvalidArgument', 'onFile must be a function')
    }
    const tally: Tally = { files: 0, bytes: 0, cacheStatus: new Map(), failed: [] }
    const stop = new AbortController()
    const both = either(signal, stop.signal)
    const files = storage.list(prefix, { signal: both })[Symbol.asyncIterator]()
    const work = async () => {
      try {
        for (let next = await files.next(); !next.done; next = await files.next()) {
          await fetchOne(storage, next.value, tally, both, onFile)
        }
      } catch (error) {
        stop.abort(error)
      }
    }
    await Promise.all(Array.from({ length: concurrency }, work))
    await files.return?.()
    signal?.throwIfAborted()
    if (stop.signal.aborted) throw stop.signal.reason
    return { ...tally, cacheStatus: Object.fromEntries(tally.cacheStatus) }
  })
}

/** A result that grows. What a cache says may be any word, `constructor` too. */
interface Tally extends Omit<WarmResult, 'cacheStatus'> {
  readonly cacheStatus: Map<string, number>
}

async function fetchOne(
  storage: Storage,
  { name }: ListedFile,
  tally: Tally,
  signal: AbortSignal,
  onFile: WarmOptions['onFile'],
): Promise<void> {
  const url = storage.url(name)
  if (!/^https?:\/\//i.test(url)) {
    throw new Problem(
      'Unsupported',
      'the public addresses must be absolute: give a publicBaseUrl or a baseUrl',
    )
  }
  const context = { operation: 'warm', file: name, storage: String(storage) }
  let response: Response
  let bytes = 0
  const stalled = new AbortController()
  const timer = setTimeout(() => stalled.abort(new Error(`nothing came for ${TIMEOUT} ms`)), TIMEOUT)
  try {
    response = await fetch(url, { signal: either(signal, stalled.signal) })
    for await (const chunk of response.body ?? []) {
      bytes += chunk.byteLength
      timer.refresh()
    }
  } catch (cause) {
    signal.throwIfAborted()
    const reason = 'the public address cannot be fetched'
    tally.failed.push({ name, error: new StorageError('Unavailable', { ...context, reason, cause }) })
    return
  } finally {
    clearTimeout(timer)
  }
  const { status, headers } = response
  const cacheStatus = headers.get('cf-cache-status') ?? headers.get('x-cache') ?? undefined
  const cacheControl = headers.get('cache-control') ?? undefined
  const age = headers.get('age')
  if (status === 200) {
    tally.files += 1
    tally.bytes += bytes
    const key = cacheStatus ?? 'none'
    tally.cacheStatus.set(key, (tally.cacheStatus.get(key) ?? 0) + 1)
  } else {
    const reason = `the public address answered ${status}`
    tally.failed.push({ name, error: new StorageError(codeOf(status), { ...context, reason }) })
  }
  try {
    onFile?.({
      name,
      url,
      status,
      ...(cacheStatus === undefined ? {} : { cacheStatus }),
      ...(cacheControl === undefined ? {} : { cacheControl }),
      ...(age === null || Number.isNaN(Number(age)) ? {} : { age: Number(age) }),
    })
  } catch (error) {
    throw new SourceFailure(error)
  }
}

function codeOf(status: number): StorageErrorCode {
  if (status === 404) return 'NotFound'
  if (status === 401 || status === 403) return 'PermissionDenied'
  return status === 429 || status >= 500 ? 'Unavailable' : 'Unknown'
}
