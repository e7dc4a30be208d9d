import type { IncomingMessage } from 'node:http'
import { type Body, SOURCE_TIMEOUT } from '../content.js'
import { type ErrorContext, Problem } from '../errors.js'
import { checkOptions, type OptionNames, toIfExists, toSignal, toSourceTimeout } from '../options.js'
import { readSource } from '../source.js'
import type { Storage } from '../storage.js'
import { toUploadRules } from '../uploads.js'
import { FormFiles, type ReceivedFile } from './form-files.js'
import { boundaryOf } from './form-headers.js'
import { FormParser } from './form-parser.js'
import { FormReader } from './form-reader.js'
import { releaseRequest, toFormRequest } from './form-request.js'
import { explain, type UploadOptions } from './store-upload.js'

/** A file of a form, before it is stored. */
export interface UploadedFile {
  /** The name of the form's field. */
  readonly field: string
  /**
   * The base name that the browser sent. It may have any character: pass it to `sanitizeFilename`, or to a path function
   * such as `documentPath`.
   */
  readonly filename: string
  /** The type that the browser claims. Empty if it claims none. */
  readonly contentType: string
  /** The fields that came before the file: see {@link ReceivedUpload}. */
  readonly fields: Readonly<Record<string, readonly string[]>>
}

/** The result of {@link receiveUpload}. */
export interface ReceivedUpload {
  /** The files, in the order of the form: one or more. */
  files: [ReceivedFile, ...ReceivedFile[]]
  /** The other fields: every value by the name of its field. An object without a prototype, so any name is safe. */
  fields: Record<string, string[]>
}

/** Options of {@link receiveUpload}. */
export interface ReceiveUploadOptions extends UploadOptions {
  /** Gives each file its name in the storage. An error that it throws refuses the form, and is passed on unchanged. */
  name: (file: UploadedFile) => string | Promise<string>
  /** Most files. Default 1. Inputs that the user left empty do not count. */
  maxFiles?: number | undefined
  /** Most fields that are not files, with inputs that the user left empty. Default 100. */
  maxFields?: number | undefined
  /** Most bytes of a field that is not a file. Default 65,536. */
  maxFieldSize?: number | undefined
}

/**
 * Takes a form with files (`multipart/form-data`) and streams each file into `save`. Nothing is buffered, and each file is
 * judged by `maxSize` and `allowedTypes` while it comes in.
 *
 * All or nothing: if one file is refused, the form is cut or the client leaves, the files that were stored are deleted.
 * The rest of a refused body is read within bounds, so that the client sees the answer. Mount this before body parsers.
 *
 * @throws {UploadRejectedError} when a file is too large (413) or has another type (415).
 * @throws {StorageError} `BadRequest`: status 400 for a malformed or cut form and for a form without a file, 413 for too
 * many files or fields and for a field that is too large. `Aborted` when nothing comes for `sourceTimeout`. Everything
 * that `save` rejects with.
 * @example
 * app.post('/rooms/:id/files', async (c) => {
 *   const name = ({ filename }: UploadedFile) => documentPath(c.req.param('id'), filename)
 *   const { files } = await receiveUpload(defaultStorage, c.req.raw, { name, ...chatUploadRules })
 *   return c.json(files, 201)
 * })
 * app.onError((error) => errorResponse(error))
 */
export async function receiveUpload(
  storage: Storage,
  request: Request | IncomingMessage,
  options: ReceiveUploadOptions,
): Promise<ReceivedUpload> {
  let context: ErrorContext = { operation: 'receiveUpload' }
  try {
    context = { ...context, storage: String(storage) }
    return await receive(storage, request, checked(options))
  } catch (error) {
    releaseRequest(request)
    throw explain(error, context, options?.signal)
  }
}

const OPTIONS: OptionNames<ReceiveUploadOptions> = {
  name: true,
  maxSize: true,
  allowedTypes: true,
  ifExists: true,
  metadata: true,
  maxFiles: true,
  maxFields: true,
  maxFieldSize: true,
  sourceTimeout: true,
  signal: true,
}

/** The options as they are now: the caller may change its object while the form comes in. */
function checked(options: ReceiveUploadOptions) {
  const signal = toSignal(options)
  checkOptions(options, OPTIONS)
  const { name, metadata } = options
  if (typeof name !== 'function') {
    throw new Problem('InvalidArgument', 'name must be a function that gives each file its name')
  }
  return {
    ...toUploadRules(options),
    name,
    metadata,
    ifExists: toIfExists(options.ifExists),
    maxFiles: toCount(options.maxFiles, 'maxFiles', 1),
    maxFields: toCount(options.maxFields, 'maxFields', 100),
    maxFieldSize: toCount(options.maxFieldSize, 'maxFieldSize', 65_536),
    sourceTimeout: toSourceTimeout(options) ?? SOURCE_TIMEOUT,
    signal,
  }
}

type Settings = ReturnType<typeof checked>

function toCount(value: number | undefined, option: string, fallback: number): number {
  if (value === undefined) return fallback
  if (Number.isSafeInteger(value) && value >= 0) return value
  throw new Problem('InvalidArgument', `${option} must be a whole number, 0 or more`)
}

async function receive(
  storage: Storage,
  request: Request | IncomingMessage,
  settings: Settings,
): Promise<ReceivedUpload> {
  const { signal, sourceTimeout: timeout } = settings
  signal?.throwIfAborted()
  const { contentType, open } = toFormRequest(request)
  const parser = await FormParser.create(boundaryOf(contentType))
  const chunks = readSource(open, { timeout, signal })[Symbol.asyncIterator]()
  const files = new FormFiles(storage, settings)
  const fields: ReceivedUpload['fields'] = Object.create(null)
  try {
    await readInto(files, fields, new FormReader(chunks, parser), settings)
    return { files: await files.finish(), fields }
  } catch (error) {
    await leave(chunks)
    await files.discard()
    throw error
  } finally {
    await leave(chunks)
  }
}

async function leave(chunks: AsyncIterator<unknown>): Promise<void> {
  await chunks.return?.()
}

async function readInto(
  files: FormFiles,
  fields: ReceivedUpload['fields'],
  form: FormReader,
  settings: Settings,
): Promise<void> {
  const { maxFiles, maxFields } = settings
  let fieldCount = 0
  const countField = () => {
    fieldCount += 1
    if (fieldCount > maxFields) throw tooMuch(`the form has more than the allowed ${maxFields} fields`)
  }
  for (;;) {
    const part = await form.nextPart()
    if (part === undefined) break
    const { field, filename, contentType } = part
    if (filename === undefined) {
      countField()
      const value = await readField(form, settings.maxFieldSize)
      const values = fields[field]
      if (values) values.push(value)
      else fields[field] = [value]
    } else if (filename === '' && !(await form.hasContent())) {
      // A file input without a file: browsers send it all the same.
      countField()
    } else if (files.count === maxFiles) {
      throw tooMuch(`the form has more than the allowed ${maxFiles} files`)
    } else {
      const file = { field, filename, contentType, fields: snapshot(fields) }
      await files.store(file, await settings.name(file), bodyOf(form))
    }
  }
}

async function readField(form: FormReader, limit: number): Promise<string> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of form.content()) {
    bytes += chunk.byteLength
    if (bytes > limit) throw tooMuch(`a field of the form is larger than the allowed ${limit} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

/** The form has the deadline and the signal. */
function bodyOf(form: FormReader): Body {
  return { size: undefined, bytes: undefined, replayable: false, chunks: () => form.content() }
}

function snapshot(fields: ReceivedUpload['fields']): UploadedFile['fields'] {
  const copy: ReceivedUpload['fields'] = Object.create(null)
  for (const field in fields) copy[field] = [...(fields[field] ?? [])]
  return copy
}

function tooMuch(reason: string): Problem {
  return new Problem('BadRequest', reason, { status: 413 })
}
