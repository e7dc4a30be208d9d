import { type FileState, type OpenedFile, type StorageDriver, sourceReplaced } from './driver.js'
import { isProblem, Problem, RejectedUpload } from './errors.js'
import type { Name } from './names.js'
import { publish, stageCopy } from './publish.js'
import type { IfExists, UploadRules } from './types.js'
import { judge, SAMPLE_BYTES } from './uploads.js'

/** One `Storage#accept`: everything checked and resolved. */
export interface AcceptRequest {
  /** The file that somebody else put there. */
  readonly from: Name
  /** The name that was asked for. */
  readonly to: Name
  /** The rules for the content. */
  readonly rules: UploadRules
  /** The way out when `to` is taken. */
  readonly ifExists: IfExists
  /** Ends the work when it is aborted. */
  readonly signal: AbortSignal | undefined
}

/** Judges a file, and moves the judged version. See `Storage#accept`. Returns the name that the file got. */
export async function accept(driver: StorageDriver, request: AcceptRequest): Promise<Name> {
  const { from, to, ifExists, signal } = request
  const { version, claimed, contentType } = await judgeFile(driver, request)
  signal?.throwIfAborted()
  const inPlace = from === to
  if (inPlace && (contentType ?? claimed) === claimed) return to
  const staged = await stageCopy(driver, { from, move: !inPlace, version, contentType, signal })
  return publish(driver, staged, to, inPlace ? 'overwrite' : ifExists, signal)
}

/** A file that keeps the rules. */
interface AcceptedFile {
  /** Its ETag. */
  readonly version: string
  /** The type that it was stored with. */
  readonly claimed: string
  /** The type that it is to get. Undefined: the same. */
  readonly contentType: string | undefined
}

/** A file that breaks the rules is deleted. */
async function judgeFile(
  driver: StorageDriver,
  { from, rules, signal }: AcceptRequest,
): Promise<AcceptedFile> {
  const opened = rules.allowedTypes && (await openSample(driver, from, signal))
  const state = opened?.state ?? (await headOf(driver, from, signal))
  const { size, contentType: claimed, etag: version } = state
  // An empty file has no range. One that is not empty came after the look.
  if (rules.allowedTypes && !opened && size > 0) throw sourceReplaced()
  const sample = async () => (opened ? opened.body.bytes() : Buffer.alloc(0))
  try {
    const contentType = await judge({ size, contentType: claimed, sample }, rules)
    return { version, claimed, contentType }
  } catch (error) {
    if (error instanceof RejectedUpload) await removeVersion(driver, from, version, signal)
    throw error
  } finally {
    await opened?.body.close()
  }
}

/** The first bytes of a file. Undefined for an empty file. */
async function openSample(
  driver: StorageDriver,
  name: Name,
  signal: AbortSignal | undefined,
): Promise<OpenedFile | undefined> {
  try {
    return await driver.read({ name, range: { offset: 0, length: SAMPLE_BYTES }, signal })
  } catch (error) {
    const { code } = isProblem(error) ? error : driver.classify(error)
    if (code !== 'RangeNotSatisfiable') throw error
    return undefined
  }
}

async function headOf(
  driver: StorageDriver,
  name: Name,
  signal: AbortSignal | undefined,
): Promise<FileState> {
  const state = await driver.head(name, signal)
  if (state === null) throw new Problem('NotFound', 'there is no such file')
  return state
}

/** Deletes a refused file, unless another one has its name by now. The refusal is what the caller must know of. */
async function removeVersion(
  driver: StorageDriver,
  name: Name,
  version: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  try {
    const current = await driver.head(name, signal)
    if (current?.etag === version) await driver.remove([name], signal)
  } catch {}
}
