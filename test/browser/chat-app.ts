/** The chat of examples/chat as a process of its own, as `npm start` runs it. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))
const program = join(root, 'examples', 'chat', 'server.ts')

export interface ChatApp {
  /** `http://127.0.0.1:` and a free port. */
  readonly address: string
  /** The folder of the files, where they are on the disk. */
  readonly mediaRoot: string
  /** Ends the process, and leaves its files. */
  halt(): Promise<void>
  stop(): Promise<void>
}

/** Starts the chat on the disk, or on what `variables` select. */
export async function startChat(variables: Readonly<Record<string, string>> = {}): Promise<ChatApp> {
  const folder = await mkdtemp(join(tmpdir(), 'stowage-chat-'))
  const mediaRoot = variables.MEDIA_ROOT ?? join(folder, 'media')
  const { PATH = '' } = process.env
  const server = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), program], {
    cwd: folder,
    env: {
      PATH,
      PORT: '0',
      MEDIA_ROOT: mediaRoot,
      TSX_TSCONFIG_PATH: join(root, 'tsconfig.json'),
      ...variables,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let errors = ''
  server.stderr.on('data', (chunk) => {
    errors += chunk
  })
  const gone = once(server, 'exit')
  for await (const line of createInterface(server.stdout)) {
    const [address] = /http:\/\/127\.0\.0\.1:\d+/.exec(line) ?? []
    if (address === undefined) continue
    const halt = async () => {
      server.kill()
      await gone
    }
    const stop = async () => {
      await halt()
      await rm(folder, { recursive: true, force: true })
    }
    return { address, mediaRoot, halt, stop }
  }
  throw new Error(`the chat did not start:\n${errors}`)
}
