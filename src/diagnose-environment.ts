import { type CheckOutcome, type CheckResult, failed, ok, warning } from './checks.js'
import { createDefaultStorage, type Environment, R2_REQUIRED, readerOf } from './create-storage.js'
import { isStorageError, quote, reasonOf } from './errors.js'

/** What each variable is for, and whether its value may be shown. */
const R2_OPTIONAL: Readonly<Record<string, boolean>> = {
  R2_REGION: true,
  R2_PUBLIC_BASE_URL: true,
  R2_SESSION_TOKEN: false,
  R2_PREFIX: true,
  R2_CACHE_CONTROL: true,
  R2_FALLBACK_ROOT: true,
}
const R2_PURGE = ['R2_PURGE_ZONE_ID', 'R2_PURGE_API_TOKEN']
const SHOWN: Readonly<Record<string, boolean>> = {
  R2_BUCKET_NAME: true,
  R2_ENDPOINT_URL: true,
  ...R2_OPTIONAL,
}

/** An environment that is right: each variable is tried in it, so that each has its own record. */
const SOUND: Environment = {
  R2_ENABLED: '1',
  R2_ACCESS_KEY_ID: 'key',
  R2_SECRET_ACCESS_KEY: 'secret',
  R2_BUCKET_NAME: 'bucket',
  R2_ENDPOINT_URL: 'https://s3.example.com',
}
const ON_DISK: Environment = { R2_ENABLED: '0' }

/**
 * Checks the variables that {@link createDefaultStorage} reads: one record for each of them, one failure for each that is
 * missing or malformed, and at the end which storage they select, and why. Does no I/O, and shows no secret. `diagnose`
 * then tries the storage itself.
 *
 * @example
 * const problems = diagnoseEnvironment().filter(({ status }) => status === 'failed')
 */
export function diagnoseEnvironment(env: Environment = process.env): CheckResult[] {
  const results: CheckResult[] = []
  const add = (check: string, outcome: CheckOutcome) => {
    results.push({ group: 'Environment', check, ...outcome })
  }
  const read = readerOf(env)
  const isOn = createdBy({ ...SOUND, R2_ENABLED: read('R2_ENABLED') ?? '0' })
  if (isOn.problem !== undefined) {
    add('R2_ENABLED', failed(`${sentence(isOn.problem)}`, 'Set R2_ENABLED to 1 or 0.'))
    return results
  }
  if (isOn.label.startsWith('R2Storage')) checkR2(env, add)
  else checkDisk(env, add)
  return [...results, chosen(env, results)]
}

type Add = (check: string, outcome: CheckOutcome) => void

function checkR2(env: Environment, add: Add): void {
  const read = readerOf(env)
  add('R2_ENABLED', ok('R2_ENABLED is on.'))
  for (const variable of R2_REQUIRED) {
    if (read(variable) === undefined) {
      add(
        variable,
        failed(`${variable} is not set.`, `Set ${variable}, or unset R2_ENABLED to keep files on the disk.`),
      )
    } else add(variable, judge(env, variable, { ...SOUND, ...bucketOf(env, variable) }))
  }
  for (const variable of Object.keys(R2_OPTIONAL)) {
    if (read(variable) !== undefined) add(variable, judge(env, variable, SOUND))
  }
  if (!R2_PURGE.some((variable) => read(variable) !== undefined)) return
  for (const variable of [...R2_PURGE, 'R2_PUBLIC_BASE_URL']) {
    if (read(variable) !== undefined) {
      if (R2_PURGE.includes(variable)) add(variable, ok(`${variable} is set.`))
      continue
    }
    add(
      variable,
      failed(
        `${variable} is not set, but the cache is to be purged.`,
        `Set ${variable}, or unset ${R2_PURGE.join(' and ')}.`,
      ),
    )
  }
}

/** The bucket may be the end of the endpoint. */
function bucketOf(env: Environment, variable: string): Environment {
  const bucket = readerOf(env)('R2_BUCKET_NAME')
  if (variable !== 'R2_ENDPOINT_URL' || bucket === undefined) return {}
  const isRight = createdBy({ ...SOUND, R2_BUCKET_NAME: bucket }).problem === undefined
  return isRight ? { R2_BUCKET_NAME: bucket } : {}
}

function checkDisk(env: Environment, add: Add): void {
  const read = readerOf(env)
  const forgotten = R2_REQUIRED.filter((variable) => read(variable) !== undefined)
  if (read('R2_ENABLED') === undefined && forgotten.length > 0) {
    const verb = forgotten.length > 1 ? 'are' : 'is'
    add(
      'R2_ENABLED',
      warning(
        `${forgotten.join(', ')} ${verb} set, but R2_ENABLED is not, so files are kept on the disk.`,
        'Set R2_ENABLED=1 for R2, or R2_ENABLED=0 if the disk is meant.',
      ),
    )
  }
  for (const variable of ['MEDIA_ROOT', 'MEDIA_URL']) {
    if (read(variable) !== undefined) add(variable, judge(env, variable, ON_DISK))
  }
  if (read('STORAGE_SIGNING_SECRET') !== undefined) {
    add('STORAGE_SIGNING_SECRET', judge(env, 'STORAGE_SIGNING_SECRET', ON_DISK))
    return
  }
  add(
    'STORAGE_SIGNING_SECRET',
    warning(
      'STORAGE_SIGNING_SECRET is not set: signed addresses are valid in the process that made them only.',
      'Set STORAGE_SIGNING_SECRET to 32 random bytes or more, the same for all processes.',
    ),
  )
}

/** Tries one variable in an environment that is right otherwise. */
function judge(env: Environment, variable: string, sound: Environment): CheckOutcome {
  const value = readerOf(env)(variable)
  const { problem } = createdBy({ ...sound, [variable]: value })
  if (problem === undefined) {
    return ok(
      SHOWN[variable] || variable.startsWith('MEDIA_')
        ? `${variable} is ${quote(value ?? '')}.`
        : `${variable} is set.`,
    )
  }
  return failed(`${variable} is malformed: ${problem}.`, `Correct ${variable}.`)
}

/** The storage of an environment, or what is wrong with that. */
function createdBy(env: Environment): { readonly label: string; readonly problem?: string } {
  try {
    return { label: String(createDefaultStorage(env)) }
  } catch (error) {
    return { label: '', problem: isStorageError(error) ? reasonOf(error) : 'an unexpected error' }
  }
}

/** The storage that all of them select. */
function chosen(env: Environment, results: readonly CheckResult[]): CheckResult {
  const common = { group: 'Environment', check: 'storage' }
  if (results.some(({ status }) => status === 'failed')) {
    return { ...common, status: 'skipped', message: 'There is no storage until the variables are corrected.' }
  }
  const read = readerOf(env)
  // Set, so that nobody is warned a second time.
  const enabled = read('R2_ENABLED') ?? '0'
  const { label, problem } = createdBy({ ...env, R2_ENABLED: enabled })
  if (problem !== undefined) {
    return { ...common, ...failed(sentence(problem), 'Correct the variables that the message names.') }
  }
  const why =
    read('R2_ENABLED') === undefined ? 'R2_ENABLED is not set' : `R2_ENABLED is ${read('R2_ENABLED')}`
  const root = read('MEDIA_ROOT') === undefined ? ', and MEDIA_ROOT has its default' : ''
  const where = label.includes('FileSystemStorage') && !label.includes('R2Storage') ? root : ''
  return { ...common, ...ok(`The storage is ${label}: ${why}${where}.`) }
}

function sentence(reason: string): string {
  return `${reason.charAt(0).toUpperCase()}${reason.slice(1)}.`
}
