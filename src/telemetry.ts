import { AsyncLocalStorage } from 'node:async_hooks'
import { tracingChannel } from 'node:diagnostics_channel'
import { isStorageError, withoutQuery } from './errors.js'

/**
 * One call of a storage, as the tracing channel `stowage:operation` of `node:diagnostics_channel` reports it. The object
 * is the same from `start` to `asyncEnd`. It never holds a secret, a result or a signed address.
 */
export interface OperationEvent {
  /** The public method or function: `save`, `open`, `list`, `migrate`, …; `purge` for the purge of a cache. */
  readonly operation: string
  /** The storage, by its `toString()`. */
  readonly storage: string
  /** The name or folder that the call is about. */
  readonly file: string | undefined
  /** Bytes that a save stored so far, or that an opened file delivers. */
  bytes?: number
  /** Requests that were sent to the server, repeated ones included. Missing where there is no server. */
  attempts?: number
  /** `'ok'`, or the `code` of the error. Missing until the end. An error of another package is `'Unknown'`. */
  outcome?: string
}

const channel = tracingChannel<OperationEvent>('stowage:operation')
/** Which call a request belongs to. Used only while somebody listens. */
const current = new AsyncLocalStorage<OperationEvent>()
/** Whether a storage of this process counts requests. Without one, the cost of the store above is not worth it. */
let isCounting = false

/** A storage that calls `countAttempt` says so before its first call. */
export function startCounting(): void {
  isCounting = true
}

/** Whether somebody listens. */
export function isObserved(): boolean {
  return channel.hasSubscribers
}

/** Runs a call whose start, end and outcome are reported. */
export function observe<T>(event: OperationEvent, work: () => Promise<T>): Promise<T> {
  return begin(event, async () => {
    try {
      const result = await work()
      finish(event)
      return result
    } catch (error) {
      finish(event, { error })
      throw error
    }
  })
}

/** Runs a call whose start is reported. `work` reports its outcome by {@link finish}, which saves a promise. */
export function begin<T>(event: OperationEvent, work: (event: OperationEvent) => Promise<T>): Promise<T> {
  return channel.start.runStores(event, () => {
    const working = isCounting ? current.run(event, work, event) : work(event)
    channel.end.publish(event)
    return working
  })
}

/** An event of a call that begins. */
export function eventOf(operation: string, storage: string, file: unknown): OperationEvent {
  return { operation, storage, file: withoutQuery(typeof file === 'string' ? file : undefined) }
}

/** Reports how a call ended. */
export function finish(event: OperationEvent, failure?: { readonly error: unknown }): void {
  event.outcome =
    failure === undefined ? 'ok' : isStorageError(failure.error) ? failure.error.code : 'Unknown'
  if (failure) channel.error.publish(event)
  channel.asyncStart.publish(event)
  channel.asyncEnd.publish(event)
}

/** Gives items one by one, such as those of a listing, as one call. It ends when they end, fail or are left. */
export async function* observeItems<T>(
  event: OperationEvent,
  items: AsyncIterable<T>,
): AsyncGenerator<T, void, undefined> {
  channel.start.publish(event)
  channel.end.publish(event)
  let failure: { readonly error: unknown } | undefined
  const iterator = items[Symbol.asyncIterator]()
  try {
    for (;;) {
      const { done, value } = await current.run(event, () => iterator.next())
      if (done) return
      yield value
    }
  } catch (error) {
    failure = { error }
    throw error
  } finally {
    try {
      await iterator.return?.()
    } finally {
      finish(event, failure)
    }
  }
}

/** Counts a request to a server for the call that it belongs to. */
export function countAttempt(): void {
  if (!channel.hasSubscribers) return
  const event = current.getStore()
  if (event) event.attempts = (event.attempts ?? 0) + 1
}
