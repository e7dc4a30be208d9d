import fastify from 'fastify'
import { chatUploadRules, defaultStorage, documentPath } from 'stowage'
import { createFileHandler, httpError, receiveUpload, serveFile, toNodeListener } from 'stowage/http'
import { mayEnter } from './may-enter.js'

export const app = fastify()
// Forms and files are read by the functions below, not by Fastify.
app.addContentTypeParser('*', (_request, _payload, done) => done(null))

const files = toNodeListener(createFileHandler(defaultStorage))
app.all('/uploads/*', (request, reply) => {
  reply.hijack()
  files(request.raw, reply.raw)
})

type Params = { room: string; filename: string }

app.post<{ Params: Params }>('/rooms/:room/documents', async ({ raw, params: { room } }, reply) => {
  if (!mayEnter(room, raw.headers.authorization)) return reply.code(403).send()
  const form = await receiveUpload(defaultStorage, raw, {
    ...chatUploadRules,
    name: ({ filename }) => documentPath(room, filename),
  })
  const name = form.files[0]?.name ?? ''
  return reply.code(201).send({ name, url: await defaultStorage.signedUrl(name) })
})

app.get<{ Params: Params }>('/rooms/:room/documents/:filename', ({ raw, params }, reply) => {
  if (!mayEnter(params.room, raw.headers.authorization)) return reply.code(403).send()
  reply.hijack()
  const name = documentPath(params.room, params.filename)
  toNodeListener((request) => serveFile(defaultStorage, name, request))(raw, reply.raw)
})

app.setErrorHandler((error, _request, reply) => {
  const { status, headers, ...body } = httpError(error)
  return reply.code(status).headers(headers).send(body)
})
