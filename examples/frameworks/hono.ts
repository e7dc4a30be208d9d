import { Hono } from 'hono'
import { chatUploadRules, defaultStorage, documentPath } from 'stowage'
import { createFileHandler, errorResponse, receiveUpload, serveFile } from 'stowage/http'
import { mayEnter } from './may-enter.js'

export const app = new Hono()

const files = createFileHandler(defaultStorage)
app.all('/uploads/*', async (c) => (await files(c.req.raw)) ?? c.notFound())

app.post('/rooms/:room/documents', async (c) => {
  const { room } = c.req.param()
  if (!mayEnter(room, c.req.header('authorization'))) return c.body(null, 403)
  const form = await receiveUpload(defaultStorage, c.req.raw, {
    ...chatUploadRules,
    name: ({ filename }) => documentPath(room, filename),
  })
  const name = form.files[0]?.name ?? ''
  return c.json({ name, url: await defaultStorage.signedUrl(name) }, 201)
})

app.get('/rooms/:room/documents/:filename', (c) => {
  const { room, filename } = c.req.param()
  if (!mayEnter(room, c.req.header('authorization'))) return c.body(null, 403)
  return serveFile(defaultStorage, documentPath(room, filename), c.req.raw)
})

app.onError(errorResponse)
