import type { S3Connection } from '../connection.js'
import {
  type CopyWork,
  copyAsIs,
  copyByParts,
  copyConditionally,
  copyIfSame,
  fitsOneCopy,
  putEmptyCopy,
} from '../copy.js'
import type { Part, Upload } from '../object-api.js'
import { type MarkedWrite, putObject, type WholeWrite, writeOnce } from '../write-once.js'
import type { Publisher } from './publisher.js'

/** For servers that honour `If-None-Match` when an upload is completed: AWS, R2, MinIO. Overwrites on every server. */
export class Conditional implements Publisher {
  readonly #connection: S3Connection

  constructor(connection: S3Connection) {
    this.#connection = connection
  }

  put(write: WholeWrite): Promise<boolean> {
    return putObject(this.#connection, write)
  }

  complete(write: MarkedWrite, upload: Upload, parts: readonly Part[]): Promise<boolean> {
    const connection = this.#connection
    const request = { ...upload, parts, createOnly: write.createOnly }
    return writeOnce(connection, write, (call) => connection.api.completeUpload(request, call))
  }

  copy(work: CopyWork): Promise<boolean> {
    const connection = this.#connection
    if (fitsOneCopy(connection, work)) {
      if (!work.createOnly) return this.#copyOver(work)
      if (connection.config.conditionalCopy) return copyConditionally(connection, work)
    }
    // CopyObject has no standard condition: only completing an upload, or writing the bytes, can be create-only.
    if (work.source.size === 0) return putEmptyCopy(connection, work)
    return copyByParts(connection, work, (upload, parts) => this.complete(work, upload, parts))
  }

  #copyOver(work: CopyWork): Promise<boolean> {
    const connection = this.#connection
    if (work.pinned) return writeOnce(connection, work, (call) => copyIfSame(connection, work, call))
    if (connection.config.conditionalCompletion) {
      return writeOnce(connection, work, (call) => copyAsIs(connection, work, call))
    }
    // A placeholder may have come to the name of the source, and must not be copied: it is empty.
    if (work.source.size === 0) return putEmptyCopy(connection, work)
    return writeOnce(connection, work, (call) => copyIfSame(connection, work, call))
  }
}
