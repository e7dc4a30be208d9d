import { createServer } from 'node:http'
import { defaultStorage, documentPath } from 'stowage'
import { createUploadHandler, toNodeListener } from 'stowage/http'

/** Large files from browsers, in parts. Stands before your own routes: it answers only what is below `/s3`. */
export const uploads = createUploadHandler(defaultStorage, {
  authorize: (request) => request.headers.get('cookie')?.includes('session=') === true, // your own check
  name: ({ filename }) => documentPath(42, filename),
  maxSize: 5 * 1024 ** 3,
  allowedTypes: ['video/mp4', 'application/pdf'],
})

export const server = createServer(toNodeListener(uploads))
