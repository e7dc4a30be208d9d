/** Changes to `node:fs` of this process, to be made before the package is loaded. */
import fs from 'node:fs'

type Callback = (error: NodeJS.ErrnoException | null, ...rest: unknown[]) => void
type Call = (...args: unknown[]) => unknown

export function failure(code: string, syscall: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: injected, ${syscall}`), { code, syscall })
}

function replace(
  name: 'close' | 'fsync' | 'link' | 'open' | 'mkdir' | 'rename' | 'unlink' | 'write',
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
  name: 'rename' | 'unlink',
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

/** What is done to files from now on, in order: `fsync <path>`, `link <path> <path>`, … */
export function recordCalls(): string[] {
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
      original(...args, (error: NodeJS.ErrnoException | null) => {
        if (!error) log.push(`${name} ${describe(args)}`)
        callback(error)
      })
    })
  done('fsync', ([fd]) => paths.get(fd) ?? '?')
  done('mkdir', ([path]) => String(path))
  done('link', ([from, to]) => `${from} ${to}`)
  done('rename', ([from, to]) => `${from} ${to}`)
  done('unlink', ([path]) => String(path))
  return log
}
