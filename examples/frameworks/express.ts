import express, { type ErrorRequestHandler } from 'express'
import { chatUploadRules, defaultStorage, documentPath } from 'stowage'
import { createFileHandler, httpError, receiveUpload, serveFile, toNodeListener } from 'stowage/http'
import { mayEnter } from './may-enter.js'

export const app = express()
app.use(toNodeListener(createFileHandler(defaultStorage)))

app.post('/rooms/:room/documents', async (req, res) => {
  const { room } = req.params
  if (!mayEnter(room, req.headers.authorization)) return void res.sendStatus(403)
  const form = await receiveUpload(defaultStorage, req, {
    ...chatUploadRules,
    name: ({ filename }) => documentPath(room, filename),
  })
  const name = form.files[0]?.name ?? ''
  res.status(201).json({ name, url: await defaultStorage.signedUrl(name) })
})

app.get('/rooms/:room/documents/:filename', (req, res) => {
  const { room, filename } = req.params
  if (!mayEnter(room, req.headers.authorization)) return void res.sendStatus(403)
  toNodeListener((request) => serveFile(defaultStorage, documentPath(room, filename), request))(req, res)
})

app.use(((error, _req, res, _next) => {
  const { status, headers, ...body } = httpError(error)
  res.status(status).set(headers).json(body)
}) satisfies ErrorRequestHandler)
