import type { Storage } from '../index.js'
import type { Cli } from './cli.js'

/** Writes the content of a file to standard output. */
export async function writeContent({ terminal, signal }: Cli, storage: Storage, name: string): Promise<void> {
  const file = await storage.open(name, { signal })
  for await (const chunk of file) await terminal.write(chunk)
}
