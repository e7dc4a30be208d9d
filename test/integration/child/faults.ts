/** Changes to `node:fs` of this process, to be made before the package is loaded. */
import fs from 'node:fs'
import { dirname } from 'node:path'

type Callback = (error: NodeJS.ErrnoException | null, ...rest: unknown[]) => void
type Call = (...args: unknown[]) => unknown

/** A path as the system's own words have it, and no message of the package. */
export const PATH_OF_FAILURE = '/srv/private/path'

export function failure(code: string, syscall: string): NodeJS.ErrnoException {
  const message = `${code}: injected, ${syscall} '${PATH_OF_FAILURE}'`
  return Object.assign(new Error(message), { code, syscall })
}

function replace(
  name:
    | 'chmod'
    | 'close'
    | 'copyFile'
    | 'fchmod'
    | 'fsync'
    | 'link'
    | 'open'
    | 'mkdir'
    | 'readdir'
    | 'rename'
    | 'unlink'
    | 'write',
  by: (original: Call) => Call,
) {
  // One signature for all of them: what is passed on is what came.
  Object.assign(fs, { [name]: by(fs[name] as Call) })
}

/** A filesystem such as FAT: `link` is refused. */
export function withoutHardLinks(): void {
  replace(
    'link',
    () =>
      (...args) =>
        (args.at(-1) as Callback)(failure('EPERM', 'link')),
  )
  fs.linkSync = () => {
    throw failure('EPERM', 'link')
  }
}

/** A mount that gives all files modes of its own, and lets nobody change them. */
export function withoutChmod(code: string): void {
  for (const name of ['chmod', 'fchmod'] as const) {
    replace(
      name,
      () =>
        (...args) =>
          (args.at(-1) as Callback)(failure(code, name)),
    )
  }
}

/** A filesystem that cannot make anything durable, as some of FUSE. */
export function withoutFsync(code: string): void {
  replace(
    'fsync',
    () =>
      (...args) =>
        (args.at(-1) as Callback)(failure(code, 'fsync')),
  )
}

/**
 * Lets a call fail with EIO: the nth from when the answered function is told so. What it should have done is done for
 * `close`, as the kernel does.
 */
export function failing(
  name: 'write' | 'fsync' | 'close' | 'link' | 'rename',
  code = 'EIO',
): (nth: number) => void {
  let left = 0
  replace(name, (original) => (...args) => {
    left -= 1
    const callback = args.at(-1) as Callback
    const fail = () => callback(failure(code, name))
    if (left !== 0) original(...args)
    else if (name === 'close') original(args[0], fail)
    else setImmediate(fail)
  })
  return (nth) => {
    left = nth
  }
}

/** Holds back the next call whose last path `isMeant`, until it is released. */
export function holding(
  name: 'link' | 'rename' | 'unlink',
  isMeant: (path: string) => boolean,
): { readonly reached: Promise<void>; release(): void } {
  let held = false
  let release = () => {}
  let reach = () => {}
  const reached = new Promise<void>((resolve) => {
    reach = resolve
  })
  replace(name, (original) => (...args) => {
    if (held || !isMeant(String(args.at(-2)))) {
      original(...args)
      return
    }
    held = true
    release = () => original(...args)
    reach()
  })
  return { reached, release: () => release() }
}

/** A filesystem that lists no kinds, so that Node looks at each entry: one that has just vanished fails the first listing. */
export function vanishingFromFirstListing(path: string): void {
  let first = true
  replace('readdir', (original) => (...args) => {
    if (!first || String(args[0]) !== path) return original(...args)
    first = false
    return (args.at(-1) as Callback)(failure('ENOENT', 'lstat'))
  })
}

/** Lets something happen just after a folder was read for its removal. */
export function afterReaddir(path: string, happen: () => void): void {
  replace('readdir', (original) => (...args) => {
    const callback = args.pop() as Callback
    return original(...args, (error: NodeJS.ErrnoException | null, entries: unknown) => {
      if (String(args[0]) === path) happen()
      callback(error, entries)
    })
  })
}

/** Lets something happen just after a file was opened, once. */
export function afterOpen(path: string, happen: () => void): void {
  let first = true
  replace('open', (original) => (...args) => {
    const callback = args.pop() as Callback
    return original(...args, (error: NodeJS.ErrnoException | null, fd: unknown) => {
      if (first && args[0] === path) {
        first = false
        happen()
      }
      callback(error, fd)
    })
  })
}

/** Lets something happen just before a file is opened. */
export function beforeOpen(path: string, happen: () => void): void {
  replace('open', (original) => (...args) => {
    if (args[0] === path) happen()
    return original(...args)
  })
}

/** Lets another process remove the folder that a file is just to be copied to, once. */
export function withoutFolderOfFirstCopy(): void {
  let first = true
  replace('copyFile', (original) => (...args) => {
    if (first) fs.rmdirSync(dirname(String(args[1])))
    first = false
    return original(...args)
  })
}

/** Lets other processes come in between the look at a file and the taking away of its name: they replace it, then more. */
export function replacedBeforeRemoval(path: string, content: string, more: () => void): void {
  const { renameSync } = fs
  fs.renameSync = (from, to) => {
    if (from !== path) return renameSync(from, to)
    fs.writeFileSync(`${path}.new`, content)
    renameSync(`${path}.new`, path)
    renameSync(from, to)
    more()
  }
}

const CALLBACK_CALLS = [
  ...['chmod', 'close', 'copyFile', 'fchmod', 'fsync', 'futimes', 'link', 'lstat', 'mkdir', 'open', 'read'],
  ...['readFile', 'readdir', 'rename', 'rmdir', 'stat', 'unlink', 'write'],
] as const
const SYNCHRONOUS_CALLS = [
  ...['fstatSync', 'futimesSync', 'linkSync', 'lstatSync', 'readlinkSync', 'renameSync', 'unlinkSync'],
] as const

export interface AnyFailing {
  /** Lets the nth call from now on fail, whatever it is, and no other. */
  arm(nth: number): void
  /** The call that failed, with its path, or undefined if there were fewer. */
  disarm(): string | undefined
}

/** Lets one call of any kind fail with EIO. What it should have done is done for `close`, as the kernel does. */
export function failingAny(): AnyFailing {
  let left = 0
  let failed: string | undefined
  const hits = (name: string, path: unknown) => {
    left -= 1
    if (left === 0) failed = `${name} ${path}`
    return left === 0
  }
  const withCallback = (name: string, original: Call): Call => {
    return (...args) => {
      const callback = args.at(-1)
      if (!hits(name, args[0])) return original(...args)
      const fail = () => typeof callback === 'function' && callback(failure('EIO', name))
      return name === 'close' ? original(args[0], fail) : setImmediate(fail)
    }
  }
  for (const name of CALLBACK_CALLS) {
    Object.assign(fs, { [name]: Object.assign(withCallback(name, fs[name] as Call), { ...fs[name] }) })
  }
  fs.realpath.native = withCallback('realpath', fs.realpath.native as Call) as typeof fs.realpath.native
  for (const name of SYNCHRONOUS_CALLS) {
    const original = fs[name] as Call
    const failing: Call = (...args) => {
      if (hits(name, args[0])) throw failure('EIO', name)
      return original(...args)
    }
    Object.assign(fs, { [name]: failing })
  }
  return {
    arm(nth) {
      left = nth
      failed = undefined
    },
    disarm() {
      left = 0
      return failed
    },
  }
}

/** What is done to files from now on, in order: `fsync <path>`, `link <path> <path>`, … A call waits for its `turn`. */
export function recordCalls(turn: (call: string) => Promise<void> | undefined = () => undefined): string[] {
  const log: string[] = []
  const paths = new Map<unknown, string>()
  replace('open', (original) => (...args) => {
    const callback = args.pop() as Callback
    original(...args, (error: NodeJS.ErrnoException | null, fd: unknown) => {
      if (!error) paths.set(fd, String(args[0]))
      callback(error, fd)
    })
  })
  const done = (
    name: 'fsync' | 'link' | 'mkdir' | 'rename' | 'unlink',
    describe: (args: unknown[]) => string,
  ) =>
    replace(name, (original) => (...args) => {
      const callback = args.pop() as Callback
      const call = `${name} ${describe(args)}`
      const go = () =>
        original(...args, (error: NodeJS.ErrnoException | null) => {
          if (!error) log.push(call)
          callback(error)
        })
      const waiting = turn(call)
      return waiting ? void waiting.then(go) : go()
    })
  done('fsync', ([fd]) => paths.get(fd) ?? '?')
  done('mkdir', ([path]) => String(path))
  done('link', ([from, to]) => `${from} ${to}`)
  done('rename', ([from, to]) => `${from} ${to}`)
  done('unlink', ([path]) => String(path))
  return log
}
