/** Runs all conformance cases on the backends named by its arguments, and prints a line of JSON for each. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FileSystemStorage, MemoryStorage, type Storage } from 'stowage'
import { conformanceCases } from 'stowage/testing'

const BACKENDS: Readonly<Record<string, (location: string) => Storage>> = {
  memory: () => new MemoryStorage(),
  disk: (location) => new FileSystemStorage({ location }),
}

/** Cases that run side by side. */
const CONCURRENCY = 8

async function run(backend: string): Promise<void> {
  const makeStorage = BACKENDS[backend]
  if (!makeStorage) throw new Error(`there is no backend ${backend}`)
  const root = await mkdtemp(join(tmpdir(), 'stowage-'))
  const failures: { name: string; message: string }[] = []
  const start = Date.now()
  let folders = 0
  const queue = conformanceCases.values()
  const worker = async () => {
    for (const { name, run } of queue) {
      if (process.env.ONLY && !name.includes(process.env.ONLY)) continue
      const harness = {
        makeStorage: async () => makeStorage(join(root, `${++folders}`)),
        signedUrls: 'unsupported',
      } as const
      await run(harness).catch((error: unknown) => {
        failures.push({
          name,
          message:
            error instanceof Error
              ? `${error.message}${process.env.STACK ? `\n${error.stack}${error.cause instanceof Error ? error.cause.stack : ''}` : ''}`
              : String(error),
        })
      })
    }
  }
  await Promise.all(Array.from({ length: CONCURRENCY }, worker))
  await rm(root, { recursive: true, maxRetries: 5 })
  const { platform, version } = process
  console.log(
    JSON.stringify({
      backend,
      platform,
      version,
      cases: conformanceCases.length,
      failures,
      ms: Date.now() - start,
    }),
  )
}

for (const backend of process.argv.slice(2)) await run(backend)
