import type { Body } from './content.js'
import { hasFile, type Staged, type StorageDriver } from './driver.js'
import { isProblem, Problem, RejectedUpload } from './errors.js'
import { toAttributes } from './headers.js'
import { type Name, toName } from './names.js'
import { perform } from './operation.js'
import { toSigningTimes } from './options.js'
import { candidates, publish } from './publish.js'
import { driverOf, type Storage } from './storage.js'
import type { SaveOptions, UploadRules } from './types.js'
import type {
  CompletedUpload,
  PartAddress,
  UploadDriver,
  UploadedPart,
  UploadRequest,
} from './upload-driver.js'
import { judge } from './uploads.js'

/** An upload, by what its client says. */
export interface UploadReference {
  /** The name that the file is to have. */
  readonly name: string
  /** As {@link DirectUploads.begin} gave it. */
  readonly id: string
  /** Ends the work when it is aborted. */
  readonly signal: AbortSignal
}

/** A part that a client wants to complete with. */
export interface WantedPart {
  readonly number: number
  /** With or without quotes. */
  readonly etag: string
}

/** The policy of direct uploads: rules, names, errors. The I/O is the driver's. All of it rejects with `StorageError`. */
export class DirectUploads {
  readonly #storage: Storage
  readonly #rules: UploadRules

  /** The rules are checked. */
  constructor(storage: Storage, rules: UploadRules) {
    this.#storage = storage
    this.#rules = rules
  }

  /** Begins an upload. Returns the name in its checked form, and the id. */
  begin(
    name: string,
    file: Pick<SaveOptions, 'contentType' | 'metadata'>,
    signal: AbortSignal,
  ): Promise<{ readonly name: Name; readonly id: string }> {
    return this.#perform('begin', { name, signal }, async (uploads, target) => {
      const attributes = await toAttributes(target, file)
      return { name: target, id: await uploads.create({ name: target, attributes, signal }) }
    })
  }

  /** The parts that are stored. */
  list(upload: UploadReference): Promise<readonly UploadedPart[]> {
    return this.#perform('list', upload, (uploads, name) => uploads.list({ ...upload, name }))
  }

  /** The address of a part, or only its query: see `UploadDriver.signPart`. */
  sign(upload: UploadReference, number: number, expiresIn: number) {
    return this.#perform('sign', upload, async (uploads, name) => {
      const times = toSigningTimes(expiresIn, undefined)
      const address = await uploads.signPart({ ...upload, name, number, ...times })
      return uploads.receiver ? { query: address } : { url: address }
    })
  }

  /** The name of the upload that an address of a part belongs to. Undefined: the address is not valid. */
  verify(address: PartAddress): Name | undefined {
    return driverOf(this.#storage).uploads?.receiver?.verify(address)?.name
  }

  /** Stores a part that came through the application. Returns its ETag. */
  store(upload: UploadReference, number: number, body: Body): Promise<string> {
    return this.#perform('store', upload, async (uploads, name) => {
      const request = { ...upload, name }
      const { receiver } = uploads
      if (!receiver) throw unsupported()
      const { maxSize = Number.POSITIVE_INFINITY } = this.#rules
      const stored = maxSize === Number.POSITIVE_INFINITY ? [] : await uploads.list(request)
      const others = sizeOf(stored.filter((part) => part.number !== number))
      return receiver.store({ ...request, number, body: within(body, others, maxSize) })
    })
  }

  /**
   * Completes an upload: puts the parts together, judges them, and publishes the file create-only. Returns the name that
   * the file got; the same one when it is completed again, since the answer may have been lost. A refused upload is
   * discarded. After any other failure it can be completed again.
   */
  complete(upload: UploadReference, wanted: readonly WantedPart[]): Promise<Name> {
    return this.#perform('complete', upload, async (uploads, name, driver) => {
      const { id, signal } = upload
      const request = { name, id, signal }
      try {
        const completed = await this.#putTogether(uploads, request, wanted)
        const staged = await completed.stage(await this.#judge(completed))
        return await publish(
          driver,
          onceOnly(staged, completed, uploads, request),
          name,
          'rename',
          signal,
          id,
        )
      } catch (error) {
        const published = isGone(error, driver) && (await publishedName(driver, uploads, request))
        if (!published) throw error
        return published
      }
    })
  }

  async #putTogether(
    uploads: UploadDriver,
    request: UploadRequest,
    wanted: readonly WantedPart[],
  ): Promise<CompletedUpload> {
    const parts = chosenParts(await uploads.list(request), wanted)
    const { maxSize } = this.#rules
    const size = sizeOf(parts)
    if (maxSize !== undefined && size > maxSize) {
      await uploads.abort(request)
      throw new RejectedUpload({ reason: 'size', limit: maxSize, found: size })
    }
    return uploads.complete({ ...request, parts })
  }

  /** The type that the bytes have. */
  async #judge(completed: CompletedUpload): Promise<string> {
    try {
      return (await judge(completed, this.#rules)) ?? completed.contentType
    } catch (error) {
      if (error instanceof RejectedUpload) await completed.discard()
      throw error
    }
  }

  /** Discards an upload. */
  abort(upload: UploadReference): Promise<void> {
    return this.#perform('abort', upload, (uploads, name) => uploads.abort({ ...upload, name }))
  }

  #perform<T>(
    operation: string,
    { name, signal }: { readonly name: string; readonly signal: AbortSignal },
    work: (uploads: UploadDriver, name: Name, driver: ReturnType<typeof driverOf>) => Promise<T>,
  ): Promise<T> {
    const driver = driverOf(this.#storage)
    return perform(driver, `directUpload.${operation}`, name, { signal }, async () => {
      const { uploads } = driver
      if (!uploads) throw unsupported()
      return work(uploads, toName(name, driver.nameLimit), driver)
    })
  }
}

/** A publication that finds the name taken by the same upload is done: a process died before it could remove the upload. */
function onceOnly(
  staged: Staged,
  completed: CompletedUpload,
  uploads: UploadDriver,
  request: UploadRequest,
): Staged {
  return {
    publish: async (name, createOnly) => {
      if (await staged.publish(name, createOnly)) return true
      if (!(await uploads.isPublished(request, name))) return false
      await completed.discard()
      return true
    },
    discard: () => staged.discard(),
  }
}

/** Whether an upload, or a part of it, may be missing because it was published before. */
function isGone(error: unknown, driver: StorageDriver): boolean {
  const { code } = isProblem(error) ? error : driver.classify(error)
  return code === 'NotFound' || code === 'BadRequest'
}

/** The search ends after so many free names. It goes past some, because a name that was taken may be free again. */
const FREE_NAMES = 3

/** The name that an upload was published under, as long as the file is there. */
async function publishedName(
  driver: StorageDriver,
  uploads: UploadDriver,
  request: UploadRequest,
): Promise<Name | undefined> {
  let free = 0
  for (const name of candidates(driver, request.name, request.id)) {
    request.signal?.throwIfAborted()
    if (await uploads.isPublished(request, name)) return name
    if (!(await hasFile(driver, name, request.signal)) && ++free === FREE_NAMES) return undefined
  }
  return undefined
}

/** The stored parts that are wanted, in their order. */
function chosenParts(stored: readonly UploadedPart[], wanted: readonly WantedPart[]): UploadedPart[] {
  const byNumber = new Map(stored.map((part) => [part.number, part]))
  const chosen = wanted.map(({ number, etag }) => {
    const part = byNumber.get(number)
    if (part === undefined || (part.etag !== '' && bare(part.etag) !== bare(etag))) {
      throw new Problem('BadRequest', `part ${number} is missing, or another one than was sent`)
    }
    byNumber.delete(number) // A part can be in the file once.
    return part
  })
  return chosen.sort((a, b) => a.number - b.number)
}

function bare(etag: string): string {
  return etag.replace(/^"|"$/g, '')
}

function sizeOf(parts: readonly UploadedPart[]): number {
  return parts.reduce((sum, { size }) => sum + size, 0)
}

/** A part that together with the others has no more bytes than the whole file may have. */
function within(body: Body, others: number, maxSize: number): Body {
  const check = (bytes: number) => {
    const found = others + bytes
    if (found > maxSize) throw new RejectedUpload({ reason: 'size', limit: maxSize, found })
  }
  check(body.size ?? 0)
  return {
    ...body,
    async *chunks(signal) {
      let bytes = 0
      for await (const chunk of body.chunks(signal)) {
        bytes += chunk.byteLength
        check(bytes)
        yield chunk
      }
    },
  }
}

function unsupported(): Problem {
  return new Problem('Unsupported', 'this storage takes no direct uploads')
}
