import { toBody } from './content.js'
import {
  type OpenedFile,
  type StageCopyRequest,
  type Staged,
  type StageRequest,
  sourceReplaced,
} from './driver.js'
import { pickAttributes } from './headers.js'
import type { Name } from './names.js'
import { StoredFile } from './stored-file.js'

/** Where the bytes of a copy go. */
export interface CopyTarget {
  /** Takes the content in. */
  stage(request: StageRequest): Promise<Staged>
  /** Called once the copy is published, with the name that it got. */
  finish(name: Name): Promise<void>
}

/** Prepares a copy by way of this process: an opened source is staged again, with its attributes. Closes it on failure. */
export async function copyThrough(
  { from, version, contentType, signal }: StageCopyRequest,
  { state, range, body }: OpenedFile,
  target: CopyTarget,
): Promise<Staged> {
  const file = new StoredFile({ name: from, ...state }, range, body, (error) => error, signal)
  try {
    if (version !== undefined && state.etag !== version) throw sourceReplaced()
    const attributes = pickAttributes({ ...state, contentType: contentType ?? state.contentType })
    const request = { name: from, body: toBody(file), attributes, signal, progress: () => {} }
    const staged = await target.stage(request)
    return {
      publish: async (name, createOnly) => {
        if (!(await staged.publish(name, createOnly))) return false
        await target.finish(name)
        return true
      },
      discard: () => staged.discard(),
    }
  } catch (error) {
    await file.close()
    throw error
  }
}
