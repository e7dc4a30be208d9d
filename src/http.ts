export { createFileHandler, type FileHandlerOptions, type Handler } from './http/file-handler.js'
export {
  type MulterFile,
  type MulterStorage,
  type MulterStorageOptions,
  multerStorage,
} from './http/multer-storage.js'
export { type NodeListener, toNodeListener } from './http/node-listener.js'
export { errorResponse, type HttpError, httpError } from './http/problem.js'
export {
  type ReceivedFile,
  type ReceivedUpload,
  type ReceiveUploadOptions,
  receiveUpload,
  type UploadedFile,
} from './http/receive-upload.js'
export { type ServeFileOptions, serveFile } from './http/serve-file.js'
export type { StoredUpload, UploadOptions } from './http/store-upload.js'
