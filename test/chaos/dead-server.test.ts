import { readdir } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { isStorageError, R2Storage, type Storage } from 'stowage'
import { describe, expect, it } from 'vitest'
import { startStrictR2 } from '../servers/r2.js'
import { report } from './figures.js'
import { FORM } from './form.js'

const MIB = 1024 * 1024
const WAITING = FORM === 'quick' ? 1_000 : 10_000
const TIMES = { connectTimeout: 500, idleTimeout: 500, retryTimeout: 2_000, maxAttempts: 3 }
/**
 * The last attempt begins before `retryTimeout` is over; an unsure create-only save asks once more whose the file is.
 * The rest is what this machine needs to get so many timers and errors done.
 */
const DEADLINE = 2 * (TIMES.retryTimeout + TIMES.connectTimeout + TIMES.idleTimeout) + 10_000
const KEYS = { accessKeyId: 'id', secretAccessKey: 'secret', bucket: 'test-bucket' }

const METHODS: readonly ((storage: Storage, index: number) => Promise<unknown>)[] = [
  (storage, index) => storage.save(`${index}.txt`, 'x'),
  (storage, index) => storage.save(`${index}.txt`, 'x', { ifExists: 'overwrite' }),
  (storage, index) => storage.open(`${index}.txt`),
  (storage, index) => storage.exists(`${index}.txt`),
  (storage, index) => storage.delete(`${index}.txt`),
  (storage, index) => storage.deleteMany([`${index}.txt`, 'b.txt']),
  (storage) => storage.listdir(),
  (storage, index) => storage.copy(`${index}.txt`, 'b.txt'),
]

/** A server that takes connections and never says a word; or, closed at once, one that refuses them. */
async function deadServer(refuses: boolean) {
  const sockets = new Set<Socket>()
  const server: Server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {}).resume()
    socket.once('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const stop = async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  }
  if (refuses) await stop()
  return { endpoint: `http://127.0.0.1:${address.port}`, sockets, stop: refuses ? async () => {} : stop }
}

setFlagsFromString('--expose-gc')
const collect: () => void = runInNewContext('gc')

async function descriptors(): Promise<number> {
  return (await readdir('/proc/self/fd')).length
}

async function settle(measure: () => Promise<number> | number, target: number, ms: number): Promise<number> {
  const end = Date.now() + ms
  for (;;) {
    const value = await measure()
    if (value <= target || Date.now() > end) return value
    await sleep(100)
  }
}

describe.each([true, false])('fastPath %s', (fastPath) => {
  it.each([
    { what: 'takes connections and never answers', refuses: false },
    { what: 'refuses connections', refuses: true },
  ])('ends all that waits for a server that $what', async ({ what, refuses }) => {
    const server = await deadServer(refuses)
    const storage = new R2Storage({ ...KEYS, ...TIMES, endpoint: server.endpoint, fastPath })
    const run = async (count: number) => {
      const outcomes = new Map<string, number>()
      let slowest = 0
      const begun = Date.now()
      const tryOne = async (index: number) => {
        const outcome = await METHODS[index % METHODS.length]?.(storage, index).then(
          () => 'done',
          (error: unknown) => {
            if (!isStorageError(error)) return String(error)
            // Of several names, each has its own error.
            return error.cause !== undefined && isStorageError(error.cause) ? error.cause.code : error.code
          },
        )
        outcomes.set(outcome ?? '', (outcomes.get(outcome ?? '') ?? 0) + 1)
        slowest = Math.max(slowest, Date.now() - begun)
      }
      await Promise.all(Array.from({ length: count }, (_, index) => tryOne(index)))
      return { outcomes, slowest }
    }
    await run(200)
    await sleep(200)
    collect()
    const heapBefore = process.memoryUsage().heapUsed
    const { outcomes, slowest } = await run(WAITING)
    // Requests that still waited for a connection are dropped when they get one.
    const sockets = await settle(() => server.sockets.size, 0, 20_000)
    collect()
    const heap = Math.round((process.memoryUsage().heapUsed - heapBefore) / MIB)
    await server.stop()
    report({
      trial: `A server that ${what}, fast path ${fastPath ? 'on' : 'off'}`,
      tried: `${WAITING} operations waiting at the same time`,
      outcome: `${[...outcomes].map(([how, times]) => `${times} ${how}`).join(', ')}; slowest ${(slowest / 1000).toFixed(1)} s of ${DEADLINE / 1000} s, ${sockets} sockets left, heap ${heap} MiB larger`,
    })
    expect([...outcomes]).toEqual([['Unavailable', WAITING]])
    expect(slowest).toBeLessThan(DEADLINE)
    expect(sockets).toBe(0)
    expect(heap).toBeLessThan(16)
  })

  it('goes on after a pool full of files that were opened and never read', async () => {
    const server = await startStrictR2()
    server.bucket().plant('huge.bin', 64 * MIB)
    server.bucket().plant('small.txt', 'small')
    const before = await descriptors()
    const { endpoint, accessKeyId, secretAccessKey } = server
    const keys = { endpoint, accessKeyId, secretAccessKey, bucket: 'test-bucket' }
    const times = { connectTimeout: 1_000, idleTimeout: 1_000, retryTimeout: 10_000 }
    const storage = new R2Storage({ ...keys, ...times, fastPath, maxConnections: 16 })
    const begun = Date.now()
    const opened = await Promise.allSettled(Array.from({ length: 100 }, () => storage.open('huge.bin')))
    const refused = opened.filter((result) => result.status === 'rejected')
    for (const { reason } of refused) expect(reason).toMatchObject({ code: 'Unavailable', retryable: true })
    const openedMs = Date.now() - begun
    const text = await (await storage.open('small.txt')).text()
    const wait = Date.now() - begun - openedMs
    // Whatever was opened has given its connection back by itself; nobody has closed anything.
    await sleep(1_500)
    const quick = Date.now()
    for (let index = 0; index < 50; index++) await (await storage.open('small.txt')).text()
    const quickMs = Date.now() - quick
    const kept = server.connections
    await server.stop()
    const after = await settle(descriptors, before, 15_000)
    report({
      trial: `Files opened and never read, fast path ${fastPath ? 'on' : 'off'}`,
      tried: '100 handles on 16 connections',
      outcome: `${100 - refused.length} opened in turn, ${refused.length} told to try again; then a read after ${wait} ms, and 50 more in ${quickMs} ms`,
    })
    expect(text).toBe('small')
    expect(wait).toBeLessThan(times.retryTimeout)
    expect(kept).toBeLessThanOrEqual(16)
    expect(after).toBeLessThanOrEqual(before)
  })
})
