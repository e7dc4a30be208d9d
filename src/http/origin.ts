/** Whether a text can be the host of an address: a name or an IP address, with or without a port. */
export function isHost(text: string | null | undefined): text is string {
  return (
    typeof text === 'string' &&
    /^(?:[a-z\d][\w.-]*|\[[\da-f:.]+\])(?::\d{1,5})?$/i.test(text) &&
    URL.canParse(`http://${text}`)
  )
}

/**
 * Scheme and host by which a client reaches this application. With `trustProxy` by what the last proxy says: `Forwarded`
 * (RFC 7239), else `X-Forwarded-Proto` and `X-Forwarded-Host`. Anyone could send these without a proxy.
 */
export function originOf({ url, headers }: Request, trustProxy: boolean): string {
  const own = new URL(url)
  if (!trustProxy) return own.origin
  const forwarded = headers.get('forwarded')
  const proto = forwarded === null ? first(headers.get('x-forwarded-proto')) : fieldOf(forwarded, 'proto')
  const host = forwarded === null ? first(headers.get('x-forwarded-host')) : fieldOf(forwarded, 'host')
  const scheme = /^https?$/i.test(proto ?? '') ? `${proto}:` : own.protocol
  return new URL(`${scheme}//${isHost(host) ? host : own.host}`).origin
}

/** The first proxy's value is the client's own address of the application. */
function first(list: string | null): string | undefined {
  return list?.split(',')[0]?.trim()
}

function fieldOf(forwarded: string, field: string): string | undefined {
  const [, quoted, plain] =
    new RegExp(`(?:^|;)\\s*${field}=(?:"([^"]*)"|([^\\s;"]*))`, 'i').exec(first(forwarded) ?? '') ?? []
  return quoted ?? plain
}
