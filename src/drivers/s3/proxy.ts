import { Problem } from '../../errors.js'

/** A forward proxy. */
export interface ForwardProxy {
  /** Without user and password, so that no error can show them. */
  readonly url: URL
  /** `Proxy-Authorization`, if the address has a user. */
  readonly headers: Readonly<Record<string, string>>
}

/** Environment variables, as in `process.env`. */
type Environment = Readonly<Record<string, string | undefined>>

/**
 * The proxy for a server by `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`, as curl reads them: lower case wins, an empty
 * value means none.
 */
export async function proxyFor(
  origin: string,
  env: Environment = process.env,
): Promise<ForwardProxy | undefined> {
  const { protocol, hostname, port } = new URL(origin)
  const variable = protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY'
  const address = variableOf(env, variable)
  if (address === '') return undefined
  const effectivePort = port || (protocol === 'https:' ? '443' : '80')
  if (await isExcepted(hostname, effectivePort, variableOf(env, 'NO_PROXY'))) return undefined
  return toProxy(address, variable)
}

function variableOf(env: Environment, variable: string): string {
  return (env[variable.toLowerCase()] ?? env[variable] ?? '').trim()
}

function toProxy(address: string, variable: string): ForwardProxy {
  const malformed = () =>
    new Problem(
      'Misconfigured',
      `${variable} must be the address of a proxy, such as http://proxy.example.com:3128`,
    )
  let url: URL
  let user: string
  try {
    url = new URL(/^[a-z][a-z0-9+.-]*:\/\//i.test(address) ? address : `http://${address}`)
    user = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`
  } catch {
    throw malformed()
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw malformed()
  url.username = ''
  url.password = ''
  const token = Buffer.from(user).toString('base64')
  return { url, headers: user === ':' ? {} : { 'proxy-authorization': `Basic ${token}` } }
}

/** Whether `NO_PROXY` names a host: `*`, a domain with all below it, an address or a block of them, each with a port or not. */
async function isExcepted(hostname: string, port: string, exceptions: string): Promise<boolean> {
  const host = hostname.replace(/^\[|\]$/g, '').toLowerCase()
  for (const entry of exceptions.toLowerCase().split(/[\s,]+/)) {
    if (entry === '') continue
    if (entry === '*') return true
    const [, name = '', only] = /^(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(entry) ?? [undefined, entry, undefined]
    if (only !== undefined && only !== port) continue
    const domain = name.replace(/^\[|\]$/g, '').replace(/^\*?\./, '')
    if (
      domain.includes('/') ? await isInBlock(host, domain) : host === domain || host.endsWith(`.${domain}`)
    ) {
      return true
    }
  }
  return false
}

/** Whether an IP address is in a block such as `10.0.0.0/8`. */
async function isInBlock(host: string, block: string): Promise<boolean> {
  const { BlockList, isIP } = await import('node:net')
  const [network = '', length = ''] = block.split('/')
  const family = isIP(network)
  if (family === 0 || isIP(host) !== family || !/^\d{1,3}$/.test(length)) return false
  const bits = Math.min(Number(length), family === 4 ? 32 : 128)
  const list = new BlockList()
  const type = family === 4 ? 'ipv4' : 'ipv6'
  list.addSubnet(network, bits, type)
  return list.check(host, type)
}
