import type { Readable } from 'node:stream'
import { TextDecoder } from 'node:util'
import { abandon, silence, toBody } from '../content.js'
import { readText } from '../error-fields.js'
import { type ErrorContext, inContext, Problem } from '../errors.js'
import { checkOptions, type OptionNames, toIfExists, toSourceTimeout } from '../options.js'
import type { Storage } from '../storage.js'
import { toUploadRules } from '../uploads.js'
import { toFilename } from './form-headers.js'
import type { UploadedFile } from './receive-upload.js'
import { explain, type StoredUpload, storeUpload, type UploadOptions } from './store-upload.js'

/** Options of {@link multerStorage}. */
export interface MulterStorageOptions<Request = unknown> extends Omit<UploadOptions, 'signal' | 'ifExists'> {
  /**
   * `'rename'` (default) or `'error'`. Not `'overwrite'`: multer deletes the files of a form that fails, and the replaced
   * file would be gone.
   */
  ifExists?: 'rename' | 'error' | undefined
  /** Gives each file its name in the storage. `fields` of the file are those of `req.body` so far. */
  name: (file: UploadedFile, request: Request) => string | Promise<string>
}

/** A file as multer describes it. */
export interface MulterFile {
  /** The name of the form's field. */
  readonly fieldname: string
  /** The name that the browser sent, as multer decodes it. */
  readonly originalname: string
  /** The type that the browser claims. */
  readonly mimetype: string
  /** The content. */
  readonly stream: Readable
}

/** A storage engine as multer 2 knows it: give it to `multer({ storage })`. */
export interface MulterStorage<Request = unknown> {
  /** Stores a file. multer calls it. */
  _handleFile(
    request: Request,
    file: MulterFile,
    callback: (error?: unknown, info?: StoredUpload) => void,
  ): void
  /** Deletes a file whose form was refused after all. multer calls it. */
  _removeFile(request: Request, file: object, callback: (error: Error | null) => void): void
}

/**
 * A storage engine for multer 2. `req.file` gets `name`, `url`, `size` and `contentType` beside multer's own fields. A file
 * that multer cuts at its own limit is refused. multer passes errors on to Express: answer them by `httpError`.
 *
 * @throws {StorageError} `InvalidArgument` for options that cannot be.
 * @example
 * const name = ({ filename }: UploadedFile) => chatUploadPath(filename)
 * const upload = multer({ storage: multerStorage(defaultStorage, { name, ...chatUploadRules }) })
 * app.post('/files', upload.single('file'), (req, res) => res.status(201).json(req.file))
 */
export function multerStorage<Request = unknown>(
  storage: Storage,
  options: MulterStorageOptions<Request>,
): MulterStorage<Request> {
  const settings = inContext({ operation: 'multerStorage' }, () => checked(options))
  const { name, ...saving } = settings
  const store = async (request: Request, { fieldname, originalname, mimetype, stream }: MulterFile) => {
    const context: ErrorContext = { operation: 'multerStorage', storage: String(storage) }
    silence(stream)
    try {
      const file: UploadedFile = {
        field: fieldname,
        filename: toFilename(utf8Of(originalname)),
        contentType: mimetype,
        fields: fieldsOf(request),
      }
      const chosen = await name(file, request)
      return await storeUpload(storage, chosen, toBody(stream, saving.sourceTimeout), mimetype, saving)
    } catch (error) {
      abandon(stream)
      throw explain(error, context, undefined)
    }
  }
  return {
    _handleFile(request, file, callback) {
      store(request, file).then((info) => callback(null, info), callback)
    },
    _removeFile(_request, file, callback) {
      const stored = readText(file, 'name')
      const removing = stored === undefined ? Promise.resolve() : storage.delete(stored)
      removing.then(() => callback(null), callback)
    },
  }
}

const OPTIONS: OptionNames<MulterStorageOptions> = {
  name: true,
  maxSize: true,
  allowedTypes: true,
  ifExists: true,
  metadata: true,
  sourceTimeout: true,
}

function checked<Request>(options: MulterStorageOptions<Request>) {
  checkOptions(options, OPTIONS)
  const { name, metadata } = options
  if (typeof name !== 'function') {
    throw new Problem('InvalidArgument', 'name must be a function that gives each file its name')
  }
  const ifExists = toIfExists(options.ifExists)
  if (ifExists === 'overwrite') {
    throw new Problem(
      'InvalidArgument',
      'multerStorage cannot overwrite, because multer deletes the files of a form that fails: use receiveUpload, or move the file when the form is whole',
    )
  }
  return {
    ...toUploadRules(options),
    name,
    metadata,
    ifExists,
    sourceTimeout: toSourceTimeout(options),
  }
}

/** multer reads names as Latin-1, unless its `defParamCharset` says otherwise. Browsers send UTF-8. */
function utf8Of(name: string): string {
  if (/[^\0-\xff]/.test(name)) return name
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.from(name, 'latin1'))
  } catch {
    return name
  }
}

/** multer makes lists and objects of fields such as `tags[]` and `user[name]`. Here they have their own names again. */
function fieldsOf(request: unknown): UploadedFile['fields'] {
  const fields: Record<string, string[]> = Object.create(null)
  const add = (field: string, value: unknown): void => {
    if (typeof value === 'string') {
      const values = fields[field]
      if (values) values.push(value)
      else fields[field] = [value]
    } else if (Array.isArray(value)) {
      for (const each of value) add(field, each)
    } else if (typeof value === 'object' && value !== null) {
      for (const [key, each] of Object.entries(value)) add(field === '' ? key : `${field}[${key}]`, each)
    }
  }
  if (typeof request === 'object' && request !== null) add('', Reflect.get(request, 'body'))
  return fields
}
