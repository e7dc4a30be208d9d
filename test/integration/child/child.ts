/** Runs one of the {@link programs} in a process of its own, or several at the same moment. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll } from 'vitest'
import { bundle, removeBundles } from './bundle.js'
import type { programs } from './programs.js'

type Programs = typeof programs
type Name = keyof Programs
type Argument<N extends Name> = Parameters<Programs[N]>[0]
type Result<N extends Name> = Awaited<ReturnType<Programs[N]>>

export interface Surroundings {
  /** The limit of open files, as by `ulimit -n`. */
  readonly openFiles?: number
}

export interface Child<N extends Name> {
  readonly process: ChildProcess
  /** Lets the program begin; it has loaded its own file by then, the package is loaded by the program. */
  go(): void
  readonly result: Promise<Result<N>>
}

const repository = fileURLToPath(new URL('../../..', import.meta.url))
/** The programs, compiled for the first of them. */
let file: Promise<string> | undefined
afterAll(removeBundles)

/** Starts a process and waits until it is ready to go. Stop it by `process.kill()`, or let it end. */
export async function startChild<N extends Name>(
  name: N,
  argument: Argument<N>,
  { openFiles }: Surroundings = {},
): Promise<Child<N>> {
  file ??= bundle(new URL('./programs.ts', import.meta.url), { splitting: true })
  const node = [process.execPath, await file, name, JSON.stringify(argument)]
  const limited = ['sh', '-c', `ulimit -n ${openFiles} && exec "$@"`, 'sh', ...node]
  const [command = '', ...args] = openFiles === undefined ? node : limited
  const child = spawn(command, args, { cwd: repository, stdio: ['pipe', 'pipe', 'pipe'] })
  child.stdin.on('error', () => {}) // It may be killed before it reads.
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text
  })
  const lines: string[] = []
  const reader = createInterface(child.stdout).on('line', (line) => lines.push(line))
  const ended = once(child, 'close')
  await Promise.race([once(reader, 'line'), ended])
  const result = ended.then(([code, signal]): Result<N> => {
    const last = lines.at(-1)
    if (code !== 0 || last === undefined) throw new Error(`${name} ended by ${signal ?? code}: ${errors}`)
    return JSON.parse(last)
  })
  result.catch(() => {})
  return { process: child, go: () => child.stdin.write('go\n'), result }
}

export async function inChild<N extends Name>(
  name: N,
  argument: Argument<N>,
  surroundings?: Surroundings,
): Promise<Result<N>> {
  const child = await startChild(name, argument, surroundings)
  child.go()
  return child.result
}

/** One process for each argument; they begin together. */
export async function inChildren<N extends Name>(
  name: N,
  args: readonly Argument<N>[],
): Promise<Result<N>[]> {
  const children = await Promise.all(args.map((argument) => startChild(name, argument)))
  for (const child of children) child.go()
  return Promise.all(children.map((child) => child.result))
}
