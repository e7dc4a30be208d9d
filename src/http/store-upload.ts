import { Readable } from 'node:stream'
import type { Body } from '../content.js'
import { type ErrorContext, isProblem, isStorageError, StorageError, toStorageError } from '../errors.js'
import { toAttributes } from '../headers.js'
import { DEFAULT_CONTENT_TYPE, isMediaType } from '../media-types.js'
import { toName } from '../names.js'
import type { Storage } from '../storage.js'
import type { SaveOptions } from '../types.js'
import { applyRules } from '../uploads.js'

/** A file that was stored. */
export interface StoredUpload {
  /** The name that the file got. */
  readonly name: string
  /** The public address: `storage.url(name)`. Empty where the storage has none, such as a private bucket. */
  readonly url: string
  /** Bytes. */
  readonly size: number
  /** The stored type: with `allowedTypes` that of the bytes, else the browser's, else by the name's extension. */
  readonly contentType: string
}

/** The options of a save that an upload has as well. */
export type UploadOptions = Pick<
  SaveOptions,
  'maxSize' | 'allowedTypes' | 'ifExists' | 'metadata' | 'sourceTimeout' | 'signal'
>

/** Stores one file by checked options. `claimed` is the type that the browser claims. The rules are judged here to learn the type. */
export async function storeUpload(
  storage: Storage,
  name: string,
  body: Body,
  claimed: string,
  options: UploadOptions,
): Promise<StoredUpload> {
  const { ifExists, metadata, signal } = options
  // Browsers say `application/octet-stream` of a file that they do not know.
  const given = isMediaType(claimed) && claimed !== DEFAULT_CONTENT_TYPE ? claimed : undefined
  const attributes = await toAttributes(toName(name), { contentType: given })
  const judged = await applyRules(body, options, attributes.contentType, signal)
  const contentType = judged.contentType ?? attributes.contentType
  let size = judged.body.bytes?.byteLength ?? 0
  const counted = async function* () {
    for await (const chunk of judged.body.chunks(signal)) {
      size += chunk.byteLength
      yield chunk
    }
  }
  const content = judged.body.bytes ?? Readable.from(counted(), { objectMode: false })
  // The body itself has a deadline.
  const saving = { contentType, ifExists, metadata, signal, sourceTimeout: 0 }
  const stored = await storage.save(name, content, saving)
  return { name: stored, url: urlOf(storage, stored), size, contentType }
}

/** The public address of a file that is stored. */
export function urlOf(storage: Storage, name: string): string {
  try {
    return storage.url(name)
  } catch (error) {
    // The file is stored, and many files are never addressed.
    if (isStorageError(error) && error.code === 'Misconfigured') return ''
    throw error
  }
}

/** The public error of an upload. An error of the caller's own function stays what it is. */
export function explain(error: unknown, context: ErrorContext, signal: AbortSignal | undefined): unknown {
  if (isStorageError(error)) return error
  if (signal?.aborted && error === signal.reason) {
    return new StorageError('Aborted', { ...context, reason: 'aborted by the caller', cause: error })
  }
  return isProblem(error) ? toStorageError(error, context) : error
}
