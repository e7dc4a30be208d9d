/** What applications write, as the compiler sees it: with the DOM's types, and with Node's alone. */
import { createReadStream } from 'node:fs'
import {
  defaultStorage,
  isStorageError,
  MemoryStorage,
  R2Storage,
  type SaveOptions,
  type Storage,
  type StorageErrorCode,
  type StoredFile,
} from 'stowage'
import { type ConformanceHarness, conformanceCases } from 'stowage/testing'

export async function answers(storage: Storage): Promise<unknown[]> {
  const open = (): Promise<StoredFile> => storage.open('a.txt')
  const bytes = await (await open()).bytes()
  const buffer: Buffer = await (await open()).read()
  for await (const chunk of await open()) buffer.set(chunk)
  return [
    new Response(bytes),
    new Response(await (await open()).read()),
    new Response(await (await open()).arrayBuffer()),
    new Response(await (await open()).blob()),
    new Response((await open()).webStream()),
    new Blob([bytes]),
    await fetch('https://example.com', { method: 'PUT', body: bytes }),
    await crypto.subtle.digest('SHA-256', bytes),
  ]
}

export async function uploads(storage: Storage, request: Request): Promise<void> {
  const options: SaveOptions = {
    ifExists: 'error',
    signal: AbortSignal.timeout(1000),
    metadata: { by: 'me' },
  }
  if (request.body) await storage.save('a.txt', request.body, options)
  await storage.save('a.txt', await request.arrayBuffer())
  await storage.save('a.txt', await request.blob())
  const file = (await request.formData()).get('file')
  if (file && typeof file !== 'string') await storage.save(file.name, file)
  await storage.save('b.txt', createReadStream('b.txt'))
  await storage.save('c.txt', await storage.open('b.txt'))
  const sent = await fetch('https://example.com')
  if (sent.body) await storage.save('d.txt', sent.body)
}

export async function mistakes(storage: Storage = defaultStorage): Promise<StorageErrorCode | undefined> {
  const harness: ConformanceHarness = {
    makeStorage: async () => new MemoryStorage(),
    signedUrls: 'unsupported',
  }
  for (const { run } of conformanceCases) await run(harness)
  // @ts-expect-error There is no such option. This also fails where the types of the package are not found.
  await storage.save('a.txt', 'hello', { ifExist: 'error' })
  // @ts-expect-error A bucket is needed.
  const error: unknown = new R2Storage({})
  return isStorageError(error) ? error.code : undefined
}
