import { randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { serve } from '@hono/node-server'
import { serveStatic } from '@hono/node-server/serve-static'
import { Hono } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { getCookie, setCookie } from 'hono/cookie'
import { HTTPException } from 'hono/http-exception'
import { secureHeaders } from 'hono/secure-headers'
import { streamSSE } from 'hono/streaming'
import {
  aiSpeechPath,
  chatUploadPath,
  chatUploadRules,
  documentPath,
  defaultStorage as storage,
  userAvatarPath,
  voiceNotePath,
} from 'stowage'
import { createFileHandler, errorResponse, receiveUpload, serveFile } from 'stowage/http'
import { bodyOf, recordingOf, textOf, userOf } from './input.js'
import { roomOf } from './room.js'
import { speak, waveOf } from './speech.js'

const app = new Hono()

// On disk, signed addresses lead to this handler. On R2 they lead to R2, past this server.
const files = createFileHandler(storage)
app.use('/uploads/*', async (c, next) => (await files(c.req.raw)) ?? next())

// The page may load from here and from the storage, and from nowhere else.
const { origin } = new URL(await storage.signedUrl('any'), 'http://this.invalid')
const sources = origin === 'http://this.invalid' ? ["'self'"] : ["'self'", origin]
const contentSecurityPolicy = {
  defaultSrc: ["'none'"],
  scriptSrc: ["'self'"],
  styleSrc: ["'self'"],
  imgSrc: [...sources, 'blob:'],
  mediaSrc: sources,
  connectSrc: sources,
  baseUri: ["'none'"],
  formAction: ["'none'"],
  frameAncestors: ["'none'"],
}
app.use(secureHeaders({ contentSecurityPolicy, strictTransportSecurity: false }))

const page = fileURLToPath(new URL('public', import.meta.url))
app.get('/', (c) => c.redirect('/rooms/lobby/'))
app.get('/:file{[a-z]+\\.[a-z]+}', serveStatic({ root: page }))
app.get('/avatars/:user{[0-9a-f]{16}}', (c) =>
  serveFile(storage, userAvatarPath(c.req.param('user'), 'avatar.jpg'), c.req.raw),
)

const ROOM = '/rooms/:room{[a-z0-9][a-z0-9-]{0,39}}'
const room = app.basePath(ROOM)
const small = bodyLimit({ maxSize: 16 * 1024 })

app.get(ROOM, (c) => c.redirect(`${c.req.path}/`))
app.get(`${ROOM}/`, async (c, next) => {
  // There is no login here: whoever comes with the cookie is the same user as before.
  const key = getCookie(c, 'user') ?? randomUUID()
  setCookie(c, 'user', key, { httpOnly: true, sameSite: 'Strict', maxAge: 365 * 86_400 })
  return serveStatic({ root: page, path: 'index.html' })(c, next)
})

room.get('/events', async (c) => {
  const user = userOf(c)
  const room = await roomOf(c.req.param('room'))
  if (!room.people[user]) {
    const hasAvatar = await storage.exists(userAvatarPath(user, 'avatar.jpg'))
    await room.meet(user, { name: `Guest ${user.slice(0, 4)}`, avatar: hasAvatar ? 1 : 0 })
  }
  return streamSSE(c, async (stream) => {
    const send = (event: string, data: unknown) => stream.writeSSE({ event, data: JSON.stringify(data) })
    stream.onAbort(room.join(send))
    const { people, messages } = room
    await send('room', { me: user, people, messages, maxSize: chatUploadRules.maxSize })
    while (!stream.aborted) {
      await stream.sleep(20_000)
      await stream.write(': still here\n\n')
    }
  })
})

room.post('/messages', small, async (c) => {
  const body = await bodyOf(c)
  const spoken = body.spoken === true
  const text = textOf(body.text, spoken ? 200 : 4000)
  const room = await roomOf(c.req.param('room'))
  return c.json(await room.add(userOf(c), spoken ? { text, spoken, wave: waveOf(text) } : { text }), 201)
})

// By form: the file goes through this server, and is judged while it streams into the storage.
room.post('/files', async (c) => {
  const id = c.req.param('room')
  const user = userOf(c)
  const { files, fields } = await receiveUpload(storage, c.req.raw, {
    ...chatUploadRules,
    name: ({ filename, fields }) => (fields.wave ? voiceNotePath(id, filename) : documentPath(id, filename)),
    metadata: { user },
  })
  const room = await roomOf(id)
  for (const file of files) await room.add(user, { file, ...recordingOf(fields) })
  return c.json(files, 201)
})

// Direct: the browser asks where to send a file, sends it to the storage, and comes back to have it accepted.
room.post('/uploads', small, async (c) => {
  const { filename, size, type: contentType } = await bodyOf(c)
  const { maxSize, allowedTypes } = chatUploadRules
  const user = userOf(c)
  if (typeof size !== 'number' || size > maxSize) throw new HTTPException(413)
  if (typeof contentType !== 'string' || !allowedTypes.includes(contentType)) throw new HTTPException(415)
  const name = chatUploadPath(textOf(filename, 255))
  return c.json(await storage.signedUpload(name, { size, contentType, expiresIn: 600, metadata: { user } }))
})

room.post('/uploads/accept', small, async (c) => {
  const body = await bodyOf(c)
  const upload = textOf(body.name, 1024)
  const filename = textOf(body.filename, 255)
  // Not any name: it could be a file of another room.
  if (!/^chat_uploads\/[\w.-]+$/.test(upload)) throw new HTTPException(400)
  const id = c.req.param('room')
  const name = await storage.accept(upload, documentPath(id, filename), chatUploadRules)
  const file = { ...(await storage.stat(name)), filename }
  return c.json(await (await roomOf(id)).add(userOf(c), { file }), 201)
})

// A file of a message. An application with users asks here who may read it. The address that the browser is sent to
// stays the same for an hour, so that its cache works.
room.get('/files/:id', async (c) => {
  const message = (await roomOf(c.req.param('room'))).find(c.req.param('id'))
  if (!message?.file) return c.notFound()
  c.header('cache-control', 'no-store')
  return c.redirect(await storage.signedUrl(message.file.name, { expiresIn: 3600, stableFor: 3600 }))
})

const speaking = new Map<string, Promise<void>>()

// The first one to listen hears the speech while it is made and stored; the others hear what is stored.
room.get('/speech/:id', async (c) => {
  const id = c.req.param('id')
  const room = await roomOf(c.req.param('room'))
  const message = room.find(id)
  if (!message?.text || !message.spoken) return c.notFound()
  await speaking.get(id)
  if (message.file) return c.redirect(`../files/${id}`)
  // A voice service sends MP3; this one makes WAV.
  const path = aiSpeechPath(c.req.param('room'), id).replace(/mp3$/, 'wav')
  const contentType = 'audio/wav'
  const { stream, saved } = storage.tee(path, speak(message.text), { contentType, ifExists: 'overwrite' })
  const stored = saved.then(async (name) => {
    await room.attach(message, { ...(await storage.stat(name)), filename: 'Speech.wav' })
  })
  speaking.set(
    id,
    stored.catch(console.error).finally(() => speaking.delete(id)),
  )
  c.header('content-type', contentType)
  c.header('cache-control', 'no-store')
  return c.body(Readable.toWeb(stream) as ReadableStream)
})

// The page sends a square JPEG: a user has one picture, and a new one replaces it.
room.post('/me', async (c) => {
  const user = userOf(c)
  const { fields } = await receiveUpload(storage, c.req.raw, {
    name: () => userAvatarPath(user, 'avatar.jpg'),
    ifExists: 'overwrite',
    maxSize: 1024 * 1024,
    allowedTypes: ['image/jpeg'],
  })
  await (await roomOf(c.req.param('room'))).meet(user, {
    name: textOf(fields.name?.[0], 40),
    avatar: Date.now(),
  })
  return c.body(null, 204)
})

app.onError((error) => {
  if (error instanceof HTTPException) return error.getResponse()
  const response = errorResponse(error)
  if (response.status >= 500) console.error(error)
  return response
})

const port = Number(process.env.PORT ?? 3000)
const hostname = process.env.HOST ?? '127.0.0.1'
serve({ fetch: app.fetch, port, hostname }, ({ port }) => {
  console.log(`The chat is at http://${hostname}:${port}/ and keeps its files in ${storage}`)
})
