/** The same for compilers and types of Node that are years old: no types of `fetch`, and no `Buffer<ArrayBuffer>`. */
import { createReadStream } from 'node:fs'
import { isStorageError, R2Storage, type Storage, type StoredFile } from 'stowage'
import { conformanceCases } from 'stowage/testing'

export async function use(storage: Storage): Promise<unknown> {
  const name: string = await storage.save('b.txt', createReadStream('b.txt'), { contentType: 'text/plain' })
  const file: StoredFile = await storage.open(name)
  const bytes: Buffer = await file.bytes()
  for await (const { size } of storage.list()) if (size > 1) await storage.delete(name)
  // @ts-expect-error There is no such option. This also fails where the types of the package are not found.
  await storage.save('a.txt', 'hello', { ifExist: 'error' })
  // @ts-expect-error A bucket is needed.
  const error: unknown = new R2Storage({})
  return isStorageError(error) ? error.code : [bytes, conformanceCases.length]
}
