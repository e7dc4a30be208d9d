import { copyThrough } from '../../copy-through.js'
import { type StageCopyRequest, type Staged, sourceReplaced } from '../../driver.js'
import { Problem } from '../../errors.js'
import type { Name } from '../../names.js'
import { newWriteId } from './attributes.js'
import { classify } from './classify.js'
import type { S3Connection } from './connection.js'
import { isDecodedTwice, SourceReplaced } from './copy.js'
import { deleteKeys } from './delete.js'
import { headObject, type SizedObject } from './head.js'
import type { PublisherChoice } from './publishers/choose.js'
import { isPlaceholder } from './publishers/placeholder.js'
import type { Reader } from './reader.js'
import type { Writer } from './writer.js'

/** Attempts at a copy whose source keeps changing. */
const COPY_ATTEMPTS = 10
/** Attempts that treat a changed ETag as a changed source. After that it is taken for no MD5 on this server. */
const STRICT_COPY_ATTEMPTS = 3

/** Copies and moves files within one bucket, on the server where it can be asked to. */
export class Copier {
  readonly #connection: S3Connection
  readonly #publishers: PublisherChoice
  readonly #reader: Reader
  readonly #writer: Writer

  constructor(connection: S3Connection, publishers: PublisherChoice, reader: Reader, writer: Writer) {
    this.#connection = connection
    this.#publishers = publishers
    this.#reader = reader
    this.#writer = writer
  }

  async stage(request: StageCopyRequest): Promise<Staged> {
    const { from, move, version, signal } = request
    const pinned = version !== undefined
    if (pinned && isDecodedTwice(from) && !this.#connection.config.conditionalCopy)
      return this.#stageBytes(request)
    let source = await this.#source(request)
    const copyTo = async (name: Name, createOnly: boolean) => {
      const target = { key: name, createOnly, signal }
      const publisher = await this.#publishers.get(target)
      for (let attempt = 1; ; attempt++) {
        const write = { ...target, writeId: newWriteId() }
        const strict = attempt <= STRICT_COPY_ATTEMPTS
        try {
          return await publisher.copy({ fromKey: from, source, strict, pinned, ...write })
        } catch (error) {
          if (!(error instanceof SourceReplaced) || attempt === COPY_ATTEMPTS) throw error
          source = await this.#source(request)
        }
      }
    }
    return {
      publish: async (name, createOnly) => {
        if (!(await copyTo(name, createOnly))) return false
        if (move) await this.#removeSource(from, name, version)
        return true
      },
      discard: async () => {},
    }
  }

  /** A copy by way of this process, for a version that the server cannot be asked to copy. */
  async #stageBytes(request: StageCopyRequest): Promise<Staged> {
    const { from, move, version, signal } = request
    const opened = await this.#reader.read({ name: from, range: undefined, signal })
    return copyThrough(request, opened, {
      stage: (staging) => this.#writer.stage(staging),
      finish: async (name) => {
        if (move) await this.#removeSource(from, name, version)
      },
    })
  }

  /** The source of a copy, with the attributes that the copy gets. */
  async #source({ from, version, contentType, signal }: StageCopyRequest): Promise<SizedObject> {
    const source = await this.#reader.find(from, signal)
    if (version !== undefined && source.etag !== version) throw sourceReplaced()
    return contentType === undefined ? source : { ...source, headers: { ...source.headers, contentType } }
  }

  /** With `version` only that one: another may have come to its name meanwhile. */
  async #removeSource(from: Name, to: Name, version: string | undefined): Promise<void> {
    try {
      if (version !== undefined) {
        const current = await headObject(this.#connection, from, undefined)
        if (current?.etag !== version || isPlaceholder(current)) return
      }
      const [failure] = await deleteKeys(this.#connection, [from], undefined)
      if (failure) throw failure.error
    } catch (error) {
      const { code, message, cause } = classify(error, this.#connection.config.bucket)
      const reason = `the copy is at ${JSON.stringify(to)}, but the source could not be deleted: ${message}`
      throw new Problem(code, reason, { cause, file: from })
    }
  }
}
