import { orAborted, withinASecond } from '../bounds.js'
import type { S3Connection } from '../connection.js'
import {
  type CopyWork,
  copyByParts,
  copyConditionally,
  copyIfSame,
  fitsOneCopy,
  isDecodedTwice,
  putEmptyCopy,
} from '../copy.js'
import type { Call, Part, Upload } from '../object-api.js'
import {
  type MarkedWrite,
  putObject,
  removeIfWritten,
  removeWritten,
  type WholeWrite,
  writeOnce,
} from '../write-once.js'
import { placeholderOf } from './placeholder.js'
import type { Publisher } from './publisher.js'

/**
 * For create-only writes on servers that complete an upload over whatever is there, such as Ceph. A placeholder, put
 * create-only, claims the name first. Readers of this package do not see it. A crash leaves it behind; it names its
 * upload, so that the next write can end that and take its place.
 */
export class Claiming implements Publisher {
  readonly #connection: S3Connection

  constructor(connection: S3Connection) {
    this.#connection = connection
  }

  put(write: WholeWrite): Promise<boolean> {
    return putObject(this.#connection, write)
  }

  complete(write: MarkedWrite, upload: Upload, parts: readonly Part[]): Promise<boolean> {
    const { api } = this.#connection
    const complete = (call: Call) => api.completeUpload({ ...upload, parts }, call)
    return this.#claimAndWrite(write, complete, upload.uploadId)
  }

  copy(work: CopyWork): Promise<boolean> {
    const connection = this.#connection
    const fits = fitsOneCopy(connection, work)
    if (fits && connection.config.conditionalCopy) return copyConditionally(connection, work)
    if (work.source.size === 0) return putEmptyCopy(connection, work)
    // A key that no part can be copied from goes by CopyObject. If that fails, the placeholder has to go, and with it
    // what was written over it meanwhile.
    if (fits && isDecodedTwice(work.fromKey)) {
      return this.#claimAndWrite(work, (call) => copyIfSame(connection, work, call))
    }
    // A placeholder may come to the source's name; the ETags of the parts tell.
    return copyByParts(connection, work, (upload, parts) => this.complete(work, upload, parts))
  }

  async #claimAndWrite(
    write: MarkedWrite,
    send: (call: Call) => Promise<unknown>,
    uploadId?: string,
  ): Promise<boolean> {
    if (!(await this.#claim(write, uploadId))) return false
    try {
      // It overwrites the placeholder. Not create-only, so that a failure is cleaned up once, by the removal below.
      return await writeOnce(this.#connection, { ...write, createOnly: false }, send)
    } catch (error) {
      await withinASecond(removeIfWritten(this.#connection, write))
      throw error
    }
  }

  /** Puts the placeholder. False: the name is taken. */
  async #claim(write: MarkedWrite, uploadId: string | undefined): Promise<boolean> {
    const connection = this.#connection
    const { key, writeId } = write
    // Not aborted itself, so that its outcome is known: a placeholder must not come after its removal.
    const claiming = putObject(connection, {
      ...write,
      placeholder: true,
      // Every placeholder has an ETag of its own, so that it can be replaced on condition.
      bytes: Buffer.from(write.writeId),
      attributes: placeholderOf(uploadId),
      signal: undefined,
    })
    return orAborted(claiming, write.signal).catch(async (error: unknown) => {
      await withinASecond(claiming.then((done) => done && removeWritten(connection, { key, writeId })))
      throw error
    })
  }
}
