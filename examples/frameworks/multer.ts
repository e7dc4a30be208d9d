import express, { type NextFunction, type Request, type Response } from 'express'
import multer from 'multer'
import { chatUploadRules, defaultStorage, documentPath } from 'stowage'
import { httpError, multerStorage } from 'stowage/http'
import { members } from './may-enter.js'

export const app = express()

const storage = multerStorage<Request>(defaultStorage, {
  ...chatUploadRules,
  name: ({ filename }, req) => documentPath(String(req.params.room), filename),
})
const upload = multer({ storage, limits: { files: 1, fields: 10 } })

app.post('/rooms/:room/documents', members, upload.single('file'), async (req, res) => {
  const { name } = req.file as Express.Multer.File & { name: string }
  res.status(201).json({ name, url: await defaultStorage.signedUrl(name) })
})

app.use((error: unknown, _req: Request, res: Response, _next: NextFunction) => {
  const { status, headers, ...body } = httpError(error)
  res.status(status).set(headers).json(body)
})
