import type { Body } from '../content.js'
import { Problem } from '../errors.js'
import { alternativeName, type Name, toName } from '../names.js'
import { driverOf, type Storage } from '../storage.js'
import { type StoredUpload, storeUpload, type UploadOptions, urlOf } from './store-upload.js'

/** A file of a form that was stored. */
export interface ReceivedFile extends StoredUpload {
  /** The name of the form's field. */
  readonly field: string
  /** The base name that the browser sent. */
  readonly filename: string
}

/** A file of a form as its headers describe it. */
interface FilePart {
  readonly field: string
  readonly filename: string
  readonly contentType: string
}

interface StoredFilePart {
  readonly file: ReceivedFile
  /** The name that it gets when the form is whole. */
  readonly replaces: Name | undefined
}

/**
 * The files of one form: all of them are stored, or none. With `ifExists: 'overwrite'` each file waits beside its name
 * until the form is whole, because a replaced file could not be brought back.
 */
export class FormFiles {
  readonly #storage: Storage
  readonly #options: UploadOptions
  readonly #stored: StoredFilePart[] = []

  constructor(storage: Storage, options: UploadOptions) {
    this.#storage = storage
    this.#options = options
  }

  get count(): number {
    return this.#stored.length
  }

  async store({ field, filename, contentType }: FilePart, name: string, body: Body): Promise<void> {
    const { ifExists } = this.#options
    const { nameLimit } = driverOf(this.#storage)
    const replaces = ifExists === 'overwrite' ? toName(name, nameLimit) : undefined
    const target = replaces ? alternativeName(replaces, nameLimit) : name
    const options = replaces ? { ...this.#options, ifExists: 'rename' as const } : this.#options
    const stored = await storeUpload(this.#storage, target, body, contentType, options)
    this.#stored.push({ file: { field, filename, ...stored }, replaces })
  }

  /** Ends a form that is whole. */
  async finish(): Promise<[ReceivedFile, ...ReceivedFile[]]> {
    const files = this.#stored.map(({ file }) => file)
    for (const [index, { file, replaces }] of this.#stored.entries()) {
      if (replaces) files[index] = await this.#replace(file, replaces)
    }
    const [first, ...others] = files
    if (first === undefined) throw new Problem('BadRequest', 'the form has no file')
    return [first, ...others]
  }

  async #replace(file: ReceivedFile, replaced: Name): Promise<ReceivedFile> {
    const { signal } = this.#options
    const name = await this.#storage.move(file.name, replaced, { ifExists: 'overwrite', signal })
    return { ...file, name, url: urlOf(this.#storage, name) }
  }

  /** Deletes the files of a form that failed. A file that has replaced another has another name by now, and stays. */
  async discard(): Promise<void> {
    // Without the signal, which may be the reason. The first error says more than one of the deletes.
    await this.#storage.deleteMany(this.#stored.map(({ file }) => file.name)).catch(() => {})
  }
}
