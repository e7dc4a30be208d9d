import { createServer } from 'node:http'
import { chatUploadRules, defaultStorage, documentPath } from 'stowage'
import { createFileHandler, errorResponse, receiveUpload, serveFile, toNodeListener } from 'stowage/http'
import { mayEnter } from './may-enter.js'

const signedAddresses = createFileHandler(defaultStorage)

async function handle(request: Request): Promise<Response | undefined> {
  const [, room, filename] = /^\/rooms\/(\w+)\/documents\/?(.*)$/.exec(new URL(request.url).pathname) ?? []
  if (room === undefined || filename === undefined) return signedAddresses(request)
  if (!mayEnter(room, request.headers.get('authorization'))) return new Response(null, { status: 403 })
  const nameOf = (file: { filename: string }) => documentPath(room, file.filename)
  if (request.method !== 'POST') return serveFile(defaultStorage, nameOf({ filename }), request)
  const { files } = await receiveUpload(defaultStorage, request, { ...chatUploadRules, name: nameOf })
  const [{ name }] = files
  return Response.json({ name, url: await defaultStorage.signedUrl(name) }, { status: 201 })
}

export const server = createServer(toNodeListener((request) => handle(request).catch(errorResponse)))
