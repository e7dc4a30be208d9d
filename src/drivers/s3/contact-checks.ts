import { type CheckOutcome, failed, ok, warning } from '../../checks.js'
import { isAwsHost, isR2Host } from './address.js'
import type { S3Config } from './config.js'
import type { Contact } from './contact.js'
import { isSetUpCode } from './failures.js'
import { PAGE } from './s3-error.js'

/** Codes of S3 that say that a key is unknown, wrong or has ended, and what to do. */
const KEYS: Readonly<Record<string, readonly [string, string]>> = {
  InvalidAccessKeyId: unknownKey(),
  Unauthorized: unknownKey(),
  SignatureDoesNotMatch: [
    'The server knows the access key id, but the secret access key does not belong to it.',
    'Copy the secret access key again, or make a new key pair.',
  ],
  ExpiredToken: [
    'The temporary credentials have expired.',
    'Get new ones, or give a credentials provider, which renews them.',
  ],
  InvalidToken: [
    'The server refuses the session token.',
    'Give the session token that belongs to the key pair, or none for permanent keys.',
  ],
  RequestTimeTooSkewed: [
    'The server refuses every signature, because its clock and the one of this machine differ.',
    'Set the clock of this machine; turn on NTP.',
  ],
  NotEntitled: ['The account has no R2 subscription.', 'Turn on R2 in the dashboard of Cloudflare.'],
  AuthorizationHeaderMalformed: [
    'The signature is for another region.',
    'Set the region that the bucket is in (R2: auto).',
  ],
  InvalidRegionName: [
    'The signature is for a region that the server does not know.',
    'Set the region that the bucket is in (R2: auto).',
  ],
}

function unknownKey(): readonly [string, string] {
  return [
    'The server does not know the access key id.',
    'Check the access key id, and that the endpoint is the one of its account.',
  ]
}

/** Seconds between two clocks from which on signed addresses begin or end at the wrong time, and are refused. */
const NOTICEABLE = 60
const REFUSED = 15 * 60

/** The address as it is written, before anything is sent. */
export function checkAddress({ endpoint, addressing, bucket }: S3Config): CheckOutcome {
  if (endpoint === undefined) return ok('The endpoint is the one of the client.')
  const { hostname, host, protocol } = new URL(endpoint)
  if (addressing === 'virtual' || !hostname.startsWith(`${bucket.toLowerCase()}.`)) {
    return ok(`The endpoint is ${endpoint}, the bucket "${bucket}".`)
  }
  const without = `${protocol}//${host.slice(bucket.length + 1)}`
  const message = `The host of the endpoint begins with the name of the bucket: ${host}.`
  if (isR2Host(host) || isAwsHost(host)) return failed(message, `Set the endpoint to ${without}.`)
  return warning(
    message,
    `If files end up in a folder "${bucket}" of the bucket, set the endpoint to ${without}.`,
  )
}

/** Whether there is an S3 server. */
export function checkEndpoint(config: S3Config, made: Contact): CheckOutcome {
  const { failure, problem, reason, proxy, took } = made
  const host = config.address?.host ?? 'the server'
  if (problem) return failed(`The request cannot be sent: ${problem.message}.`, 'Correct the set-up.')
  const by = proxy === undefined ? '' : ` through the proxy ${proxy.url.host}`
  const answers = ok(`${host} answers${by}, within ${took} ms.`)
  if (failure === undefined) return answers
  const { status, code } = failure
  if (status === 407 || code === 'PROXY_UNAUTHORIZED') {
    return failed(
      `The proxy ${proxy?.url.host ?? ''} asks for a user and a password.`,
      'Put them into HTTPS_PROXY or HTTP_PROXY, or name the server in NO_PROXY.',
    )
  }
  if (status === undefined) return unreachable(proxy?.url.host, host, code)
  if (status >= 300 && code !== '' && code !== PAGE) {
    if (status < 500 || code === 'NotImplemented') return answers
    return failed(
      `${host} answers, but has a problem: ${reason}.`,
      "Wait, and look at the state of the server or at its provider's status page.",
    )
  }
  return failed(
    `An answer of status ${status} came, which is not from an S3 server.`,
    proxy === undefined
      ? 'Check the endpoint. If it is right, a proxy or a portal of the network answers in its place.'
      : `The proxy ${proxy.url.host} may answer in its place: check it, or name ${host} in NO_PROXY.`,
  )
}

function unreachable(proxy: string | undefined, host: string, code: string): CheckOutcome {
  if (code === 'PROXY_REFUSED') {
    return failed(
      `The proxy ${proxy ?? ''} does not connect to ${host}.`,
      `Allow ${host} in the proxy, or name it in NO_PROXY.`,
    )
  }
  const [whose, what] = proxy === undefined ? ['endpoint', host] : ['proxy', proxy]
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    return failed(
      `No DNS server knows the host ${what} of the ${whose}.`,
      `Check the ${whose} for a typing error, and whether this machine can resolve names.`,
    )
  }
  if (code === 'ECONNREFUSED') {
    return failed(
      `Nothing listens at ${what}: the ${whose} refuses connections.`,
      `Check host and port of the ${whose}, and that the server is up.`,
    )
  }
  if (isSetUpCode(code)) return insecure(host, code)
  const detail = code === '' ? '' : ` (${code})`
  if (code.startsWith('HPE_')) {
    return failed(
      `${what} answers, but does not speak HTTP${detail}.`,
      `Check scheme and port of the ${whose}: https or http.`,
    )
  }
  return failed(
    `${what} does not answer${detail}.`,
    `Check the ${whose}, and whether a firewall lets this machine through.`,
  )
}

function insecure(host: string, code: string): CheckOutcome {
  if (/SELF_SIGNED|UNABLE_TO_/.test(code)) {
    return failed(
      `The certificate of ${host} is not from an authority that this machine trusts (${code}).`,
      "Name the authority's certificate in NODE_EXTRA_CA_CERTS.",
    )
  }
  if (code === 'CERT_HAS_EXPIRED') {
    return failed(
      `The certificate of ${host} has expired.`,
      'Renew it on the server, or set the clock of this machine.',
    )
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return failed(
      `The certificate of ${host} is for another host.`,
      'Check the endpoint: it may have the bucket in its host, or lead to another server.',
    )
  }
  return failed(
    `No secure connection to ${host} comes about (${code}).`,
    'Check the scheme of the endpoint: http for a server without TLS.',
  )
}

/** The clock of this machine beside the server's. */
export function checkClock({ ahead }: Contact): CheckOutcome {
  if (ahead === undefined) return ok('The server does not tell its time.')
  const seconds = Math.round(Math.abs(ahead) / 1000)
  if (seconds < NOTICEABLE) return ok("The clock of this machine agrees with the server's.")
  const off = seconds < 120 ? `${seconds} seconds` : `${Math.round(seconds / 60)} minutes`
  const message = `The clock of this machine is ${off} ${ahead > 0 ? 'behind' : 'ahead of'} the server's.`
  const remedy = 'Set the clock of this machine; turn on NTP.'
  if (seconds < REFUSED) return warning(`${message} Signed addresses end at the wrong time.`, remedy)
  return failed(`${message} Signed addresses are refused until the first request has corrected it.`, remedy)
}

/** Whether the server takes the keys. */
export function checkKeys({ failure }: Contact): CheckOutcome {
  const found = failure && Object.hasOwn(KEYS, failure.code) ? KEYS[failure.code] : undefined
  if (found) return failed(found[0], found[1])
  if (failure?.status === 401) return failed(...unknownKey())
  return ok('The server takes the keys.')
}

/** What the answer says of the bucket. Undefined where it is there, and the keys may not look. */
export function checkBucket(bucket: string, { failure, reason }: Contact): CheckOutcome | undefined {
  const { code = '', status } = failure ?? {}
  if (code === 'NoSuchBucket') {
    return failed(
      `There is no bucket "${bucket}" on this server.`,
      'Check the name of the bucket, and the endpoint: each account and each jurisdiction of R2 has its own.',
    )
  }
  if (code === 'PermanentRedirect' || (status !== undefined && status >= 300 && status < 400)) {
    return failed(
      `The bucket "${bucket}" is in another region.`,
      'Set the region and the endpoint of the bucket.',
    )
  }
  if (status === 403) return undefined
  if (status === undefined || status === 404) return ok(`The bucket "${bucket}" is there.`)
  return failed(`The bucket "${bucket}" cannot be used: ${reason}.`, 'Correct what the message names.')
}
