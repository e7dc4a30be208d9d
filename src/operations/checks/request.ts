import { type CheckOutcome, failed, skipped } from '../../checks.js'
import { readField, readText } from '../../error-fields.js'

/** Bytes that are read of an answer: more than the files of a diagnosis have. */
const MOST = 64 * 1024

/** The answer to a request to an address of the storage. */
export interface Answer {
  /** Undefined: no answer came, or the address has no host. */
  readonly status: number | undefined
  /** Host and port of the address. Its path and query may be secret. Empty where there is none. */
  readonly host: string
  readonly headers: Headers
  /** The first of its bytes. */
  readonly body: Buffer
  /** The system's code for why no answer came. */
  readonly code: string
}

/** Sends a request. Throws only when it is aborted. */
export async function send(
  url: string,
  init: RequestInit & { readonly signal: AbortSignal },
): Promise<Answer> {
  const none = { status: undefined, headers: new Headers(), body: Buffer.alloc(0), code: '' }
  if (!/^https?:\/\//i.test(url)) return { ...none, host: '' }
  const { host } = new URL(url)
  try {
    const response = await fetch(url, init)
    const chunks: Uint8Array[] = []
    let bytes = 0
    for await (const chunk of response.body ?? []) {
      chunks.push(chunk)
      bytes += chunk.byteLength
      if (bytes > MOST) break
    }
    return { status: response.status, host, headers: response.headers, body: Buffer.concat(chunks), code: '' }
  } catch (error) {
    if (init.signal.aborted) throw init.signal.reason
    return { ...none, host, code: readText(readField(error, 'cause'), 'code') ?? '' }
  }
}

/** Whether no answer came. */
export function isDown({ status }: Answer): boolean {
  return status === undefined
}

/** What it means that no answer came. */
export function noAnswer({ host, code }: Answer): CheckOutcome {
  if (host === '') {
    return skipped('Addresses begin with a path, which the application serves itself (createFileHandler).')
  }
  if (usesProxy()) {
    return skipped(`${host} is not reached without the proxy of this machine, which this check does not use.`)
  }
  const detail = code === '' ? '' : ` (${code})`
  return failed(
    `${host} does not answer${detail}.`,
    `Check that the address is right, that ${host} is up, and that its certificate is valid.`,
  )
}

/** Node's own `fetch` goes past a proxy of the environment. */
function usesProxy(): boolean {
  const names = ['https_proxy', 'HTTPS_PROXY', 'http_proxy', 'HTTP_PROXY']
  return names.some((name) => (process.env[name] ?? '').trim() !== '')
}
