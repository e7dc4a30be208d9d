import { type Check, type CheckOutcome, failed, ok } from '../../checks.js'
import { isStorageError, type StorageErrorCode } from '../../errors.js'
import { explained } from './run.js'
import type { Trial } from './trial.js'

type Advice = { readonly [Code in StorageErrorCode]?: string }

const GENERAL: Advice = {
  Full: 'Free some space, or raise the quota.',
  Unavailable: 'Try again. If it stays, check the network and the state of the server.',
  Misconfigured: 'Correct the set-up as the message says.',
}
const RANGE = { offset: 1000, length: 24 }

/** The checks of what a storage does with files. */
export function fileChecks(trial: Trial): Check[] {
  const { storage } = trial
  const base = { group: 'Files', essential: false, needs: ['write'], writes: true }
  return [
    {
      ...base,
      check: 'write',
      needs: [],
      run: ({ signal }) =>
        attempt('A file cannot be written', { PermissionDenied: MAY_WRITE }, async () => {
          await trial.write('file.txt', signal)
          return ok('A file can be written.')
        }),
    },
    {
      ...base,
      check: 'list',
      needs: [],
      run: ({ signal }) =>
        attempt('Files cannot be listed', { PermissionDenied: MAY_LIST }, () => list(trial, signal)),
    },
    {
      ...base,
      check: 'create-only',
      run: ({ signal }) =>
        attempt('A file cannot be created only', { Unsupported: CREATE_ONLY }, () =>
          createOnly(trial, signal),
        ),
    },
    {
      ...base,
      check: 'read',
      run: ({ signal }) =>
        attempt('The file cannot be read', { PermissionDenied: MAY_READ }, async () => {
          const file = await storage.open(trial.name('file.txt'), { signal })
          if ((await file.read()).equals(trial.content)) return ok('The file reads back as it was written.')
          return failed('The file reads back other than it was written.', OTHER_BYTES)
        }),
    },
    {
      ...base,
      check: 'range',
      needs: ['write', 'read'],
      run: ({ signal }) =>
        attempt('A part of the file cannot be read', {}, async () => {
          const file = await storage.open(trial.name('file.txt'), { range: RANGE, signal })
          const { offset, length } = RANGE
          const expected = trial.content.subarray(offset, offset + length)
          if ((await file.read()).equals(expected)) return ok('A part of the file can be read alone.')
          return failed('A part of the file reads back wrong.', OTHER_BYTES)
        }),
    },
    {
      ...base,
      check: 'metadata',
      needs: ['write', 'read'],
      run: ({ signal }) =>
        attempt('The attributes of the file cannot be read', {}, async () => {
          const lost = trial.lost(await storage.stat(trial.name('file.txt'), { signal }))
          if (lost.length === 0) return ok('Type, headers and metadata come back with the file.')
          return failed(
            `The file lost attributes: ${lost.join(', ')}.`,
            'A gateway or proxy in front of the storage drops headers: pass all x-amz-meta-* and content headers on.',
          )
        }),
    },
    {
      ...base,
      check: 'delete',
      run: ({ signal }) =>
        attempt('A file cannot be deleted', { PermissionDenied: mayDelete(trial) }, () =>
          remove(trial, signal),
        ),
    },
  ]
}

const MAY_WRITE = 'Give the keys the right to write (s3:PutObject; on R2 a token with Object Read & Write).'
const MAY_READ = 'Give the keys the right to read (s3:GetObject; on R2 a token with Object Read & Write).'
const MAY_LIST =
  'Give the keys the right to list (s3:ListBucket on the bucket; on R2 a token with Object Read & Write).'
const CREATE_ONLY =
  "Give the storage the option createOnly: 'check' (look first, then write), or save with ifExists: 'overwrite'."
const OTHER_BYTES = 'Look for a gateway or proxy in front of the storage that changes contents.'

function mayDelete({ folder }: Trial): string {
  return `Give the keys the right to delete (s3:DeleteObject), and delete the folder ${folder}, which is left.`
}

/** Says what an error means for a check. Errors of aborts are thrown on. */
export async function attempt(
  what: string,
  advice: Advice,
  work: () => Promise<CheckOutcome>,
): Promise<CheckOutcome> {
  try {
    return await work()
  } catch (error) {
    if (!isStorageError(error) || error.code === 'Aborted') throw error
    const remedy =
      advice[error.code] ?? GENERAL[error.code] ?? 'Correct what the message names, and try again.'
    return failed(`${what}: ${explained(error)}.`, remedy)
  }
}

async function list(trial: Trial, signal: AbortSignal): Promise<CheckOutcome> {
  const names: string[] = []
  for await (const { name } of trial.storage.list(trial.folder, { signal })) names.push(name)
  if ([...trial.stored].every((name) => names.includes(name))) return ok('Files can be listed.')
  return failed(
    'A file that was just written is not listed.',
    'The storage is not consistent: use a server whose listings are, as those of R2, S3 and Ceph.',
  )
}

async function createOnly(trial: Trial, signal: AbortSignal): Promise<CheckOutcome> {
  try {
    await trial.storage.save(trial.name('file.txt'), 'x', { ifExists: 'error', signal })
  } catch (error) {
    if (isStorageError(error) && error.code === 'AlreadyExists') return ok('A taken name is not overwritten.')
    throw error
  }
  await trial.write('file.txt', signal)
  return failed('A taken name was overwritten: the server ignores If-None-Match.', CREATE_ONLY)
}

async function remove(trial: Trial, signal: AbortSignal): Promise<CheckOutcome> {
  await trial.write('deleted.txt', signal)
  const name = trial.name('deleted.txt')
  await trial.storage.delete(name, { signal })
  const isThere = await trial.storage.open(name, { signal }).then(
    async (file) => {
      await file.close()
      return true
    },
    (error: unknown) => {
      // Without the right to list, nobody can tell; "list" says so.
      if (isStorageError(error) && (error.code === 'NotFound' || error.code === 'PermissionDenied'))
        return false
      throw error
    },
  )
  if (!isThere) return ok('A file can be deleted.')
  return failed(
    'A deleted file is still there.',
    'Look for a lock, a retention rule or a cache in front of the storage.',
  )
}
