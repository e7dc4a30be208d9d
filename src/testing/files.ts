import type { Storage } from '../storage.js'

/** Saves a file under each name, its own name as the content; many at a time, since there may be thousands. */
export async function saveAll(storage: Storage, names: readonly string[]): Promise<void> {
  const queue = names.values()
  const worker = async () => {
    for (const name of queue) await storage.save(name, name, { ifExists: 'error' })
  }
  await Promise.all(Array.from({ length: Math.min(32, names.length) }, worker))
}
