/** Starts the {@link Job}s of writer.ts, and looks at what they left. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Storage } from 'stowage'
import { bundle } from '../../integration/child/bundle.js'
import { type Version, versionAt } from '../version.js'
import type { Change, Job, Told } from './writer.js'

export function bundleWriter(): Promise<string> {
  return bundle(new URL('./writer.ts', import.meta.url))
}

export interface Writer {
  readonly process: ChildProcess
  /** Every line, as it comes. */
  onTold(listener: (told: Told | Change) => void): void
  /** How it ended: by which signal, with what on stderr. All lines have come by then. */
  readonly end: Promise<{ signal: string | null; errors: string }>
}

export function start(program: string, job: Job): Writer {
  const child = spawn(process.execPath, [program, JSON.stringify(job)], { stdio: ['ignore', 'pipe', 'pipe'] })
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text
  })
  const lines = createInterface(child.stdout)
  const end = Promise.all([once(child, 'close'), once(lines, 'close')]).then(([[, signal]]) => ({
    signal,
    errors,
  }))
  return {
    process: child,
    onTold(listener) {
      lines.on('line', (line) => {
        // The last line may be cut in two by the kill; what it was about to say was not said.
        if (line.endsWith('}')) listener(JSON.parse(line))
      })
    },
    end,
  }
}

/** Everything that is to be seen: by `list`, which must show no other names, and by `open` and `stat`. */
export async function look(storage: Storage): Promise<Map<string, Version>> {
  const found = new Map<string, Version>()
  for await (const { name } of storage.list()) {
    const version = await versionAt(storage, name)
    if (version === null) throw new Error(`${name} is listed and not there`)
    found.set(name, version)
  }
  return found
}
