import express, { type NextFunction, type Request, type Response } from 'express'
import { chatUploadRules, defaultStorage, documentPath } from 'stowage'
import { createFileHandler, httpError, receiveUpload, serveFile, toNodeListener } from 'stowage/http'
import { members } from './may-enter.js'

export const app = express()
app.use(toNodeListener(createFileHandler(defaultStorage))) // answers signed addresses; on R2 the bucket does
app.use('/rooms/:room', members)

app.post('/rooms/:room/documents', async (req, res) => {
  const { files } = await receiveUpload(defaultStorage, req, {
    ...chatUploadRules, // 50 MiB; PDF, JPEG, PNG, WebM audio
    name: ({ filename }) => documentPath(req.params.room, filename),
  })
  res.status(201).json({ name: files[0].name, url: await defaultStorage.signedUrl(files[0].name) })
})

app.get('/rooms/:room/documents/:filename', (req, res) => {
  const name = documentPath(req.params.room, req.params.filename)
  toNodeListener((request) => serveFile(defaultStorage, name, request))(req, res)
})

app.use((error: unknown, _req: Request, res: Response, _next: NextFunction) => {
  const { status, headers, ...body } = httpError(error)
  res.status(status).set(headers).json(body)
})
