export { createFileHandler, type FileHandlerOptions, type Handler } from './http/file-handler.js'
export { type NodeListener, toNodeListener } from './http/node-listener.js'
export { errorResponse, type HttpError, httpError } from './http/problem.js'
export { type ServeFileOptions, serveFile } from './http/serve-file.js'
