import { randomUUID } from 'node:crypto'
import { withinASecond } from '../bounds.js'
import type { S3Connection } from '../connection.js'
import { analyse } from '../failures.js'
import { contentMd5 } from '../headers.js'
import { isHidden } from '../look.js'
import type { Upload } from '../object-api.js'

/** A server's treatment of `If-None-Match` on a PUT. `'untried'`: the credentials do not permit to try it out. */
export type PutVerdict = 'honoured' | 'missing' | 'untried'

const BYTES = Buffer.from('probe')
/** The most bytes of a key on S3. */
const MAX_KEY_BYTES = 1024

/**
 * Whether a create-only put leaves an object alone: puts one twice. `key`: where the write wants to go.
 *
 * All processes use the same key, so that a killed one leaves one object at most, and the next probe deletes it. A
 * refusal is proof, whoever put the object. Two successes are none: another process may have deleted it in between.
 */
export async function probePut(connection: S3Connection, key: string): Promise<PutVerdict> {
  const { prefix } = connection.config
  const verdict = await probePutIn(connection, prefix, '')
  if (verdict !== 'untried') return verdict
  // The credentials may be limited to some folders or types of files.
  const [, folder = '', extension = ''] = /^(?:(.*)\/)?.*?(\.[^./]*)?$/s.exec(key) ?? []
  return probePutIn(connection, folder, extension)
}

async function probePutIn(connection: S3Connection, folder: string, extension: string): Promise<PutVerdict> {
  const own = probeKey(folder, randomUUID(), extension)
  if (Buffer.byteLength(own) > MAX_KEY_BYTES) return 'untried'
  return probePutAt(connection, probeKey(folder, 'put', extension), own)
}

/**
 * The same at one key. `own`: a key that no other process deletes, where two successes have to be confirmed. Without it,
 * `key` is one.
 */
export async function probePutAt(connection: S3Connection, key: string, own?: string): Promise<PutVerdict> {
  const put = (createOnly: boolean) =>
    connection.run(undefined, (call) =>
      connection.api.put({ key, bytes: BYTES, md5: contentMd5(BYTES), createOnly }, call),
    )
  let denied = false
  try {
    await put(true)
    await put(true)
    return own === undefined ? 'missing' : await probePutAt(connection, own)
  } catch (error) {
    const { status, retry } = analyse(error)
    // A lost answer to the first put makes the next attempt fail, which says the same.
    if (status === 412) return 'honoured'
    denied = isHidden(error)
    if (denied) return 'untried'
    if (status === undefined || retry !== 'no') throw error
    // Is it the condition that the server refuses?
    await put(false).catch(() => {
      throw error
    })
    return 'missing'
  } finally {
    if (!denied) await remove(connection, key)
  }
}

/**
 * Whether a completion honours `If-None-Match`: completes an upload over an object of the same name. As above, a success
 * is no proof while other processes use the same key, so it has to be confirmed at a key of its own.
 */
export async function probeCompletion(connection: S3Connection): Promise<boolean> {
  const { prefix } = connection.config
  return (
    (await probeCompletionAt(connection, probeKey(prefix, 'completion'))) ||
    probeCompletionAt(connection, probeKey(prefix, randomUUID()))
  )
}

/** The same at one key. */
export async function probeCompletionAt(connection: S3Connection, key: string): Promise<boolean> {
  const { api } = connection
  let upload: Upload | undefined
  try {
    await connection.run(undefined, (call) => api.put({ key, bytes: BYTES, md5: contentMd5(BYTES) }, call))
    const begun = await connection.run(undefined, (call) => api.createUpload({ key }, call))
    upload = begun
    const part = { ...begun, number: 1, bytes: BYTES }
    const { etag } = await connection.run(undefined, (call) => api.uploadPart(part, call))
    const completion = { ...begun, parts: [{ number: 1, etag }], createOnly: true }
    await connection.run(undefined, (call) => api.completeUpload(completion, call))
    return false
  } catch (error) {
    const { status } = analyse(error)
    if (status === 412) return true
    // The server does not know the condition, or the credentials are limited to some names and can never try it out.
    if (status === 501 || status === 403) return false
    throw error
  } finally {
    await remove(connection, key)
    const open = upload
    if (open) await withinASecond(connection.attemptQuietly((call) => api.abortUpload(open, call)))
  }
}

function probeKey(folder: string, name: string, extension = ''): string {
  return `${folder === '' ? '' : `${folder}/`}.stowage/probe-${name}${extension}`
}

/** The credentials may not permit it: that must not fail the save. */
async function remove(connection: S3Connection, key: string): Promise<void> {
  await withinASecond(connection.attemptQuietly((call) => connection.api.delete({ key }, call)))
}
