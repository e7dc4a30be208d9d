import { Problem } from '../../errors.js'
import type { S3Connection } from './connection.js'
import { analyse } from './failures.js'
import type { ObjectState } from './object-api.js'

/** An object whose size is known. */
export interface SizedObject extends ObjectState {
  readonly size: number
}

/** The state of an object, or null where the server says 404 (to a missing bucket, too). */
export async function headObject(
  connection: S3Connection,
  key: string,
  signal: AbortSignal | undefined,
): Promise<SizedObject | null> {
  try {
    return sized(await connection.run(signal, (call) => connection.api.head({ key }, call)))
  } catch (error) {
    if (analyse(error).status === 404) return null
    throw error
  }
}

/** An unknown length must not be taken for none: a move would lose the file. */
export function sized<State extends ObjectState>(state: State): State & SizedObject {
  const { size } = state
  if (size === undefined) throw new Problem('Corrupt', 'the server does not tell the length of the file')
  return { ...state, size }
}
