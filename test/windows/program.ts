/** `program.mjs RESULT BACKEND…` runs all conformance cases on each backend, and writes a line of JSON for each. */
import { appendFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { FileSystemStorage, MemoryStorage, type Storage } from 'stowage'
import { conformanceCases } from 'stowage/testing'
import { windowsCases } from './cases.js'

const BACKENDS: Readonly<Record<string, (location: string) => Storage>> = {
  memory: () => new MemoryStorage(),
  disk: (location) => new FileSystemStorage({ location }),
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
    run: (location) => run({ makeStorage: async () => makeStorage(location()), signedUrls: 'unsupported' }),
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
