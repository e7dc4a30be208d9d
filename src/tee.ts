import { Readable } from 'node:stream'
import { abandon, type Content, defaultsOf, SOURCE_TIMEOUT, silence, toBody } from './content.js'
import { type ErrorContext, isProblem, Problem, SourceFailure, toError, toStorageError } from './errors.js'
import { type AttributeSource, headerNames } from './headers.js'
import { toSourceTimeout } from './options.js'
import { clearTimeout, setTimeout } from './timers.js'
import type { SaveOptions } from './types.js'

/** The result of `Storage#tee`. */
export interface Tee {
  /** The bytes of the source, for the listener. It fails with the source's own error. */
  readonly stream: Readable
  /** The stored name. Rejects as `save` does; nobody has to wait for it. */
  readonly saved: Promise<string>
}

/** `save` gets the same bytes as the listener. See `Storage#tee`. */
export function tee(
  save: (content: AsyncIterable<Uint8Array>, options: SaveOptions) => Promise<string>,
  source: Content,
  options: SaveOptions,
  context: ErrorContext,
): Tee {
  silence(source)
  const explain = (error: unknown) => (isProblem(error) ? toStorageError(error, context) : error)
  let fork: Fork
  try {
    const timeout = toSourceTimeout(options) ?? SOURCE_TIMEOUT
    fork = new Fork(toBody(source, timeout).chunks()[Symbol.asyncIterator](), timeout, explain)
  } catch (error) {
    abandon(source)
    fork = new Fork({ next: () => Promise.reject(error) }, 0, explain)
  }
  // The fork bounds the wait for the source itself; the listener's pauses are no fault of it.
  const settings = { ...withDefaults(options, defaultsOf(source)), sourceTimeout: 0 }
  const saved = (async () => save(fork.chunks(), settings))().finally(() => fork.leave())
  saved.catch(ignore)
  return { stream: fork.stream, saved }
}

function withDefaults(options: SaveOptions, defaults: AttributeSource): SaveOptions {
  const merged = { ...options, metadata: options.metadata ?? defaults.metadata }
  for (const header of headerNames()) merged[header] ??= defaults[header]
  return merged
}

/** Bytes that the save may be behind the listener. */
const LEAD = 1024 * 1024
/** Bytes that are read before the listener asks for them. */
const LISTENER_BUFFER = 64 * 1024

/**
 * One source for two readers, in bounded memory. The source is read when both have room. A reader that leaves stops
 * holding up the other; when both have left, the source is closed.
 */
class Fork {
  readonly stream: Readable
  readonly #source: AsyncIterator<Uint8Array>
  readonly #restTimeout: number
  /** Chunks that the save has not taken yet. */
  readonly #queue: Uint8Array[] = []
  #queued = 0
  #listening = true
  #listenerWants = false
  #saving = true
  #reading = false
  #end: { readonly failure?: unknown } | undefined
  /** Tells the save that there is more, or no more. */
  #wakeSave: (() => void) | undefined
  #restTimer: NodeJS.Timeout | undefined

  /** `restTimeout`: milliseconds without a read after which the listener counts as gone; 0: never. */
  constructor(source: AsyncIterator<Uint8Array>, restTimeout: number, explain: (error: unknown) => unknown) {
    this.#source = source
    this.#restTimeout = restTimeout
    this.stream = new Readable({
      highWaterMark: LISTENER_BUFFER,
      read: () => {
        this.#listenerWants = true
        this.#stopRest()
        this.#pump()
      },
      destroy: (error, done) => {
        this.#stopRest()
        this.#listening = false
        this.#pump()
        done(error === null ? null : toError(explain(error)))
      },
    })
    this.stream.on('error', ignore)
  }

  /** The save is over, with or without success. */
  leave(): void {
    this.#saving = false
    this.#queue.length = 0
    this.#wakeSave?.()
    this.#pump()
  }

  /** The save's side. */
  async *chunks(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const chunk = this.#queue.shift()
      if (!this.#saving) return
      if (chunk) {
        this.#queued -= chunk.byteLength
        this.#pump()
        yield chunk
      } else if (this.#end) {
        if ('failure' in this.#end) throw this.#end.failure
        return
      } else {
        await new Promise<void>((resolve) => {
          this.#wakeSave = resolve
          this.#pump()
        })
      }
    }
  }

  #pump(): void {
    if (this.#reading || this.#end) return
    if (!this.#listening && !this.#saving) {
      this.#end = {}
      void this.#source.return?.().catch(ignore)
      return
    }
    if (this.#listening && !this.#listenerWants) this.#rest()
    else if (!this.#saving || this.#queued < LEAD) this.#read()
  }

  #read(): void {
    this.#reading = true
    this.#source.next().then(
      ({ done, value }) => {
        this.#reading = false
        if (done) this.#finish({})
        else this.#give(value)
      },
      (error: unknown) => {
        this.#reading = false
        this.#finish({ failure: error instanceof SourceFailure ? error.cause : error })
      },
    )
  }

  #give(chunk: Uint8Array): void {
    if (this.#saving) {
      this.#queue.push(chunk)
      this.#queued += chunk.byteLength
      this.#wakeSave?.()
    }
    if (this.#listening) this.#listenerWants = this.stream.push(chunk)
    this.#pump()
  }

  #finish(end: { readonly failure?: unknown }): void {
    this.#end = end
    this.#stopRest()
    this.#wakeSave?.()
    if (!this.#listening) return
    if ('failure' in end) this.stream.destroy(toError(end.failure))
    else this.stream.push(null)
  }

  /** `pipe` does not tell that its target is gone: a listener that rests for very long must not hold up the save. */
  #rest(): void {
    if (this.#restTimeout === 0 || !this.#saving || this.#restTimer) return
    // It keeps the process, as a save that is under way does.
    this.#restTimer = setTimeout(() => {
      this.stream.destroy(new Problem('Aborted', `nobody read the stream for ${this.#restTimeout} ms`))
    }, this.#restTimeout)
  }

  #stopRest(): void {
    clearTimeout(this.#restTimer)
    this.#restTimer = undefined
  }
}

function ignore(): void {}
