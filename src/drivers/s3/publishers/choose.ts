import { Problem } from '../../../errors.js'
import { orAborted } from '../bounds.js'
import type { S3Connection } from '../connection.js'
import { isTaken } from '../look.js'
import { isDouble } from '../sdk-client.js'
import type { MarkedWrite } from '../write-once.js'
import { Checking } from './checking.js'
import { Claiming } from './claiming.js'
import { Conditional } from './conditional.js'
import { type PutVerdict, probeCompletion, probePut } from './probe.js'
import type { Publisher } from './publisher.js'
import { Unconditional } from './unconditional.js'

type Target = Pick<MarkedWrite, 'key' | 'createOnly' | 'signal'>

/** Chooses the publisher of a storage, once: by its options, or by probes when it first matters. */
export class PublisherChoice {
  readonly #connection: S3Connection
  readonly #conditional: Conditional
  readonly #claiming: Claiming
  /** Undefined unless the storage looks first and then writes. */
  readonly #checking: Checking | undefined
  #puts: Promise<PutVerdict> | undefined
  #completions: Promise<boolean> | undefined

  constructor(connection: S3Connection) {
    this.#connection = connection
    this.#conditional = new Conditional(connection)
    this.#claiming = new Claiming(connection)
    const { createOnly, conditionalPut, conditionalCompletion, client } = connection.config
    if (createOnly === 'check') this.#checking = new Checking(connection, new Unconditional(connection))
    if (conditionalPut || (client && isDouble(client))) this.#puts = Promise.resolve('honoured')
    if (conditionalCompletion !== undefined) this.#completions = Promise.resolve(conditionalCompletion)
  }

  /** The publisher for a put. One that may overwrite needs no condition, and no probe. */
  async forPut({ key, createOnly, signal }: Target): Promise<Publisher> {
    if (!createOnly) return this.#conditional
    return this.#checking ?? this.#surely(this.#conditional, key, signal)
  }

  /** The publisher for an upload or a copy. */
  async get({ key, createOnly, signal }: Target): Promise<Publisher> {
    if (!createOnly) return this.#conditional
    if (this.#checking) return this.#checking
    const claiming = await this.#surely(this.#claiming, key, signal)
    // While the probe fails, the way that works on every server is taken; the next write probes again.
    this.#completions ??= probeCompletion(this.#connection).catch(() => {
      this.#completions = undefined
      return false
    })
    return (await orAborted(this.#completions, signal)) ? this.#conditional : claiming
  }

  /**
   * Before an address for a create-only put is signed: whether the signature is to bind the condition. The other way is
   * to look now, and to trust that nobody comes before the upload.
   *
   * @throws {Problem} `AlreadyExists` where the look finds the name taken.
   */
  async prepareSigning(key: string, signal: AbortSignal | undefined): Promise<boolean> {
    if (!this.#checking) {
      await this.#surely(this.#conditional, key, signal)
      return true
    }
    if (await isTaken(this.#connection, key, signal)) {
      throw new Problem('AlreadyExists', 'there is a file of this name')
    }
    return false
  }

  /** A publisher that needs create-only puts, if the server has them. */
  async #surely(publisher: Publisher, key: string, signal: AbortSignal | undefined): Promise<Publisher> {
    this.#puts ??= this.#probePut(key)
    const verdict = await orAborted(this.#puts, signal)
    if (verdict === 'missing') throw noCreateOnly()
    return verdict === 'honoured' ? publisher : new Checking(this.#connection, publisher)
  }

  /** Shared by all who wait for it. The next write tries again what could not be tried out. */
  #probePut(key: string): Promise<PutVerdict> {
    const forget = () => {
      this.#puts = undefined
    }
    const probing = probePut(this.#connection, key)
    probing.then((verdict) => verdict === 'untried' && forget(), forget)
    return probing
  }
}

function noCreateOnly(): Problem {
  return new Problem(
    'Unsupported',
    "the server has no create-only writes: it ignores or refuses If-None-Match. Save with ifExists: 'overwrite', or give the storage the option createOnly: 'check' (look first, then write: a race may overwrite)",
  )
}
