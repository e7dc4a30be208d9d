import { Readable } from 'node:stream'
import type { Dispatcher, Pool } from 'undici'
import { toError } from '../../errors.js'
import { MAX_TEXT_BYTES } from './answers.js'

/** A request as it goes over the wire. */
export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'DELETE'
  /** With the query. */
  readonly path: string
  readonly headers: Record<string, string>
  readonly body: Uint8Array | null
  /** Milliseconds until the answer begins, the body's way included. */
  readonly headersTimeout: number
}

export interface HttpResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** The whole body, unless it was asked for as a stream and the status is a success. */
  readonly text: string
  readonly stream: Readable | undefined
}

/** Sends a request over the pool. `deadline`: milliseconds until the answer has begun, the wait for a connection included. */
export function exchange(
  pool: Pool,
  request: HttpRequest,
  streamed: boolean,
  deadline: number,
  signal: AbortSignal | undefined,
): Promise<HttpResponse> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason)
    const handler = new Exchange(streamed, deadline, signal, resolve, reject)
    // `reset: false`: after a HEAD undici would close the connection.
    pool.dispatch({ reset: false, ...request }, handler)
  })
}

/** One exchange, on undici's dispatch interface: its `request` makes a stream for every answer, most of which are empty. */
class Exchange implements Dispatcher.DispatchHandler {
  readonly #streamed: boolean
  readonly #signal: AbortSignal | undefined
  readonly #resolve: (response: HttpResponse) => void
  readonly #reject: (reason: unknown) => void
  readonly #timer: NodeJS.Timeout
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
    deadline: number,
    signal: AbortSignal | undefined,
    resolve: (response: HttpResponse) => void,
    reject: (reason: unknown) => void,
  ) {
    this.#streamed = streamed
    this.#signal = signal
    this.#resolve = resolve
    this.#reject = reject
    signal?.addEventListener('abort', this.#onAbort)
    this.#timer = setTimeout(() => this.#stop(new TimeoutError(`no answer within ${deadline} ms`)), deadline)
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
    if (this.#bytes > MAX_TEXT_BYTES) this.#stop(new Error('the answer is too long'))
    else this.#chunks.push(chunk)
  }

  onResponseEnd(): void {
    this.#release()
    if (this.#stream) this.#stream.push(null)
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
class BodyStream extends Readable {
  readonly #controller: Dispatcher.DispatchController

  constructor(controller: Dispatcher.DispatchController) {
    super({ highWaterMark: 64 * 1024 })
    this.#controller = controller
  }

  override _read(): void {
    if (this.#controller.paused) this.#controller.resume()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    if (!this.readableEnded) this.#controller.abort(error ?? new Error('the body was not read'))
    done(error)
  }
}

class TimeoutError extends Error {
  override readonly name = 'TimeoutError'
  readonly code = 'ETIMEDOUT'
}
