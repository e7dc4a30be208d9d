// A child of serve.mjs: one contestant serves the files of a folder. Answers 'start' and 'end' with its CPU time in microseconds.
// node serve-server.mjs <contestant> <folder>
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import http from 'node:http'
import { pathToFileURL } from 'node:url'
import { dist, stowage } from './stowage.mjs'

const [, , contestant, location] = process.argv

/** Connections stay open between the turns. */
const onNode = (listener) => {
  const server = http.createServer({ keepAliveTimeout: 0 }, listener)
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server.address().port)))
}

const CONTESTANTS = {
  /** The least that a server of files does: no conditions, no ranges, no checks of the path. */
  floor: () =>
    onNode(async (request, response) => {
      const path = location + request.url
      const { size, mtime } = await stat(path)
      response.writeHead(200, {
        'content-type': 'application/octet-stream',
        'content-length': size,
        'last-modified': mtime.toUTCString(),
      })
      createReadStream(path).pipe(response)
    }),
  async stowage() {
    const { FileSystemStorage } = await stowage()
    const { serveFile, toNodeListener } = await import(pathToFileURL(`${dist}/http.js`).href)
    const storage = new FileSystemStorage({ location })
    return onNode(
      toNodeListener((request) => serveFile(storage, new URL(request.url).pathname.slice(1), request)),
    )
  },
  async 'stowage handler'() {
    const { FileSystemStorage } = await stowage()
    const { createFileHandler, toNodeListener } = await import(pathToFileURL(`${dist}/http.js`).href)
    const storage = new FileSystemStorage({ location, baseUrl: '/' })
    return onNode(toNodeListener(createFileHandler(storage, { basePath: '/', access: 'public' })))
  },
  async send() {
    const { default: send } = await import('send')
    return onNode((request, response) => send(request, request.url, { root: location }).pipe(response))
  },
  async 'express.static'() {
    const { default: express } = await import('express')
    return onNode(express().use(express.static(location)))
  },
  async '@fastify/static'() {
    const { default: fastify } = await import('fastify')
    const { default: files } = await import('@fastify/static')
    const app = fastify({ keepAliveTimeout: 0 })
    await app.register(files, { root: location })
    return Number(new URL(await app.listen({ port: 0, host: '127.0.0.1' })).port)
  },
}

const port = await CONTESTANTS[contestant]()
process.on('message', (when) => {
  // Nobody pays for the garbage of the round before.
  if (when === 'start') globalThis.gc?.()
  const { user, system } = process.cpuUsage()
  process.send({ cpu: user + system })
})
process.on('disconnect', () => process.exit())
process.send({ port })
