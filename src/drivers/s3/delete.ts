import type { S3Connection } from './connection.js'
import { analyse, retryOf } from './failures.js'
import { S3Error } from './s3-error.js'

/** A key that could not be deleted. */
export interface KeyFailure {
  readonly key: string
  readonly error: unknown
}

/** In the path of a request, somebody on the way may resolve it: another key would be deleted. */
const DOT_SEGMENT = /(?:^|\/)\.{1,2}(?:\/|$)/

/** Deletes at most 1,000 objects; missing ones are success. Returns the keys that failed. */
export async function deleteKeys(
  connection: S3Connection,
  keys: readonly string[],
  signal: AbortSignal | undefined,
): Promise<KeyFailure[]> {
  const [only] = keys
  if (keys.length === 1 && only !== undefined && !DOT_SEGMENT.test(only)) {
    return deleteEach(connection, keys, signal, mayPass)
  }
  // XML 1.0 cannot carry control characters, which only keys of other writers have.
  const carried: string[] = []
  const others: string[] = []
  for (const key of keys) (/[\p{Cc}\ufffe\uffff]/u.test(key) ? others : carried).push(key)
  const failures = await deleteEach(
    connection,
    others,
    signal,
    (error) => keys.length === 1 && mayPass(error),
  )
  return carried.length === 0
    ? failures
    : [...failures, ...(await deleteTogether(connection, carried, signal))]
}

/** `isGeneral`: whether an error is about more than its key. */
async function deleteEach(
  connection: S3Connection,
  keys: readonly string[],
  signal: AbortSignal | undefined,
  isGeneral: (error: unknown) => boolean,
): Promise<KeyFailure[]> {
  const failures: KeyFailure[] = []
  for (const key of keys) {
    try {
      await connection.run(signal, (call) => connection.api.delete({ key }, call))
    } catch (error) {
      const { code } = analyse(error)
      if (signal?.aborted || code === 'NoSuchBucket' || isGeneral(error)) throw error
      if (code !== 'NoSuchKey') failures.push({ key, error })
    }
  }
  return failures
}

/** Whether an error concerns the server's present state, not the key. */
function mayPass(error: unknown): boolean {
  return analyse(error).retry !== 'no'
}

/** By DeleteObjects, whose `200` says nothing by itself: a key is gone when the answer names it among the deleted. */
async function deleteTogether(
  connection: S3Connection,
  keys: readonly string[],
  signal: AbortSignal | undefined,
): Promise<KeyFailure[]> {
  const open = new Set(keys)
  const failed = new Map<string, KeyError>()
  const settle = (key: string) => {
    open.delete(key)
    failed.delete(key)
  }
  try {
    await connection.run(signal, async (call) => {
      const { deleted, errors } = await connection.api.deleteMany([...open], call)
      connection.deletesTogether = true
      for (const key of deleted) settle(key)
      for (const { key, code } of errors) {
        const error = new KeyError(code)
        if (code === 'NoSuchKey' || !mayPass(error)) settle(key)
        if (code !== 'NoSuchKey') failed.set(key, error)
      }
      const [unsettled] = open
      if (unsettled !== undefined) throw failed.get(unsettled) ?? new KeyError('InternalError')
    })
  } catch (error) {
    if (!(error instanceof KeyError)) {
      // A refusal after a success is of another kind.
      if (signal?.aborted || connection.deletesTogether || !refusesManyAtOnce(error)) throw error
      return deleteApart(connection, [...open], signal, error)
    }
    for (const key of open) if (!failed.has(key)) failed.set(key, error)
  }
  return [...failed].map(([key, error]) => ({ key, error }))
}

/** Ceph asks for a permission on the bucket, where an object's is enough for each; some servers have no DeleteObjects. */
function refusesManyAtOnce(error: unknown): boolean {
  const { status, code } = analyse(error)
  return status === 501 || (status === 403 && code === 'AccessDenied')
}

/** By one request a key. Where the first is refused as well, all would be: `refusal` is thrown. */
async function deleteApart(
  connection: S3Connection,
  keys: readonly string[],
  signal: AbortSignal | undefined,
  refusal: unknown,
): Promise<KeyFailure[]> {
  const inPath = keys.filter((key) => !DOT_SEGMENT.test(key))
  const [failure] = await deleteEach(connection, inPath.slice(0, 1), signal, mayPass)
  if (failure) throw refusal
  return [
    ...(await deleteEach(connection, inPath.slice(1), signal, () => false)),
    ...keys.filter((key) => DOT_SEGMENT.test(key)).map((key) => ({ key, error: refusal })),
  ]
}

/** An error about one of many keys: the answer gives its code, but no status. */
class KeyError extends S3Error {
  constructor(code: string) {
    // UnknownError is Ceph's for a key that is being overwritten just now.
    const passing = retryOf(code) !== undefined || code === 'UnknownError'
    const status = passing ? 500 : code === 'AccessDenied' ? 403 : 400
    super(`the server answered ${code} for the key`, { status, code })
  }
}
