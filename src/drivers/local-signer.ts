import { crypto } from '../crypto.js'
import type { SignedAddress, SignedGrant, SignedRequest, SignRequest, SignUploadRequest } from '../driver.js'
import { Problem } from '../errors.js'
import type { PartAddress, PartGrant, SignPartRequest } from '../upload-driver.js'
import { joinUrl } from './options.js'

/** Options of signed addresses, for storages whose files the application serves itself. */
export interface LocalSigningOptions {
  /**
   * The key of signed addresses, 32 bytes or more. Several: the first signs, all of them verify, so that a key can be
   * replaced without breaking the addresses that are out. Default: a random one for each process.
   */
  signingSecret?: string | readonly string[] | undefined
  /**
   * Tells storages with the same secret and `baseUrl` apart: an address of one is not valid for the other. Default `''`.
   */
  realm?: string | undefined
}

/** Signs the addresses of one storage, and verifies them: HMAC-SHA256 over all that they allow. */
export interface LocalSigner {
  sign(request: SignRequest): string
  signUpload(request: SignUploadRequest): SignedRequest
  /** The permission that an address gives now; undefined where its signature is missing, wrong or expired. */
  verify(address: SignedAddress): SignedGrant | undefined
  /** The query of the address of a part. */
  signPart(request: SignPartRequest): string
  /** The permission that the address of a part gives now; undefined where its signature is missing, wrong or expired. */
  verifyPart(address: PartAddress): PartGrant | undefined
}

/** Seconds: no address is valid for longer, whatever it says. */
const MAX_EXPIRY = 604_800
const MIN_SECRET_BYTES = 32

let randomSecret: Buffer | undefined

/** @throws {Problem} `Misconfigured` for a short secret. */
export function localSigner(
  baseUrl: string,
  { signingSecret, realm = '' }: LocalSigningOptions,
): LocalSigner {
  const secrets = typeof signingSecret === 'string' ? [signingSecret] : signingSecret
  for (const secret of secrets ?? []) {
    if (typeof secret !== 'string' || Buffer.byteLength(secret) < MIN_SECRET_BYTES) {
      throw new Problem(
        'Misconfigured',
        `the option signingSecret must have ${MIN_SECRET_BYTES} bytes or more`,
      )
    }
  }
  if (secrets?.length === 0) throw new Problem('Misconfigured', 'the option signingSecret is an empty list')
  if (typeof realm !== 'string') throw new Problem('Misconfigured', 'the option realm must be a string')

  const keys = (): readonly (string | Buffer)[] => {
    if (secrets) return secrets
    randomSecret ??= crypto().randomBytes(MIN_SECRET_BYTES)
    return [randomSecret]
  }
  /** JSON frames the fields: no two lists of them have the same text. */
  const macOf = (key: string | Buffer, method: string, name: string, terms: string): Buffer =>
    crypto()
      .createHmac('sha256', key)
      .update(JSON.stringify(['stowage-1', method, baseUrl, realm, name, terms]))
      .digest()

  const queryOf = (method: string, subject: string, terms: Times): string => {
    const [key = ''] = keys()
    const encoded = Buffer.from(JSON.stringify(terms)).toString('base64url')
    const mac = macOf(key, method, subject, encoded).toString('base64url')
    return `signed=${encoded}.${mac}`
  }
  const addressOf = (name: string, { method, ...terms }: Terms): string =>
    `${joinUrl(baseUrl, name)}?${queryOf(method, name, terms)}`

  /** The terms of a query that was signed by us for this method and subject, and is valid now. */
  const termsOf = (method: string, subject: string, query: string) => {
    const [, encoded, signature] = /^\??signed=([\w-]+)\.([\w-]{43})$/.exec(query) ?? []
    if (encoded === undefined || signature === undefined) return undefined
    const given = Buffer.from(signature, 'base64url')
    // The last character has two bits more than the signature.
    if (given.toString('base64url') !== signature) return undefined
    const { timingSafeEqual } = crypto()
    if (!keys().some((key) => timingSafeEqual(macOf(key, method, subject, encoded), given))) return undefined
    const terms = JSON.parse(Buffer.from(encoded, 'base64url').toString())
    const left = terms.expires - Date.now() / 1000
    return left > 0 && left <= MAX_EXPIRY ? terms : undefined
  }

  return {
    sign({ name, method, contentDisposition, contentType, ...times }) {
      return addressOf(name, { method, expires: endOf(times), contentDisposition, contentType })
    },
    signUpload({ name, size, createOnly, attributes, ...times }) {
      const url = addressOf(name, { method: 'PUT', expires: endOf(times), size, createOnly, attributes })
      return { url, headers: { 'content-type': attributes.contentType } }
    },
    verify({ method, name, query }) {
      // Signed by us with this method, so it has our form.
      const terms = termsOf(method, name, query)
      return terms && { ...terms, method }
    },
    signPart({ name, id, number, ...times }) {
      const terms: PartTerms = { expires: endOf(times), name }
      return queryOf(PART, `${id}/${number}`, terms)
    },
    verifyPart({ id, number, query }) {
      const terms: PartTerms | undefined = termsOf(PART, `${id}/${number}`, query)
      return terms && { name: terms.name }
    },
  }
}

/** In the place of a method. HTTP has none with a space, so no address of a part is one of a file. */
const PART = 'PUT part'

interface Times {
  readonly expires: number
}

type PartTerms = PartGrant & Times

type Terms = SignedGrant & Times

function endOf({ signedAt, expiresIn }: { readonly signedAt: Date; readonly expiresIn: number }): number {
  return Math.floor(signedAt.getTime() / 1000) + expiresIn
}
