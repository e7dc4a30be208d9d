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
import { PLACEHOLDER } from './placeholder.js'
import type { Publisher } from './publisher.js'

/**
 * For create-only writes on servers that complete an upload over whatever is there, such as Ceph. A placeholder, put
 * create-only, claims the name first. Readers of this package do not see it; a crash leaves it behind, and the name taken.
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
    return this.#claimAndWrite(write, (call) => api.completeUpload({ ...upload, parts }, call))
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

  async #claimAndWrite(write: MarkedWrite, send: (call: Call) => Promise<unknown>): Promise<boolean> {
    if (!(await this.#claim(write))) return false
    try {
      return await writeOnce(this.#connection, write, send)
    } catch (error) {
      await withinASecond(removeIfWritten(this.#connection, write))
      throw error
    }
  }

  /** Puts the placeholder. False: the name is taken. */
  async #claim(write: MarkedWrite): Promise<boolean> {
    const connection = this.#connection
    // Not aborted itself, so that its outcome is known: a placeholder must not come after its removal.
    const claiming = putObject(connection, {
      ...write,
      placeholder: true,
      bytes: Buffer.alloc(0),
      attributes: PLACEHOLDER,
      signal: undefined,
    })
    return orAborted(claiming, write.signal).catch(async (error: unknown) => {
      await withinASecond(claiming.then((done) => done && removeWritten(connection, write)))
      throw error
    })
  }
}
