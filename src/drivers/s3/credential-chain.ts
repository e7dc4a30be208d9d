import { readText } from '../../error-fields.js'
import { Problem } from '../../errors.js'
import { lazily, once } from '../../load.js'
import type { S3Credentials } from './keys.js'

const loadChain = lazily(() => import('@aws-sdk/credential-provider-node'))

/** Variables that say where keys are. Without them an empty chain is a mistake of the set-up. */
const SOURCES = [
  'AWS_CONTAINER_CREDENTIALS_FULL_URI',
  'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI',
  'AWS_WEB_IDENTITY_TOKEN_FILE',
] as const

/** A provider of keys by AWS's default chain. Its code is loaded with the first request. */
export function defaultChain(region: string): () => Promise<S3Credentials> {
  const chain = once(async () => (await loadChain()).defaultProvider({ clientConfig: { region } }))
  return async () => {
    const provide = await chain()
    try {
      // The keeper of the credentials asks only when it needs others.
      return await provide({ forceRefresh: true })
    } catch (error) {
      throw explain(error)
    }
  }
}

/** The SDK's own words may hold paths and hosts. */
function explain(cause: unknown): Problem {
  const found = SOURCES.some((variable) => process.env[variable])
  if (readText(cause, 'name') === 'CredentialsProviderError' && !found) {
    const ways = 'give accessKeyId and secretAccessKey, set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY'
    return new Problem('Misconfigured', `there are no AWS credentials: ${ways}, or run it under a role`, {
      cause,
    })
  }
  return new Problem('Unavailable', "AWS's default credential chain failed: see the cause", { cause })
}
