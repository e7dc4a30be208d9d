import { Readable } from 'node:stream'
import type { ObjectStream } from './object-api.js'

/**
 * The body of an answer of the SDK, which takes what arrives before anybody reads: the connection of a small file that is
 * opened and not read is free at once, and does not keep the process.
 */
export class SdkStream extends Readable implements ObjectStream {
  readonly #source: Readable

  constructor(source: Readable) {
    super({ highWaterMark: 64 * 1024 })
    this.#source = source
    source.on('data', (chunk) => {
      if (!this.push(chunk)) source.pause()
    })
    source.on('end', () => this.push(null))
    source.on('error', (error) => this.destroy(error))
    source.on('close', () => {
      if (!source.readableEnded) this.destroy(new Error('the connection was closed'))
    })
  }

  get hasArrived(): boolean {
    return this.#source.closed || this.#source.readableEnded
  }

  override _read(): void {
    this.#source.resume()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#source.destroy()
    done(error)
  }
}
