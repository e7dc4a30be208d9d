import { Hono } from 'hono'
import { chatUploadRules, defaultStorage, documentPath } from 'stowage'
import { createFileHandler, errorResponse, receiveUpload, serveFile } from 'stowage/http'
import { mayEnter } from './may-enter.js'

export const app = new Hono()

const signedAddresses = createFileHandler(defaultStorage)
app.all('/uploads/*', async (c) => (await signedAddresses(c.req.raw)) ?? c.notFound())

app.use('/rooms/:room/*', async (c, next) => {
  return mayEnter(c.req.param('room'), c.req.header('authorization')) ? next() : c.body(null, 403)
})

app.post('/rooms/:room/documents', async (c) => {
  const name = (file: { filename: string }) => documentPath(c.req.param('room'), file.filename)
  const { files } = await receiveUpload(defaultStorage, c.req.raw, { ...chatUploadRules, name })
  return c.json({ name: files[0].name, url: await defaultStorage.signedUrl(files[0].name) }, 201)
})

app.get('/rooms/:room/documents/:filename', (c) => {
  return serveFile(defaultStorage, documentPath(c.req.param('room'), c.req.param('filename')), c.req.raw)
})

app.onError(errorResponse)
