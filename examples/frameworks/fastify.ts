import fastify from 'fastify'
import { chatUploadRules, defaultStorage, documentPath } from 'stowage'
import { createFileHandler, httpError, receiveUpload, serveFile, toNodeListener } from 'stowage/http'
import { onlyMembers } from './may-enter.js'

type Document = { Params: { room: string; filename: string } }

export const app = fastify()
app.addContentTypeParser('*', (_request, _body, done) => done(null)) // forms and files are read below
app.addHook('preHandler', onlyMembers)

const signedAddresses = toNodeListener(createFileHandler(defaultStorage))
app.all('/uploads/*', ({ raw }, reply) => signedAddresses(raw, reply.hijack().raw))

app.post<Document>('/rooms/:room/documents', async ({ raw, params }, reply) => {
  const name = (file: { filename: string }) => documentPath(params.room, file.filename)
  const { files } = await receiveUpload(defaultStorage, raw, { ...chatUploadRules, name })
  return reply.code(201).send({ name: files[0].name, url: await defaultStorage.signedUrl(files[0].name) })
})

app.get<Document>('/rooms/:room/documents/:filename', ({ raw, params }, reply) => {
  const name = documentPath(params.room, params.filename)
  toNodeListener((request) => serveFile(defaultStorage, name, request))(raw, reply.hijack().raw)
})

app.setErrorHandler((error, _request, reply) => {
  const { status, headers, ...body } = httpError(error)
  return reply.code(status).headers(headers).send(body)
})
