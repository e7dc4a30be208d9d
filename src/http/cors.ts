import { Problem } from '../errors.js'

/** The rights of other sites. */
export interface Cors {
  /** The answer to a preflight. */
  preflight(request: Request): Response
  /** The same answer, with the headers that let the site read it. */
  mark(request: Request, response: Response): Response
}

/** Seconds that a browser may keep the answer to a preflight. */
const MAX_AGE = 3600

/** @throws {Problem} `Misconfigured` if a value is not an origin. */
export function toCors(origins: readonly string[] | undefined, methods: string): Cors {
  const allowed = new Set(origins)
  for (const origin of allowed) {
    if (origin !== '*' && !isOrigin(origin)) {
      throw new Problem('Misconfigured', 'the option cors must list origins, such as https://app.example.com')
    }
  }
  const originOf = (request: Request): string | undefined => {
    const origin = request.headers.get('origin')
    if (origin === null) return undefined
    return allowed.has('*') ? '*' : allowed.has(origin) ? origin : undefined
  }
  const mark = (request: Request, response: Response): Response => {
    if (allowed.size === 0) return response
    if (!allowed.has('*')) response.headers.append('vary', 'origin')
    const origin = originOf(request)
    if (origin === undefined) return response
    response.headers.set('access-control-allow-origin', origin)
    response.headers.set(
      'access-control-expose-headers',
      'ETag, Content-Length, Content-Range, Accept-Ranges',
    )
    return response
  }
  return {
    mark,
    preflight(request) {
      if (originOf(request) === undefined) return new Response(null, { status: 204 })
      return new Response(null, {
        status: 204,
        headers: {
          'access-control-allow-methods': methods,
          'access-control-allow-headers': request.headers.get('access-control-request-headers') ?? '',
          'access-control-max-age': String(MAX_AGE),
        },
      })
    },
  }
}

function isOrigin(text: string): boolean {
  try {
    return new URL(text).origin === text
  } catch {
    return false
  }
}
