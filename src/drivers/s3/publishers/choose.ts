import { randomUUID } from 'node:crypto'
import { orAborted } from '../bounds.js'
import type { S3Connection } from '../connection.js'
import { analyse } from '../failures.js'
import type { Upload } from '../object-api.js'
import { Claiming } from './claiming.js'
import { Conditional } from './conditional.js'
import type { Publisher } from './publisher.js'

/** Chooses the publisher of a storage, once: by its options, or by a probe when it first matters. */
export class PublisherChoice {
  readonly #connection: S3Connection
  readonly #conditional: Conditional
  readonly #claiming: Claiming
  #probed: Promise<boolean> | undefined

  constructor(connection: S3Connection) {
    this.#connection = connection
    this.#conditional = new Conditional(connection)
    this.#claiming = new Claiming(connection)
    const { conditionalCompletion } = connection.config
    if (conditionalCompletion !== undefined) this.#probed = Promise.resolve(conditionalCompletion)
  }

  /** The publisher for writes that must not overwrite. */
  async get(signal: AbortSignal | undefined): Promise<Publisher> {
    // While the probe fails, the way that works on every server is taken; the next write probes again.
    this.#probed ??= probe(this.#connection).catch(() => {
      this.#probed = undefined
      return false
    })
    return (await orAborted(this.#probed, signal)) ? this.#conditional : this.#claiming
  }

  /** The publisher for uploads that may overwrite: they need no condition, and no probe. */
  get overwriting(): Publisher {
    return this.#conditional
  }
}

/** Whether a completion honours `If-None-Match`: completes an upload over an object of the same name. */
async function probe(connection: S3Connection): Promise<boolean> {
  const { api, config } = connection
  // The credentials may be limited to the prefix.
  const folder = config.prefix === '' ? '' : `${config.prefix}/`
  const key = `${folder}.stowage/probe-${randomUUID()}`
  const bytes = Buffer.from('probe')
  let upload: Upload | undefined
  try {
    await connection.run(undefined, (call) => api.put({ key, bytes }, call))
    const begun = await connection.run(undefined, (call) => api.createUpload({ key }, call))
    upload = begun
    const part = { ...begun, number: 1, bytes }
    const { etag } = await connection.run(undefined, (call) => api.uploadPart(part, call))
    const completion = { ...begun, parts: [{ number: 1, etag }], createOnly: true }
    await connection.run(undefined, (call) => api.completeUpload(completion, call))
    return false
  } catch (error) {
    const { status } = analyse(error)
    if (status === 412) return true
    // Keys that are limited to some names can never try it out.
    if (status === 403) return false
    throw error
  } finally {
    await connection.attemptQuietly((call) => api.delete({ key }, call))
    const open = upload
    if (open) await connection.attemptQuietly((call) => api.abortUpload(open, call))
  }
}
