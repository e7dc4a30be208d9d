/** `program.mjs RESULT BACKEND…` runs all conformance cases on each backend, and writes a line of JSON for each. */
import { appendFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { FileSystemStorage, MemoryStorage, type Storage } from 'stowage'
import { createFileHandler, type Handler } from 'stowage/http'
import { conformanceCases } from 'stowage/testing'
import { windowsCases } from './cases.js'

const BACKENDS: Readonly<Record<string, (location: string, baseUrl: string) => Storage>> = {
  memory: (_, baseUrl) => new MemoryStorage({ baseUrl }),
  disk: (location, baseUrl) => new FileSystemStorage({ location, baseUrl }),
}

const handlers = new Map<string, Handler>()

/** Node for Windows cannot connect to its own machine under Wine, so the handler gets the requests without a network. */
globalThis.fetch = async (input, init) => {
  const request = new Request(input, init)
  const bytes = await request.clone().arrayBuffer()
  if (request.body) request.headers.set('content-length', String(bytes.byteLength))
  const handler = handlers.get(new URL(request.url).host)
  return (await handler?.(request)) ?? new Response(null, { status: 404 })
}

function served(location: string, makeStorage: (location: string, baseUrl: string) => Storage): Storage {
  const host = `${handlers.size + 1}.localhost`
  const storage = makeStorage(location, `http://${host}/uploads/`)
  handlers.set(host, createFileHandler(storage))
  return storage
}

/** Cases that run side by side. */
const CONCURRENCY = 4

interface Case {
  readonly name: string
  run(location: () => string): Promise<void>
}

function casesOf(backend: string): readonly Case[] {
  if (backend === 'windows') return windowsCases
  const makeStorage = BACKENDS[backend]
  if (!makeStorage) throw new Error(`there is no backend ${backend}`)
  return conformanceCases.map(({ name, run }) => ({
    name,
    run: (location) => run({ makeStorage: async () => served(location(), makeStorage), signedUrls: 'http' }),
  }))
}

async function runAll(backend: string): Promise<object> {
  const root = await mkdtemp(join(tmpdir(), 'stowage-'))
  const failures: { name: string; message: string }[] = []
  const start = Date.now()
  let folders = 0
  const all = casesOf(backend).filter(({ name }) => name.includes(process.env.ONLY ?? ''))
  const queue = all.values()
  const worker = async () => {
    for (const { name, run } of queue) {
      try {
        await run(() => join(root, `${++folders}`))
      } catch (error) {
        failures.push({ name, message: inspect(error) })
      }
    }
  }
  await Promise.all(Array.from({ length: CONCURRENCY }, worker))
  await rm(root, { recursive: true, maxRetries: 5 })
  const seconds = Math.round((Date.now() - start) / 1000)
  return { backend, platform: process.platform, node: process.version, cases: all.length, failures, seconds }
}

const [result = '', ...backends] = process.argv.slice(2)
for (const backend of backends) await appendFile(result, `${JSON.stringify(await runAll(backend))}\n`)
