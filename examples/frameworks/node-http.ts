import { createServer } from 'node:http'
import { chatUploadRules, defaultStorage, documentPath } from 'stowage'
import { createFileHandler, errorResponse, receiveUpload, serveFile, toNodeListener } from 'stowage/http'
import { mayEnter } from './may-enter.js'

const files = createFileHandler(defaultStorage)

async function handle(request: Request): Promise<Response | undefined> {
  const [, room, filename] = /^\/rooms\/(\w+)\/documents\/?(.*)$/.exec(new URL(request.url).pathname) ?? []
  if (room === undefined || filename === undefined) return files(request)
  if (!mayEnter(room, request.headers.get('authorization'))) return new Response(null, { status: 403 })
  const pathOf = (file: { filename: string }) => documentPath(room, file.filename)
  if (request.method !== 'POST') return serveFile(defaultStorage, pathOf({ filename }), request)
  const form = await receiveUpload(defaultStorage, request, { ...chatUploadRules, name: pathOf })
  const name = form.files[0]?.name ?? ''
  return Response.json({ name, url: await defaultStorage.signedUrl(name) }, { status: 201 })
}

export const server = createServer(toNodeListener((request) => handle(request).catch(errorResponse)))
