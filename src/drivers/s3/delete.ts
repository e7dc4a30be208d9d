import type { S3Connection } from './connection.js'
import { analyse, retryOf } from './failures.js'

export interface KeyFailure {
  readonly key: string
  readonly error: unknown
}

/** In the path of a request, who is on the way may resolve it: another key would be deleted. */
const DOT_SEGMENT = /(?:^|\/)\.{1,2}(?:\/|$)/

/** Deletes at most 1,000 objects; missing ones are success. What could not be deleted is returned. */
export async function deleteKeys(
  connection: S3Connection,
  keys: readonly string[],
  signal: AbortSignal | undefined,
): Promise<KeyFailure[]> {
  // XML 1.0 cannot carry control characters, which only keys of other writers have.
  const carried = keys.filter((key) => !/[\p{Cc}\ufffe\uffff]/u.test(key))
  const inXml = keys.length > 1 || DOT_SEGMENT.test(keys[0] ?? '') ? carried : []
  const single = inXml.length === keys.length ? [] : keys.filter((key) => !inXml.includes(key))
  const failures: KeyFailure[] = []
  for (const key of single) {
    try {
      await deleteKey(connection, key, signal)
    } catch (error) {
      if (signal?.aborted || isGeneral(error) || (keys.length === 1 && mayPass(error))) throw error
      failures.push({ key, error })
    }
  }
  return inXml.length === 0 ? failures : [...failures, ...(await deleteTogether(connection, inXml, signal))]
}

async function deleteKey(
  connection: S3Connection,
  key: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const input = { Bucket: connection.config.bucket, Key: key }
  await connection.run(signal, async ({ send, sdk }) => {
    try {
      await send(new sdk.DeleteObjectCommand(input))
    } catch (error) {
      if (analyse(error).code !== 'NoSuchKey') throw error
    }
  })
}

/** Whether an error is about the server, as it is just now, rather than about the key. */
function mayPass(error: unknown): boolean {
  return analyse(error).retry !== 'no'
}

/** Whether an error is about the bucket rather than about the key. */
function isGeneral(error: unknown): boolean {
  return analyse(error).code === 'NoSuchBucket'
}

/** By DeleteObjects, whose `200` says nothing by itself: a key is gone when the answer names it among the deleted. */
async function deleteTogether(
  connection: S3Connection,
  keys: readonly string[],
  signal: AbortSignal | undefined,
): Promise<KeyFailure[]> {
  const open = new Set(keys)
  const errors = new Map<string, KeyError>()
  try {
    await connection.run(signal, async ({ send, sdk }) => {
      const Delete = { Objects: [...open].map((Key) => ({ Key })) }
      const input = { Bucket: connection.config.bucket, Delete }
      const { Deleted = [], Errors = [] } = await send(new sdk.DeleteObjectsCommand(input))
      for (const { Key = '' } of Deleted) settle(Key)
      for (const { Key = '', Code = '' } of Errors) {
        const error = new KeyError(Code)
        if (Code === 'NoSuchKey' || analyse(error).retry === 'no') settle(Key)
        if (Code !== 'NoSuchKey') errors.set(Key, error)
      }
      const [unsettled] = open
      if (unsettled !== undefined) throw errors.get(unsettled) ?? new KeyError('InternalError')
    })
  } catch (error) {
    if (!(error instanceof KeyError)) throw error
    for (const key of open) if (!errors.has(key)) errors.set(key, error)
  }
  return [...errors].map(([key, error]) => ({ key, error }))

  function settle(key: string): void {
    open.delete(key)
    errors.delete(key)
  }
}

/** An entry of the errors in a DeleteObjects answer, in the shape of the SDK's errors. */
class KeyError extends Error {
  readonly Code: string
  readonly $metadata: { readonly httpStatusCode: number }

  constructor(code: string) {
    super(`the server answered ${code} for the key`)
    this.Code = code
    // UnknownError: Ceph's for a key that is being overwritten just now.
    const passing = retryOf(code) !== undefined || code === 'UnknownError'
    this.$metadata = { httpStatusCode: passing ? 500 : code === 'AccessDenied' ? 403 : 400 }
  }
}
