/**
 * Handlers for web servers: files that are served, forms and uploads that are received, errors as answers. They take and
 * give the `Request` and `Response` of the web; {@link toNodeListener} makes listeners for `node:http` and Express of them.
 *
 * @module stowage/http
 */

export { createFileHandler, type FileHandlerOptions, type Handler } from './http/file-handler.js'
export type { ReceivedFile } from './http/form-files.js'
export {
  type MulterFile,
  type MulterStorage,
  type MulterStorageOptions,
  multerStorage,
} from './http/multer-storage.js'
export { type NodeListener, toNodeListener } from './http/node-listener.js'
export { errorResponse, type HttpError, httpError } from './http/problem.js'
export {
  type ReceivedUpload,
  type ReceiveUploadOptions,
  receiveUpload,
  type UploadedFile,
} from './http/receive-upload.js'
export { type ServeFileOptions, serveFile } from './http/serve-file.js'
export type { StoredUpload, UploadOptions } from './http/store-upload.js'
export {
  createUploadHandler,
  type UploadAction,
  type UploadHandlerOptions,
} from './http/upload-handler.js'
export type { AnnouncedFile } from './http/upload-messages.js'
