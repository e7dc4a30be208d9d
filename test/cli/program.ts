/** The command line as a real process: piped, and in a terminal. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { copyFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { spawn as spawnTerminal } from '@lydell/node-pty'
import { FileSystemStorage, R2Storage } from 'stowage'
import { build } from 'tsup'
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest'
import { AS_R2, optionsOf, type StrictR2, type StrictR2Options, startStrictR2 } from '../servers/r2.js'
import { environmentOf } from './ended.js'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** What a process left. */
export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface Setting {
  readonly cwd?: string
  /** All variables besides `PATH`. */
  readonly env?: Readonly<Record<string, string>>
  readonly input?: string | Uint8Array
}

/** A build of the command line, for one test file. */
export class Program {
  readonly #folder: string

  private constructor(folder: string) {
    this.#folder = folder
  }

  /** Other packages are found in the project, so the build is inside it. */
  static async build(): Promise<Program> {
    const folder = await mkdtemp(join(root, 'node_modules', '.stowage-cli-'))
    await build({
      entry: { cli: join(root, 'src/cli.ts') },
      outDir: join(folder, 'dist'),
      format: ['esm'],
      target: 'node20',
      config: false,
      silent: true,
      dts: false,
      clean: false,
      splitting: true,
      skipNodeModulesBundle: true,
    })
    await copyFile(join(root, 'package.json'), join(folder, 'package.json')) // With the version.
    return new Program(folder)
  }

  get path(): string {
    return join(this.#folder, 'dist', 'cli.js')
  }

  /** Starts it with pipes. */
  start(args: readonly string[], { cwd = tmpdir(), env = {} }: Setting = {}) {
    return spawn(process.execPath, [this.path, ...args], { cwd, env: { PATH: process.env.PATH, ...env } })
  }

  /** Runs it to its end with pipes. */
  async run(args: readonly string[], setting: Setting = {}): Promise<Ended> {
    const child = this.start(args, setting)
    child.stdin.on('error', () => {}) // It may end before it has read everything.
    child.stdin.end(setting.input ?? '')
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
    const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), ended])
    return { code, stdout, stderr }
  }

  /** Starts it in a terminal. `screen()` is everything that was written, with its control sequences. */
  startInTerminal(
    args: readonly string[],
    { cwd = tmpdir(), env = {}, columns = 80 }: Setting & { columns?: number } = {},
  ) {
    const terminal = spawnTerminal(process.execPath, [this.path, ...args], {
      cols: columns,
      rows: 24,
      cwd,
      env: { PATH: process.env.PATH, TERM: 'xterm-256color', ...env },
    })
    let screen = ''
    terminal.onData((data) => {
      screen += data
    })
    const ended = new Promise<number>((resolve) => terminal.onExit(({ exitCode }) => resolve(exitCode)))
    /** Waits until a text is on the screen. */
    const shows = async (text: string) => {
      while (!screen.includes(text)) {
        const hasEnded = await Promise.race([ended.then(() => true), setTimeout(20, false)])
        assert.ok(!hasEnded || screen.includes(text), `it has ended without "${text}":\n${screen}`)
      }
    }
    return { terminal, screen: () => screen, ended, shows }
  }

  async remove(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true })
  }
}

/** A build for a test file, and for each test an empty working folder and the storage that the command line uses there. */
export interface Place {
  program: Program
  cwd: string
  disk: FileSystemStorage
  /** Runs it in the folder. */
  run(args: readonly string[], setting?: Setting): Promise<Ended>
}

/** Sets the hooks of a test file. The fields are there in its tests. */
export function usePlace(): Place {
  const place = {
    run: (args: readonly string[], setting?: Setting) =>
      place.program.run(args, { cwd: place.cwd, ...setting }),
  } as Place // The hooks make the rest.
  beforeAll(async () => {
    place.program = await Program.build()
  })
  afterAll(() => place.program.remove())
  beforeEach(async () => {
    place.cwd = await mkdtemp(join(tmpdir(), 'stowage-cli-'))
    place.disk = new FileSystemStorage({ location: join(place.cwd, 'uploads'), fsync: false })
  })
  afterEach(() => rm(place.cwd, { recursive: true, force: true }))
  return place
}

/** The strict stand-in for R2 of a test file, empty in each test. */
export interface Server {
  readonly server: StrictR2
  /** The variables of its bucket. */
  readonly env: ReturnType<typeof environmentOf>
  /** Its bucket. */
  storage(): R2Storage
}

/** Sets the hooks of a test file. The fields are there in its tests. */
export function useServer(options: StrictR2Options = {}): Server {
  let server: StrictR2
  beforeAll(async () => {
    server = await startStrictR2(options)
  })
  afterAll(() => server.stop())
  beforeEach(() => server.reset())
  return {
    get server() {
      return server
    },
    get env() {
      return environmentOf(server)
    },
    storage: () => new R2Storage({ ...optionsOf(server), ...AS_R2, bucket: 'test-bucket' }),
  }
}

/** The content of a stored file. */
export async function textOf(storage: { open: FileSystemStorage['open'] }, name: string): Promise<string> {
  return (await storage.open(name)).text()
}

/** The records of `--json`. */
export function recordsOf(lines: string) {
  return lines
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))
}
