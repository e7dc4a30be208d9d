import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Storage } from 'stowage'
import { createFileHandler, type Handler, toNodeListener } from 'stowage/http'

/** Serves the signed addresses of any number of storages. */
export interface FileServer {
  /** Makes a storage whose addresses lead here. `id` is its own. */
  serve(makeStorage: (baseUrl: string, id: string) => Storage): Storage
  stop(): Promise<void>
}

export async function startFileServer(): Promise<FileServer> {
  const handlers = new Map<string, Handler>()
  // Longer than a client keeps a connection: one that is closed just when it is used again fails the request.
  const server = createServer(
    { keepAliveTimeout: 60_000 },
    toNodeListener(async (request) => {
      const [, id = ''] = new URL(request.url).pathname.split('/')
      return handlers.get(id)?.(request)
    }),
  )
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo // It listens on TCP.
  return {
    serve(makeStorage) {
      const id = `${handlers.size + 1}`
      const storage = makeStorage(`http://127.0.0.1:${port}/${id}/`, id)
      handlers.set(id, createFileHandler(storage, { basePath: `/${id}/` }))
      return storage
    },
    async stop() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
