import { readText } from './error-fields.js'
import { Problem } from './errors.js'

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
  const name = /(?:module|package|require(?: of)?) ["'](@?[\w.-][^"'\\]*)["']/.exec(
    readText(cause, 'message') ?? '',
  )?.[1]
  const what =
    name === undefined ? 'a module of the package or one of its dependencies' : `the module ${name}`
  const advice =
    'In a bundle, leave stowage out (esbuild: --external:stowage), or define require in a banner by createRequire'
  return new Problem('Misconfigured', `${what} cannot be loaded: install it again. ${advice}`, { cause })
}

/** The stand-ins of bundlers for `require`, and its absence. */
const NO_REQUIRE = /^(?:Dynamic require of|Could not dynamically require|require is not defined)/

/** Whether an error says that a module is missing: Node's own codes, and the words of bundlers. */
export function isNotLoaded(error: unknown): boolean {
  const code = readText(error, 'code')
  return (
    code === 'MODULE_NOT_FOUND' ||
    code === 'ERR_MODULE_NOT_FOUND' ||
    NO_REQUIRE.test(readText(error, 'message') ?? '')
  )
}
