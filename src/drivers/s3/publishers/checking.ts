import type { S3Connection } from '../connection.js'
import type { CopyWork } from '../copy.js'
import { isTaken } from '../look.js'
import type { Part, Upload } from '../object-api.js'
import type { MarkedWrite, WholeWrite } from '../write-once.js'
import type { Publisher } from './publisher.js'

/** Looks first, and then writes as another publisher does. Whoever comes between look and write may be overwritten. */
export class Checking implements Publisher {
  readonly #connection: S3Connection
  readonly #publisher: Publisher

  constructor(connection: S3Connection, publisher: Publisher) {
    this.#connection = connection
    this.#publisher = publisher
  }

  async put(write: WholeWrite): Promise<boolean> {
    return (await this.#isFree(write)) && this.#publisher.put(write)
  }

  async complete(write: MarkedWrite, upload: Upload, parts: readonly Part[]): Promise<boolean> {
    return (await this.#isFree(write)) && this.#publisher.complete(write, upload, parts)
  }

  async copy(work: CopyWork): Promise<boolean> {
    return (await this.#isFree(work)) && this.#publisher.copy(work)
  }

  async #isFree({ key, signal }: MarkedWrite): Promise<boolean> {
    return !(await isTaken(this.#connection, key, signal))
  }
}
