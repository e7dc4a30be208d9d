import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import { isStorageError, type StorageError, type StorageErrorCode } from '../errors.js'
import type { Storage } from '../storage.js'
import { clearTimeout, setTimeout } from '../timers.js'

/**
 * Asserts that `work` rejects with a `StorageError` of this code, and gives it back. `work` must not be an async
 * function: a method that throws instead of rejecting would go unseen.
 */
export async function rejects(
  code: StorageErrorCode,
  work: () => Promise<unknown>,
  what = 'the call',
): Promise<StorageError> {
  const error = await failure(work, what)
  if (!isStorageError(error)) {
    assert.fail(`${what} rejected with ${inspect(error)} instead of a StorageError of code ${code}`)
  }
  assert.equal(error.code, code, `${what} rejected with another code: ${inspect(error)}`)
  return error
}

/** Asserts that `work` rejects, and gives back what with. */
export async function failure(work: () => Promise<unknown>, what = 'the call'): Promise<unknown> {
  let pending: Promise<unknown>
  try {
    pending = work()
  } catch (error) {
    assert.fail(`${what} threw synchronously instead of rejecting: ${inspect(error)}`)
  }
  let value: unknown
  try {
    value = await within(pending, what)
  } catch (error) {
    if (error instanceof assert.AssertionError) throw error
    return error
  }
  assert.fail(`${what} did not reject, it gave ${inspect(value)}`)
}

/** Seconds after which a call counts as hanging: generous, so that slow machines pass. */
const PATIENCE = 10

/** The promise, or an assertion error when it hangs. */
export async function within<T>(promise: Promise<T>, what = 'the call'): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const hanging = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new assert.AssertionError({ message: `${what} hangs for ${PATIENCE} s` })),
      PATIENCE * 1000,
    )
  })
  try {
    return await Promise.race([promise, hanging])
  } finally {
    clearTimeout(timer)
  }
}

/** Any method, by name and without its types: for what only callers without a compiler can do. */
export function invoke(
  storage: Storage,
  method: Exclude<keyof Storage, 'url' | 'list'>,
  ...args: readonly unknown[]
): Promise<unknown> {
  return Reflect.apply(storage[method], storage, args)
}

/** The same for `list`, to its end. */
export function invokeList(storage: Storage, ...args: readonly unknown[]): Promise<unknown[]> {
  return collect(Reflect.apply(storage.list, storage, args))
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const collected: T[] = []
  for await (const item of items) collected.push(item)
  return collected
}

/** The names below a folder, in the order of the listing. */
export async function namesOf(storage: Storage, prefix?: string): Promise<string[]> {
  return (await collect(storage.list(prefix))).map((file) => file.name)
}

export async function textOf(storage: Storage, name: string): Promise<string> {
  return (await storage.open(name)).text()
}

/** Asserts that exactly these files are there, with these contents. */
export async function assertFiles(storage: Storage, files: Readonly<Record<string, string>>): Promise<void> {
  const found: Record<string, string> = {}
  for (const name of await namesOf(storage)) found[name] = await textOf(storage, name)
  assert.deepEqual(found, { ...files })
}

/** Asserts that there is neither a file nor a folder. */
export async function assertEmpty(storage: Storage): Promise<void> {
  assert.deepEqual(await namesOf(storage), [])
  assert.deepEqual(await storage.listdir(), { directories: [], files: [] })
}

/** UTF-8 byte order, judged by the bytes themselves. */
export function inByteOrder(names: readonly string[]): string[] {
  return [...names].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
}

/** Asserts that a file has exactly these bytes; a difference is not printed, since it may be large. */
export async function assertBytes(storage: Storage, name: string, bytes: Buffer): Promise<void> {
  const found = await (await storage.open(name)).bytes()
  assert.equal(found.length, bytes.length, `the size of ${name}`)
  assert(found.equals(bytes), `the content of ${name} is another`)
}
