import { Problem } from '../../errors.js'
import { readText } from './error-fields.js'

/** Loads a module on its first call, for all who ask. After a failure the next call tries again. */
export function once<T>(work: () => Promise<T>): () => Promise<T> {
  let done: Promise<T> | undefined
  return () => {
    done ??= work().catch((error: unknown) => {
      done = undefined
      throw error
    })
    return done
  }
}

/** The same for modules: one that cannot be loaded is a mistake of the installation, which no retry cures. */
export function lazily<T>(load: () => Promise<T>): () => Promise<T> {
  return once(() =>
    load().catch((cause: unknown) => {
      throw notLoaded(cause)
    }),
  )
}

/** The error about a module that is missing. */
export function notLoaded(cause: unknown): Problem {
  return new Problem(
    'Misconfigured',
    'a module of the package or one of its dependencies cannot be loaded: install it again, or leave it out of the bundle',
    { cause },
  )
}

/** Whether an error says that a module is missing: Node's own codes, and what bundlers put in the place of `require`. */
export function isNotLoaded(error: unknown): boolean {
  const code = readText(error, 'code')
  return (
    code === 'MODULE_NOT_FOUND' ||
    code === 'ERR_MODULE_NOT_FOUND' ||
    readText(error, 'message')?.startsWith('Dynamic require of') === true
  )
}
