import { FileSystemStorage, type FileSystemStorageOptions } from './backends/filesystem.js'
import { MemoryStorage } from './backends/memory.js'
import { R2Storage } from './backends/r2.js'
import { S3Storage } from './backends/s3.js'
import { cloudflarePurge } from './cloudflare-purge.js'
import { toEndpoint, toPublicBaseUrl } from './drivers/s3/address.js'
import { inContext, Problem } from './errors.js'
import type { Storage } from './storage.js'
import type { Purge } from './types.js'
import { readThrough } from './wrappers/read-through.js'

/** Environment variables, as in `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>

/**
 * Makes the storage that the environment selects. With `R2_ENABLED=1` and the `R2_*` variables it is R2, otherwise the
 * folder `MEDIA_ROOT` on the filesystem. With R2 and `R2_FALLBACK_ROOT`, files that are not in R2 yet are read from that
 * folder: see {@link readThrough}. Empty variables count as unset.
 *
 * @throws {ConfigurationError} if variables are missing or malformed. It names all of them, and never a secret.
 */
export function createDefaultStorage(env: Environment = process.env): Storage {
  return inContext({ operation: 'createDefaultStorage' }, () => create(env))
}

function create(env: Environment): Storage {
  const read = readerOf(env)
  if (!isEnabled(read('R2_ENABLED'))) {
    warnOfIgnored(env)
    return onDisk(read('MEDIA_ROOT'), 'MEDIA_ROOT', localOptions(env))
  }
  const required = requireAll(
    env,
    R2_REQUIRED,
    (missing) => `R2_ENABLED is on, but ${missing}: set them, or unset R2_ENABLED to keep files on the disk`,
  )
  const bucket = required.R2_BUCKET_NAME
  const storage = new R2Storage({
    accessKeyId: required.R2_ACCESS_KEY_ID,
    secretAccessKey: required.R2_SECRET_ACCESS_KEY,
    bucket,
    endpoint: checkEndpoint(required.R2_ENDPOINT_URL, bucket),
    region: read('R2_REGION'),
    sessionToken: read('R2_SESSION_TOKEN'),
    prefix: read('R2_PREFIX'),
    cacheControl: read('R2_CACHE_CONTROL'),
    publicBaseUrl: toPublicBaseUrl(read('R2_PUBLIC_BASE_URL'), 'R2_PUBLIC_BASE_URL'),
    purge: toPurge(env),
  })
  const older = read('R2_FALLBACK_ROOT')
  return older === undefined ? storage : readThrough(storage, onDisk(older, 'R2_FALLBACK_ROOT'))
}

/** The variables without which there is no R2. */
export const R2_REQUIRED = [
  'R2_ACCESS_KEY_ID',
  'R2_SECRET_ACCESS_KEY',
  'R2_BUCKET_NAME',
  'R2_ENDPOINT_URL',
] as const

/** The purge of the cache in front of the public address. */
function toPurge(env: Environment): Purge | undefined {
  const read = readerOf(env)
  const variables = ['R2_PURGE_ZONE_ID', 'R2_PURGE_API_TOKEN'] as const
  if (!variables.some((variable) => read(variable) !== undefined)) return undefined
  const needed = requireAll(
    env,
    [...variables, 'R2_PUBLIC_BASE_URL'],
    (missing) => `the cache is to be purged, but ${missing}`,
  )
  return cloudflarePurge({ zoneId: needed.R2_PURGE_ZONE_ID, apiToken: needed.R2_PURGE_API_TOKEN })
}

/** An error about the endpoint names the variable. The storage takes the bucket off its end, and only once. */
function checkEndpoint(endpoint: string, bucket: string): string {
  toEndpoint(endpoint, bucket, 'R2_ENDPOINT_URL')
  return endpoint
}

/** The addresses of files that the application serves itself. */
function localOptions(env: Environment): Pick<FileSystemStorageOptions, 'baseUrl' | 'signingSecret'> {
  const read = readerOf(env)
  const signingSecret = read('STORAGE_SIGNING_SECRET')
    ?.split(',')
    .map((secret) => secret.trim())
  if (signingSecret?.some((secret) => Buffer.byteLength(secret) < 32)) {
    throw new Problem(
      'Misconfigured',
      'STORAGE_SIGNING_SECRET must have 32 bytes or more; separate several by commas',
    )
  }
  return { baseUrl: read('MEDIA_URL'), signingSecret }
}

/** Reads variables. Empty ones count as unset. */
export function readerOf(env: Environment): (variable: string) => string | undefined {
  return (variable) => env[variable]?.trim() || undefined
}

/** The values of variables, or one error that names all that are missing. */
function requireAll<Variable extends string>(
  env: Environment,
  variables: readonly Variable[],
  explain: (missing: string) => string,
): Record<Variable, string> {
  const read = readerOf(env)
  const missing = variables.filter((variable) => read(variable) === undefined)
  if (missing.length > 0) {
    const verb = missing.length > 1 ? 'are' : 'is'
    throw new Problem('Misconfigured', explain(`${missing.join(', ')} ${verb} not set`))
  }
  const entries = variables.map((variable) => [variable, read(variable) ?? ''] as const)
  return Object.fromEntries(entries) as Record<Variable, string> // One entry for each.
}

/** A folder that `variable` names. No shell has expanded the variable. */
function onDisk(
  location: string | undefined,
  variable: string,
  options: Omit<FileSystemStorageOptions, 'location'> = {},
): FileSystemStorage {
  if (location !== undefined && /^~(?:$|[/\\])/.test(location)) {
    throw new Problem(
      'Misconfigured',
      `${variable} begins with "~", which only a shell expands: give the whole path`,
    )
  }
  return new FileSystemStorage({ ...options, location })
}

let warned = false

/** `R2_ENABLED` was forgotten or misspelt, and files would go to the disk without a word. */
function warnOfIgnored(env: Environment): void {
  const read = readerOf(env)
  if (warned || read('R2_ENABLED') !== undefined) return
  const set = R2_REQUIRED.filter((variable) => read(variable) !== undefined)
  if (set.length === 0) return
  warned = true
  process.emitWarning(
    `${set.join(', ')} ${set.length > 1 ? 'are' : 'is'} set, but R2_ENABLED is not: files are kept on the disk. Set R2_ENABLED=1 for R2, or R2_ENABLED=0 to silence this.`,
    { code: 'STOWAGE_R2_NOT_ENABLED' },
  )
}

const SWITCH = new Map(Object.entries({ 1: true, true: true, yes: true, 0: false, false: false, no: false }))

function isEnabled(value: string | undefined): boolean {
  const enabled = value === undefined ? false : SWITCH.get(value.toLowerCase())
  if (enabled === undefined) {
    throw new Problem(
      'Misconfigured',
      'R2_ENABLED must be 1, true or yes for R2, or 0, false, no or unset for the filesystem',
    )
  }
  return enabled
}

/**
 * Makes the storage of an address; the keys come from the environment.
 *
 * - `fs:./uploads`: a folder, with `MEDIA_URL` and `STORAGE_SIGNING_SECRET` for its addresses.
 * - `memory:`: the memory of this process, with the same.
 * - `r2:bucket`: a bucket on R2, with `R2_ACCESS_KEY_ID`, `R2_SECRET_ACCESS_KEY` and `R2_ENDPOINT_URL`.
 * - `s3:bucket?endpoint=https://s3.example.com&region=eu-west-1`: a bucket on any S3 server, with `AWS_ACCESS_KEY_ID`
 *   and `AWS_SECRET_ACCESS_KEY`, or by AWS's default credential chain where neither is set.
 *
 * `r2:` and `s3:` take `endpoint`, `region` and `prefix` as parameters.
 *
 * @throws {ConfigurationError} for any other address, or missing keys.
 * @example const backup = createStorage('s3:backups?endpoint=https://s3.example.com')
 */
export function createStorage(address: string, env: Environment = process.env): Storage {
  return inContext({ operation: 'createStorage' }, () => {
    const [, scheme = '', rest = ''] = /^([a-z0-9]+):(.*)$/s.exec(String(address)) ?? []
    if (/^(?:r2|s3)$/.test(scheme) && rest.startsWith('//')) {
      throw new Problem(
        'Misconfigured',
        `an address has no "//": write ${scheme}:bucket, and the folder as ?prefix=…`,
      )
    }
    if (!Object.hasOwn(SCHEMES, scheme)) {
      throw new Problem(
        'Misconfigured',
        'an address is fs:./folder, memory:, r2:bucket or s3:bucket?endpoint=…',
      )
    }
    return SCHEMES[scheme as keyof typeof SCHEMES](rest, env) // The line above looked.
  })
}

const SCHEMES = {
  fs: (path: string, env: Environment) => {
    if (path === '')
      throw new Problem('Misconfigured', 'the address fs: needs a folder, such as fs:./uploads')
    return onDisk(path, 'the address', localOptions(env))
  },
  memory: (_: string, env: Environment) => new MemoryStorage(localOptions(env)),
  r2: (rest: string, env: Environment) => {
    const { bucket, parameters } = toBucket(rest)
    const keys = requireKeys(env, ['R2_ACCESS_KEY_ID', 'R2_SECRET_ACCESS_KEY'])
    const read = readerOf(env)
    return new R2Storage({
      bucket,
      accessKeyId: keys[0],
      secretAccessKey: keys[1],
      sessionToken: read('R2_SESSION_TOKEN'),
      endpoint: parameters.endpoint ?? checkEndpoint(requireKeys(env, ['R2_ENDPOINT_URL'])[0] ?? '', bucket),
      region: parameters.region ?? read('R2_REGION'),
      prefix: parameters.prefix ?? read('R2_PREFIX'),
      cacheControl: read('R2_CACHE_CONTROL'),
      publicBaseUrl: toPublicBaseUrl(read('R2_PUBLIC_BASE_URL'), 'R2_PUBLIC_BASE_URL'),
    })
  },
  s3: (rest: string, env: Environment) => {
    const { bucket, parameters } = toBucket(rest)
    const read = readerOf(env)
    const given = AWS_KEYS.some((variable) => read(variable) !== undefined)
    const keys = given ? requireKeys(env, AWS_KEYS) : []
    return new S3Storage({
      bucket,
      accessKeyId: keys[0],
      secretAccessKey: keys[1],
      sessionToken: given ? read('AWS_SESSION_TOKEN') : undefined,
      endpoint: parameters.endpoint ?? read('AWS_ENDPOINT_URL_S3') ?? read('AWS_ENDPOINT_URL'),
      region: parameters.region ?? read('AWS_REGION') ?? read('AWS_DEFAULT_REGION'),
      prefix: parameters.prefix,
    })
  },
} as const

const AWS_KEYS = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'] as const

function requireKeys(env: Environment, variables: readonly string[]): string[] {
  return Object.values(
    requireAll(env, variables, (missing) => `the keys come from the environment, but ${missing}`),
  )
}

const PARAMETERS = ['endpoint', 'region', 'prefix'] as const

function toBucket(rest: string): {
  bucket: string
  parameters: { [Parameter in (typeof PARAMETERS)[number]]?: string }
} {
  const [bucket = '', query = ''] = rest.split(/\?(.*)/s)
  const given = Object.fromEntries(new URLSearchParams(query))
  for (const parameter of Object.keys(given)) {
    if (!PARAMETERS.some((known) => known === parameter)) {
      throw new Problem(
        'Misconfigured',
        `there is no parameter "${parameter}"; there are ${PARAMETERS.join(', ')}`,
      )
    }
  }
  return { bucket, parameters: given }
}
