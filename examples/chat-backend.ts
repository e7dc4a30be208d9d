/** The backend of a chat: documents, voice notes and profile pictures. Every file is private. */
import express, { type NextFunction, type Request, type Response } from 'express'
import { chatUploadRules, defaultStorage, documentPath, userAvatarPath, voiceNotePath } from 'stowage'
import { createFileHandler, httpError, receiveUpload, serveFile, toNodeListener } from 'stowage/http'
import { members, signedIn } from './frameworks/may-enter.js' // your own checks: a member of the room, a user

const avatars = new Map<string, string>() // stands for your database: the name of each user's picture

export const app = express()
app.use(toNodeListener(createFileHandler(defaultStorage))) // answers signed addresses; on R2 the bucket does
app.use('/rooms/:room', members)

const send = (name: string, req: Request, res: Response) =>
  toNodeListener((request) => serveFile(defaultStorage, name, request))(req, res)

app.post('/rooms/:room/documents', async (req, res) => {
  const name = ({ filename }: { filename: string }) => documentPath(req.params.room, filename)
  const { files } = await receiveUpload(defaultStorage, req, { ...chatUploadRules, name })
  res.status(201).json({ name: files[0].name, url: await defaultStorage.signedUrl(files[0].name) })
})
app.get('/rooms/:room/documents/:filename', (req, res) =>
  send(documentPath(req.params.room, req.params.filename), req, res),
)
app.delete('/rooms/:room/documents/:filename', async (req, res) => {
  await defaultStorage.delete(documentPath(req.params.room, req.params.filename))
  res.sendStatus(204)
})

app.post('/rooms/:room/voice-notes', async (req, res) => {
  const name = ({ filename }: { filename: string }) => voiceNotePath(req.params.room, filename)
  const rules = { maxSize: 10 * 1024 * 1024, allowedTypes: ['audio/*'] }
  const { files } = await receiveUpload(defaultStorage, req, { ...rules, name })
  res.status(201).json({ name: files[0].name, url: await defaultStorage.signedUrl(files[0].name) })
})
app.get('/rooms/:room/voice-notes/:filename', (req, res) =>
  send(voiceNotePath(req.params.room, req.params.filename), req, res),
)

app.post('/users/me/avatar', signedIn, async (req, res) => {
  const { user } = res.locals
  const name = ({ filename }: { filename: string }) => userAvatarPath(user, filename)
  const rules = { maxSize: 2 * 1024 * 1024, allowedTypes: ['image/png', 'image/jpeg'] }
  const { files } = await receiveUpload(defaultStorage, req, { ...rules, name, ifExists: 'overwrite' })
  const before = avatars.get(user)
  avatars.set(user, files[0].name)
  if (before !== undefined && before !== files[0].name) await defaultStorage.delete(before) // 7.png, now 7.jpg
  res.status(201).json({ name: files[0].name })
})
app.get('/users/:user/avatar', signedIn, (req: Request<{ user: string }>, res) =>
  send(avatars.get(req.params.user) ?? 'user_avatars/nobody.png', req, res),
)

app.use((error: unknown, _req: Request, res: Response, _next: NextFunction) => {
  const { status, headers, ...body } = httpError(error) // 413, 415, 503, 507, …
  res.status(status).set(headers).json(body)
})

if (process.argv[1] === import.meta.filename) app.listen(process.env.PORT ?? 3000)
