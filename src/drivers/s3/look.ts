import { Problem } from '../../errors.js'
import type { S3Connection } from './connection.js'
import { analyse } from './failures.js'
import { headObject } from './head.js'
import { isAbandoned } from './publishers/abandoned.js'
import { openObject } from './read.js'

const TO_READ =
  'the file is missing or must not be read: the permission s3:ListBucket lets the server say which, s3:GetObject lets it be read'
const TO_LIST = 'the credentials lack the permission s3:ListBucket'
const TO_CHECK =
  "createOnly: 'check' cannot see whether the name is taken: it needs the permissions s3:ListBucket and s3:GetObject; ifExists: 'overwrite' needs neither"

/**
 * Whether a server hides if there is an object: a key without s3:ListBucket gets 403 where others get 404. An answer to
 * a HEAD has no code, so this may be another refusal.
 */
export function isHidden(error: unknown): boolean {
  const { status, code } = analyse(error)
  return status === 403 && (code === '' || code === 'AccessDenied')
}

/**
 * Whether a name is taken, as far as the credentials can see: the write finds out, unless `createOnly` is `'check'`. The
 * placeholder of a killed save takes no name.
 */
export async function isTaken(
  connection: S3Connection,
  key: string,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  try {
    const found = await headObject(connection, key, signal)
    return found !== null && !(await isAbandoned(connection, key, found, signal))
  } catch (error) {
    if (!isHidden(error)) throw error
    if (connection.config.createOnly === 'condition') return false
    throw await explainHead(connection, key, error, signal, TO_CHECK)
  }
}

/** Says what is missing for a read that was refused. */
export function explainRead(error: unknown): unknown {
  return isHidden(error) ? lacking(TO_READ, error) : error
}

/** Says what is missing for a listing that was refused. */
export function explainList(error: unknown): unknown {
  return isHidden(error) ? lacking(TO_LIST, error) : error
}

/** The same for a HEAD: a GET of the object says more. */
export async function explainHead(
  connection: S3Connection,
  key: string,
  error: unknown,
  signal: AbortSignal | undefined,
  reason = TO_READ,
): Promise<unknown> {
  if (!isHidden(error)) return error
  try {
    const { body } = await openObject(connection, key, undefined, signal)
    await body.close()
  } catch (refusal) {
    return isHidden(refusal) ? lacking(reason, refusal) : refusal
  }
  return error
}

function lacking(reason: string, cause: unknown): Problem {
  return new Problem('PermissionDenied', `${reason} (AccessDenied 403)`, { cause })
}
