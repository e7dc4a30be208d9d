/** The strict R2 stand-in in a process of its own. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

export interface ServerProcess extends AsyncDisposable {
  readonly keys: { endpoint: string; accessKeyId: string; secretAccessKey: string }
}

export async function startServer(options: { discardBodiesOver?: number }): Promise<ServerProcess> {
  const file = fileURLToPath(new URL('../../servers/r2-process.ts', import.meta.url))
  const args = ['--import', 'tsx', file, JSON.stringify(options)]
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  const [line] = await once(createInterface(child.stdout), 'line')
  const { endpoint, accessKeyId, secretAccessKey } = JSON.parse(String(line))
  return {
    keys: { endpoint, accessKeyId, secretAccessKey },
    async [Symbol.asyncDispose]() {
      child.kill()
      await once(child, 'close')
    },
  }
}
