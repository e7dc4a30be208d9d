/** Changes that this process makes to files, one after the other and seen by a test; nothing in the package knows. */
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'

/** Everything of `node:fs` that changes files or folders, or makes changes durable. */
const CALLS = [
  ...[
    'open',
    'close',
    'write',
    'writev',
    'fsync',
    'fdatasync',
    'futimes',
    'utimes',
    'fchmod',
    'chmod',
    'link',
  ],
  ...['unlink', 'rename', 'mkdir', 'rmdir', 'copyFile'],
] as const
/** What the package does not use; should it begin to, this file has to learn it. */
const UNKNOWN = [
  'ftruncate',
  'truncate',
  'writeFile',
  'appendFile',
  'rm',
  'cp',
  'symlink',
  'lutimes',
  'mkdtemp',
]

type Call = (...args: unknown[]) => unknown
type Callback = (error: unknown, result?: unknown) => void

/** Does a call, or not; what it returns or throws is what the caller gets. */
export type Around = (call: string, args: readonly unknown[], run: () => unknown) => unknown

/**
 * Puts `around` about every change, to be called before the package is loaded. Calls with a callback are made
 * synchronously, so that there is one order of all changes, and answered later, as ever.
 */
export function interceptChanges(around: Around): void {
  // One signature for all of them: what is passed on is what came.
  const table = fs as unknown as Record<string, Call>
  for (const call of CALLS) {
    const sync = table[`${call}Sync`]
    if (sync === undefined) throw new Error(`node:fs has no ${call}Sync`)
    const through = (args: unknown[]) => around(call, args, () => sync(...args))
    replace(`${call}Sync`, (...args) => through(args))
    replace(call, (...args) => {
      const callback = args.pop() as Callback
      try {
        const result = through(args)
        setImmediate(() => callback(null, result))
      } catch (error) {
        setImmediate(() => callback(error))
      }
    })
  }
  const refuse = (name: string) => () => {
    throw new Error(`${name} changes files, and this test does not know it`)
  }
  for (const call of UNKNOWN) {
    replace(call, refuse(call))
    replace(`${call}Sync`, refuse(`${call}Sync`))
  }
  const promises = fs.promises as unknown as Record<string, Call>
  for (const call of [...CALLS, ...UNKNOWN]) {
    if (promises[call] !== undefined) promises[call] = refuse(`promises.${call}`)
  }
  syncBuiltinESMExports()

  function replace(name: string, by: Call): void {
    // `promisify` looks for what the original carries, such as the names of its results.
    table[name] = Object.defineProperties(by, Object.getOwnPropertyDescriptors(table[name]))
  }
}

/**
 * Lets this process die by a change to files: the nth from the call on of what this returns. A write is cut in half. To be
 * called before the package is loaded.
 */
export function killOnChange(): (nth: number) => void {
  const { writeSync } = fs // Before it is intercepted.
  let left = Number.POSITIVE_INFINITY
  interceptChanges((call, args, run) => {
    left -= 1
    if (left > 0) return run()
    if (call === 'write') {
      const [fd, bytes, offset, length, position] = args
      writeSync(
        fd as number,
        bytes as Uint8Array,
        offset as number,
        Math.ceil((length as number) / 2),
        position as number | null,
      )
    }
    process.kill(process.pid, 'SIGKILL')
    for (;;); // The signal takes a moment.
  })
  return (nth) => {
    left = nth
  }
}
