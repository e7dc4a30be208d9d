import type { S3Connection } from '../connection.js'
import { type CopyWork, copyByParts, copyMarked, fitsOneCopy, putEmptyCopy } from '../copy.js'
import type { Part, Upload } from '../object-api.js'
import { type MarkedWrite, putObject, type WholeWrite, writeOnce } from '../write-once.js'
import type { Publisher } from './publisher.js'

/** For servers without create-only writes: overwrites whatever is there, so somebody has to look first. */
export class Unconditional implements Publisher {
  readonly #connection: S3Connection

  constructor(connection: S3Connection) {
    this.#connection = connection
  }

  put(write: WholeWrite): Promise<boolean> {
    return putObject(this.#connection, write, false)
  }

  complete(write: MarkedWrite, upload: Upload, parts: readonly Part[]): Promise<boolean> {
    const { api } = this.#connection
    return writeOnce(this.#connection, write, (call) => api.completeUpload({ ...upload, parts }, call))
  }

  copy(work: CopyWork): Promise<boolean> {
    if (work.source.size === 0) return putEmptyCopy(this.#connection, work, false)
    if (fitsOneCopy(this.#connection, work)) return copyMarked(this.#connection, work)
    return copyByParts(this.#connection, work, (upload, parts) => this.complete(work, upload, parts))
  }
}
