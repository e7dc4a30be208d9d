import { Problem } from '../../errors.js'

/** Keys to sign requests with. */
export interface S3Credentials {
  /** The public half of a key pair. */
  readonly accessKeyId: string
  /** The secret half. */
  readonly secretAccessKey: string
  /** Belongs to temporary credentials only. */
  readonly sessionToken?: string | undefined
  /** When they end; a provider is asked again before that. */
  readonly expiration?: Date | undefined
}

/** The options that say where keys come from. */
interface KeyOptions {
  readonly accessKeyId?: string | undefined
  readonly secretAccessKey?: string | undefined
  readonly credentials?: unknown
  readonly client?: unknown
}

/** Whether the options say where keys come from. */
export function hasKeys({ client, credentials, accessKeyId, secretAccessKey }: KeyOptions): boolean {
  return Boolean(client || credentials || (accessKeyId && secretAccessKey))
}

/** The error about keys that are missing. */
export function missingKeys({ accessKeyId, secretAccessKey }: KeyOptions): Problem {
  const missing = Object.entries({ accessKeyId, secretAccessKey }).filter(([, value]) => !value)
  return misconfigured(
    `${missing.map(([option]) => option).join(' and ')} must be given, or a credentials provider, or a client`,
  )
}

/** Credentials, checked, as a copy. What a file's line break is part of would be no header. */
export function toCredentials(given: S3Credentials): S3Credentials {
  const { accessKeyId, secretAccessKey, expiration } = given
  const sessionToken = given.sessionToken || undefined
  for (const [option, value] of Object.entries({ accessKeyId, secretAccessKey, sessionToken })) {
    if (option === 'sessionToken' && value === undefined) continue
    if (typeof value !== 'string' || !/^[\x21-\x7e]+$/.test(value))
      throw misconfigured(`${option} must be printable ASCII without white space or line breaks`)
  }
  return { accessKeyId, secretAccessKey, sessionToken, expiration: expiration && new Date(expiration) }
}

function misconfigured(reason: string): Problem {
  return new Problem('Misconfigured', reason)
}
