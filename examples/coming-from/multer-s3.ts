/** The code of a multer-s3 engine, written for stowage. */
import express, { type NextFunction, type Request, type Response } from 'express'
import multer from 'multer'
import { chatUploadRules, defaultStorage, documentPath } from 'stowage'
import { httpError, multerStorage } from 'stowage/http'

export const app = express()

// #region after
const storage = multerStorage<Request>(defaultStorage, {
  ...chatUploadRules, // 50 MiB; PDF, JPEG, PNG, WebM audio
  name: ({ filename }, req) => documentPath(String(req.params.room), filename),
})
const upload = multer({ storage })

app.post('/rooms/:room/documents', upload.single('file'), (req, res) => {
  const { name, url } = req.file as Express.Multer.File & { name: string; url: string }
  res.status(201).json({ name, url })
})

app.use((error: unknown, _req: Request, res: Response, _next: NextFunction) => {
  const { status, headers, ...body } = httpError(error) // 413 and 415 instead of 500
  res.status(status).set(headers).json(body)
})
// #endregion
