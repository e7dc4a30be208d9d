import {
  type Check,
  type CheckOutcome,
  type CheckRequest,
  failed,
  ok,
  skipped,
  warning,
} from '../../checks.js'
import type { Problem } from '../../errors.js'
import { BucketConfig } from './bucket-config.js'
import { classify } from './classify.js'
import type { S3Connection } from './connection.js'
import { type Contact, contact } from './contact.js'
import { checkAddress, checkBucket, checkClock, checkEndpoint, checkKeys } from './contact-checks.js'
import { analyse } from './failures.js'
import { contentMd5 } from './headers.js'
import { isHidden } from './look.js'
import { probeCompletionAt, probePutAt } from './publishers/probe.js'
import { checkCors, checkLifecycle } from './settings-checks.js'
import type { Signer } from './signer.js'

/** The checks of a server, its bucket and the settings of that. */
export class S3Checks {
  readonly #connection: S3Connection
  readonly #signer: Signer
  /** One request is the source of several checks. */
  #contact: Promise<Contact> | undefined

  constructor(connection: S3Connection, signer: Signer) {
    this.#connection = connection
    this.#signer = signer
  }

  all(): readonly Check[] {
    return this.#checks().map((check) => ({
      ...check,
      run: (request) =>
        check.run(request).catch((error: unknown) => {
          throw this.#explain(error)
        }),
    }))
  }

  #checks(): readonly Check[] {
    const { config } = this.#connection
    const server = { group: 'Server', essential: true, writes: false, needs: [] }
    const settings = { group: 'Bucket', essential: false, writes: false, needs: [] }
    return [
      { ...server, check: 'address', run: async () => checkAddress(config) },
      ...(typeof config.credentials === 'object' || config.client
        ? []
        : [{ ...server, check: 'keys', run: (request: CheckRequest) => this.#keys(request) }]),
      {
        ...server,
        check: 'endpoint',
        run: async (request) => checkEndpoint(config, await this.#meet(request)),
      },
      {
        ...server,
        check: 'clock',
        // The first answer corrects it.
        essential: false,
        run: async (request) => checkClock(await this.#meet(request)),
      },
      { ...server, check: 'credentials', run: async (request) => checkKeys(await this.#meet(request)) },
      { ...server, check: 'bucket', run: (request) => this.#bucket(request) },
      {
        ...settings,
        check: 'cors',
        run: (request) => this.#setting(() => checkCors(this.#settings(), request)),
      },
      {
        ...settings,
        check: 'lifecycle',
        run: (request) => this.#setting(() => checkLifecycle(this.#settings(), request)),
      },
      { ...settings, check: 'conditions', writes: true, run: (request) => this.#conditions(request) },
    ]
  }

  #settings(): BucketConfig {
    return new BucketConfig(this.#connection)
  }

  #meet(request: CheckRequest): Promise<Contact> {
    this.#contact ??= contact(this.#connection.api, this.#signer, this.#connection.config, request)
    return this.#contact
  }

  async #keys({ signal }: CheckRequest): Promise<CheckOutcome> {
    try {
      await this.#signer.credentials(signal)
      return ok('There are keys.')
    } catch (error) {
      return failed(
        `No keys come from the provider: ${this.#explain(error).message}.`,
        'Give accessKeyId and secretAccessKey, or set up the provider of the credentials.',
      )
    }
  }

  async #bucket(request: CheckRequest): Promise<CheckOutcome> {
    const { bucket } = this.#connection.config
    const found = checkBucket(bucket, await this.#meet(request))
    if (found) return found
    if (await this.#mayDoSomething(request)) return ok(`The bucket "${bucket}" is there.`)
    return failed(
      `The keys have no right on the bucket "${bucket}".`,
      'Check the name of the bucket, and give the keys or the token the right to read and write it.',
    )
  }

  /** The keys may neither read nor list: perhaps they may write. */
  async #mayDoSomething({ folder, writable, signal }: CheckRequest): Promise<boolean> {
    const { api } = this.#connection
    const tries: (() => Promise<unknown>)[] = [
      () => this.#connection.run(signal, (call) => api.list({ prefix: `${folder}/`, shallow: false }, call)),
    ]
    if (writable) tries.push(() => this.#write(`${folder}/rights`, signal))
    for (const attempt of tries) {
      try {
        await attempt()
        return true
      } catch (error) {
        if (!isHidden(error)) throw error
      }
    }
    return false
  }

  async #write(key: string, signal: AbortSignal): Promise<void> {
    const { api } = this.#connection
    const bytes = Buffer.from('rights')
    try {
      await this.#connection.run(signal, (call) => api.put({ key, bytes, md5: contentMd5(bytes) }, call))
    } catch (error) {
      if (isHidden(error)) throw error
      await this.#connection.attemptQuietly((call) => api.delete({ key }, call))
      throw error
    }
    await this.#connection.attemptQuietly((call) => api.delete({ key }, call))
  }

  /** Object tokens may not read the settings of the bucket, and small servers have none. */
  async #setting(read: () => Promise<CheckOutcome>): Promise<CheckOutcome> {
    try {
      return await read()
    } catch (error) {
      const { status } = analyse(error)
      if (status === 403 || status === 401)
        return skipped('The keys may not read this setting of the bucket.')
      if (status === 501 || status === 404 || status === 405)
        return skipped('The server has no such setting.')
      throw error
    }
  }

  /** How the server treats `If-None-Match`, and whether the options fit that. */
  async #conditions({ folder, signal }: CheckRequest): Promise<CheckOutcome> {
    const { createOnly, conditionalCompletion } = this.#connection.config
    const put = await probePutAt(this.#connection, `${folder}/probe-put`)
    if (put === 'untried') return skipped('The keys may not write here.')
    if (createOnly === 'check') {
      if (put === 'missing')
        return ok("The server has no create-only writes; createOnly: 'check' looks first.")
      return warning(
        "The option createOnly: 'check' lets a race overwrite, and the server has create-only writes.",
        "Leave out the option createOnly: 'check'.",
      )
    }
    if (put === 'missing') return skipped('The server ignores If-None-Match; see "create-only".')
    signal.throwIfAborted()
    if (await probeCompletionAt(this.#connection, `${folder}/probe-completion`)) {
      return ok('The server creates only, by one request and by parts.')
    }
    if (conditionalCompletion !== true) {
      return ok('The server overwrites when parts are completed; a placeholder guards the name meanwhile.')
    }
    return failed(
      'The server ignores If-None-Match when parts are completed: a large save may overwrite a file.',
      'Leave out the option conditionalCompletion, so that a placeholder guards the name.',
    )
  }

  #explain(error: unknown): Problem {
    return classify(error, this.#connection.config.bucket)
  }
}
