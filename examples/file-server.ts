import { createServer } from 'node:http'
import { defaultStorage } from 'stowage'
import { createFileHandler, serveFile, toNodeListener } from 'stowage/http'

/** Answers the addresses that `signedUrl` and `signedUpload` give out, and no others. */
export const files = createFileHandler(defaultStorage, { basePath: '/uploads/' })

/** As a server of its own. In Express: `app.use(toNodeListener(files))`. */
export const server = createServer(toNodeListener(files))

/** One file after a check of your own: in Hono, Next, Remix and all others that have `Request` and `Response`. */
export async function report(request: Request, mayRead: boolean): Promise<Response> {
  if (!mayRead) return new Response('Not for you.', { status: 403 })
  return serveFile(defaultStorage, 'reports/2026.pdf', request, { download: true })
}
