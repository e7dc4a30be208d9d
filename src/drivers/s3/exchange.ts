import { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import { toError } from '../../errors.js'
import { clearTimeout, setTimeout } from '../../timers.js'
import { MAX_ANSWER_BYTES, TimeoutError, tooLong } from './bounds.js'
import type { ObjectStream } from './object-api.js'

/** A request as it goes over the wire. */
export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE'
  /** With the query. */
  readonly path: string
  readonly headers: Record<string, string>
  readonly body: Uint8Array | null
  /** Whether a success is handed out as a stream. */
  readonly streamed: boolean
}

/** An answer. */
export interface HttpResponse {
  readonly status: number
  /** By their names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  /** The whole body, unless it is a stream. */
  readonly text: string
  readonly stream: BodyStream | undefined
}

/** Sends a request. `timeout`: milliseconds until its answer is there, or has begun where it is a stream. */
export function exchange(
  connections: Pick<Dispatcher, 'dispatch'>,
  { method, path, headers, body, streamed }: HttpRequest,
  timeout: number | undefined,
  signal: AbortSignal | undefined,
): Promise<HttpResponse> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason)
    const handler = new Exchange(streamed, timeout, signal, resolve, reject)
    // `reset: false`: after a HEAD undici would close the connection.
    const request: Dispatcher.DispatchOptions = { method, path, headers, body, reset: false }
    // Servers are silent for long while they copy; the timer of the exchange bounds that.
    if (!streamed) request.bodyTimeout = 0
    connections.dispatch(request, handler)
  })
}

/** One exchange, on undici's dispatch interface: its `request` makes a stream for every answer, most of which are empty. */
class Exchange implements Dispatcher.DispatchHandler {
  readonly #streamed: boolean
  readonly #signal: AbortSignal | undefined
  readonly #resolve: (response: HttpResponse) => void
  readonly #reject: (reason: unknown) => void
  readonly #timer: NodeJS.Timeout | undefined
  #controller: Dispatcher.DispatchController | undefined
  /** Why it ended before its end. */
  #stopped: { readonly reason: unknown } | undefined
  #status = 0
  #headers: Record<string, string> = {}
  #stream: BodyStream | undefined
  #chunks: Buffer[] = []
  #bytes = 0

  constructor(
    streamed: boolean,
    timeout: number | undefined,
    signal: AbortSignal | undefined,
    resolve: (response: HttpResponse) => void,
    reject: (reason: unknown) => void,
  ) {
    this.#streamed = streamed
    this.#signal = signal
    this.#resolve = resolve
    this.#reject = reject
    signal?.addEventListener('abort', this.#onAbort)
    if (timeout !== undefined) {
      this.#timer = setTimeout(() => this.#stop(new TimeoutError(timeout)), timeout)
    }
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#stopped) controller.abort(toError(this.#stopped.reason))
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    if (status < 200) return
    this.#status = status
    for (const name in headers) {
      const value = headers[name]
      if (value !== undefined) this.#headers[name] = typeof value === 'string' ? value : value.join(', ')
    }
    if (!this.#streamed || status >= 300) return
    this.#release()
    this.#stream = new BodyStream(controller)
    this.#resolve({ status, headers: this.#headers, text: '', stream: this.#stream })
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#stream) {
      if (!this.#stream.push(chunk)) controller.pause()
      return
    }
    this.#bytes += chunk.byteLength
    if (this.#bytes > MAX_ANSWER_BYTES) this.#stop(tooLong())
    else this.#chunks.push(chunk)
  }

  onResponseEnd(): void {
    this.#release()
    if (this.#stream) this.#stream.end()
    else {
      const text = this.#bytes === 0 ? '' : Buffer.concat(this.#chunks).toString()
      this.#resolve({ status: this.#status, headers: this.#headers, text, stream: undefined })
    }
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    this.#release()
    if (this.#stream) this.#stream.destroy(error)
    else this.#reject(this.#stopped ? this.#stopped.reason : error)
  }

  #onAbort = (): void => this.#stop(this.#signal?.reason)

  /** A request that still waits for a connection cannot be taken back; it is dropped when it gets one. */
  #stop(reason: unknown): void {
    this.#stopped ??= { reason }
    this.#release()
    this.#reject(reason)
    this.#controller?.abort(toError(reason))
  }

  #release(): void {
    clearTimeout(this.#timer)
    this.#signal?.removeEventListener('abort', this.#onAbort)
  }
}

/** The body of an answer. Destroying it before its end gives up the connection. */
export class BodyStream extends Readable implements ObjectStream {
  readonly #controller: Dispatcher.DispatchController
  #hasArrived = false
  #onArrival: (() => void) | undefined

  constructor(controller: Dispatcher.DispatchController) {
    super({ highWaterMark: 64 * 1024 })
    this.#controller = controller
  }

  get hasArrived(): boolean {
    return this.#hasArrived
  }

  /** Calls back once the connection is free, whether or not what has arrived was read. */
  onceArrived(callback: () => void): void {
    if (this.#hasArrived) callback()
    else this.#onArrival = callback
  }

  /** Nothing more comes. */
  end(): void {
    this.#arrive()
    this.push(null)
  }

  #arrive(): void {
    if (this.#hasArrived) return
    this.#hasArrived = true
    this.#onArrival?.()
  }

  override _read(): void {
    if (this.#controller.paused) this.#controller.resume()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    if (!this.#hasArrived) this.#controller.abort(error ?? new Error('the body was not read'))
    this.#arrive()
    done(error)
  }
}
