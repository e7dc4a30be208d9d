import type { StageCopyRequest } from '../../driver.js'
import { isProblem } from '../../errors.js'
import { UPLOAD_KEY } from '../../metadata.js'
import type { Name } from '../../names.js'
import type { Staged } from '../../staged.js'
import { sleep } from '../../timers.js'
import type { CompletedUpload } from '../../upload-driver.js'
import { SAMPLE_BYTES } from '../../uploads.js'
import { toFileState } from './attributes.js'
import { withinASecond } from './bounds.js'
import type { S3Connection } from './connection.js'
import { deleteKeys } from './delete.js'
import { analyse } from './failures.js'
import { headObject, type SizedObject } from './head.js'
import { isPlaceholder } from './publishers/placeholder.js'
import { openObject } from './read.js'

/** Prepares a copy, as `StorageDriver.stageCopy` does. */
export type StageHidden = (request: StageCopyRequest) => Promise<Staged>

/** Where the content of an upload is. */
export interface Hidden {
  readonly key: string
  /** The value of {@link UPLOAD_KEY}, which copies have as well. */
  readonly mark: string
  readonly object: SizedObject
  readonly signal: AbortSignal | undefined
}

/** Milliseconds between looks at a placeholder, and how often it is looked at. */
const PLACEHOLDER_WAIT = 250
const PLACEHOLDER_LOOKS = 20

/** The content of a complete upload under its hidden key. */
export class HiddenObject implements CompletedUpload {
  readonly size: number
  readonly contentType: string
  readonly #connection: S3Connection
  readonly #hidden: Hidden
  readonly #stage: StageHidden

  constructor(connection: S3Connection, hidden: Hidden, stage: StageHidden) {
    const { object } = hidden
    this.size = object.size
    this.contentType = toFileState(object, object.size).contentType
    this.#connection = connection
    this.#hidden = hidden
    this.#stage = stage
  }

  async sample(): Promise<Uint8Array> {
    const { key, signal } = this.#hidden
    if (this.size === 0) return Buffer.alloc(0) // HTTP has no range of zero bytes.
    const range = { offset: 0, length: SAMPLE_BYTES }
    const { body } = await openObject(this.#connection, key, range, signal)
    return body.bytes()
  }

  /**
   * Every completion of the upload publishes under the same names in the same order. So a name that is taken may be
   * taken by another completion, which the mark tells.
   */
  async stage(contentType: string): Promise<Staged> {
    const { key, object, signal } = this.#hidden
    const from = key as Name // For the driver, names are keys.
    const staged = await this.#stage({ from, move: false, version: object.etag, contentType, signal })
    return {
      publish: async (name, createOnly) => {
        if (!(await this.#copy(staged, name, createOnly))) return false
        // A sweep removes what is left.
        await withinASecond(this.discard())
        return true
      },
      discard: () => staged.discard(),
    }
  }

  async #copy(staged: Staged, name: Name, createOnly: boolean): Promise<boolean> {
    try {
      return await staged.publish(name, createOnly)
    } catch (error) {
      // The other completion may have removed the source.
      const isGone = analyse(error).status === 404 || isProblem(error)
      const { mark, signal } = this.#hidden
      if (isGone && !signal?.aborted && (await hasMark(this.#connection, name, mark, signal))) return true
      throw error
    }
  }

  async discard(): Promise<void> {
    const { key } = this.#hidden
    const [failure] = await deleteKeys(this.#connection, [key], undefined)
    if (failure) throw failure.error
  }
}

/** Whether the object of a key is that of the upload of a mark. */
export async function hasMark(
  connection: S3Connection,
  key: string,
  mark: string,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  for (let look = 1; ; look++) {
    const found = await headObject(connection, key, signal)
    if (found === null) return false
    // It may become this file, or another.
    if (!isPlaceholder(found) || look === PLACEHOLDER_LOOKS) return found.metadata[UPLOAD_KEY] === mark
    await sleep(PLACEHOLDER_WAIT, undefined, signal ? { signal } : {})
  }
}
