import express, { type ErrorRequestHandler } from 'express'
import multer from 'multer'
import { chatUploadRules, defaultStorage, documentPath } from 'stowage'
import { httpError, multerStorage } from 'stowage/http'

export const app = express()

const upload = multer({
  storage: multerStorage(defaultStorage, {
    ...chatUploadRules,
    name: ({ filename }, req) => documentPath(String(req.params.room), filename),
  }),
  limits: { files: 1, fields: 10 },
})

app.post('/rooms/:room/documents', upload.single('file'), (req, res) => {
  res.status(201).json({ name: req.file?.name, url: req.file?.url })
})

app.use(((error, _req, res, _next) => {
  const { status, headers, ...body } = httpError(error)
  res.status(status).set(headers).json(body)
}) satisfies ErrorRequestHandler)
