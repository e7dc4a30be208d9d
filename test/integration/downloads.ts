/** Downloads over HTTP whose clients leave at a random moment. */
import { once } from 'node:events'
import { createServer, get, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Storage, StoredFile } from 'stowage'

/** More than any buffer on the way takes. */
export const CONTENT = Buffer.alloc(8 * 1024 * 1024, 'content ')

/** Waits for a client that takes no more, which may have left for good. */
async function write(response: ServerResponse, chunk: Uint8Array): Promise<void> {
  if (!response.write(chunk)) await new Promise<void>((resolve) => response.once('drain', resolve))
}

/** How applications send files. Only `pipeline` notices that its client has left. */
export const WAYS: readonly ((file: StoredFile, response: ServerResponse) => unknown)[] = [
  (file, response) => file.stream().pipe(response),
  (file, response) => pipeline(file.stream(), response, () => {}),
  async (file, response) => {
    for await (const chunk of file) await write(response, chunk)
    response.end()
  },
  async (file, response) => {
    for await (const chunk of file.webStream()) await write(response, chunk)
    response.end()
  },
]

export interface Departures {
  readonly clients: number
  /** Milliseconds in which each client comes, and from then on those in which it leaves. */
  readonly within: number
}

/** Serves a file to clients that leave. Tells how long other calls waited at the most, in milliseconds. */
export async function leaveEarly(
  storage: Storage,
  name: string,
  { clients, within }: Departures,
): Promise<number> {
  let served = 0
  const failures: unknown[] = []
  const server = createServer(async (_, response) => {
    response.on('error', () => {})
    const way = WAYS[served++ % WAYS.length]
    try {
      await way?.(await storage.open(name), response)
    } catch (error) {
      failures.push(error)
      response.destroy()
    }
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  let over = false
  let longest = 0
  const others = (async () => {
    while (!over) {
      const begun = performance.now()
      await storage.exists(name)
      longest = Math.max(longest, performance.now() - begun)
      await sleep(5)
    }
  })()
  await Promise.all(
    Array.from({ length: clients }, async () => {
      await sleep(Math.random() * within)
      const request = get({ port, host: '127.0.0.1', agent: false })
      request.on('error', () => {})
      request.on('response', (response) => {
        response.once('data', () => response.pause())
        response.on('error', () => {})
      })
      await sleep(Math.random() * within)
      request.destroy()
    }),
  )
  // Those whose request was on its way when the client left are served as well.
  await sleep(500)
  over = true
  await others
  server.closeAllConnections()
  server.close()
  const [failure] = failures
  if (failure !== undefined) throw failure
  return longest
}
