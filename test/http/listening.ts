import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { createServer } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Storage } from 'stowage'
import { createFileHandler, type FileHandlerOptions, toNodeListener } from 'stowage/http'
import { onTestFinished } from 'vitest'

/** A handler on a real port of `node:http`, and its address. */
export async function listening(storage: Storage, options: FileHandlerOptions): Promise<string> {
  // On a busy machine a client may come back to a connection late.
  const server = createServer({ keepAliveTimeout: 0 }, toNodeListener(createFileHandler(storage, options)))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** A connection without any client's help. A reset is an end like any other. */
export async function socketTo(address: string): Promise<Socket> {
  const socket = connect(Number(new URL(address).port), '127.0.0.1')
  await once(socket, 'connect')
  socket.on('error', () => {})
  return socket
}

/**
 * Everything that comes until the server closes the connection. The client keeps its half open, because Node drops the
 * answer to one that closes it early. `leaves` closes it after the request, where the server would wait for more.
 */
export async function answerTo(
  address: string,
  request: string | Buffer,
  { leaves = false } = {},
): Promise<string> {
  const socket = await socketTo(address)
  const chunks: Buffer[] = []
  socket.on('data', (chunk) => chunks.push(chunk))
  const closed = once(socket, 'close')
  if (leaves) socket.end(request)
  else socket.write(request)
  await closed
  return Buffer.concat(chunks).toString('latin1')
}

/** The statuses of all answers in what a connection gave. */
export function statusesOf(text: string): number[] {
  return [...text.matchAll(/^HTTP\/1\.1 (\d{3}) /gm)].map(([, status]) => Number(status))
}

export async function openDescriptors(): Promise<number> {
  return (await readdir('/proc/self/fd')).length
}

/** Polls until a condition holds. The time limit of the test ends it otherwise. */
export async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await sleep(20)
}
