import { type Check, type CheckOutcome, failed, ok, skipped, warning } from '../../checks.js'
import { isStorageError } from '../../errors.js'
import { attempt } from './files.js'
import { type Answer, isDown, noAnswer, send } from './request.js'
import { explained } from './run.js'
import type { Trial } from './trial.js'

const NO_SIGNATURE = 'Check that a proxy or CDN passes the query and the headers of a request on unchanged.'

/** The checks of public and signed addresses, by real requests. `origin`: the pages that upload. */
export function addressChecks(trial: Trial, origin: string | undefined): Check[] {
  const { storage } = trial
  const file = trial.name('file.txt')
  const base = { group: 'Addresses', essential: false, needs: ['write'], writes: true }
  /** The answer of the public address. */
  let published: Answer | undefined
  /** Whether the public address is the signed one without its signature, and does not work. */
  let isBroken = false
  const signed = async (method: 'GET' | 'HEAD', signal: AbortSignal) => {
    if (isBroken) return skipped('Not checked, because "public-url" failed.')
    return attempt('No address can be signed', {}, async () => {
      const url = await storage.signedUrl(file, { method, signal })
      return judgeSigned(method, await send(url, { method, signal }), trial)
    })
  }
  const publicUrl = async (signal: AbortSignal) => {
    const url = addressOf(trial, file)
    if (typeof url !== 'string') return url
    const answer = await send(url, { method: 'GET', signal })
    published = answer
    const isSame = url === (await storage.signedUrl(file, { signal })).replace(/\?.*$/s, '')
    if (isSame && isRefused(answer)) {
      return skipped('The storage has no public addresses; files are reached by signed ones only.')
    }
    const outcome = judgePublic(answer, trial)
    isBroken = isSame && outcome.status === 'failed'
    return outcome
  }
  return [
    {
      ...base,
      check: 'public-url',
      run: ({ signal }) => attempt('There is no public address', {}, () => publicUrl(signal)),
    },
    {
      ...base,
      check: 'cache-headers',
      needs: ['public-url', 'read'],
      run: async ({ signal }) => judgeCache(published, (await storage.stat(file, { signal })).cacheControl),
    },
    { ...base, check: 'signed-get', needs: ['write', 'read'], run: ({ signal }) => signed('GET', signal) },
    { ...base, check: 'signed-head', needs: ['signed-get'], run: ({ signal }) => signed('HEAD', signal) },
    {
      ...base,
      check: 'signed-put',
      needs: ['signed-get'],
      run: ({ signal }) =>
        attempt('No upload can be signed', {}, async () => judgePut(await put(trial, signal), trial, signal)),
    },
    ...(origin === undefined ? [] : [cors(trial, origin)]),
  ]
}

/** The public address. Only the endpoint of a caller's own client is not known. */
function addressOf({ storage }: Trial, name: string): string | CheckOutcome {
  try {
    return storage.url(name)
  } catch (error) {
    if (!isStorageError(error) || error.code !== 'Misconfigured') throw error
    return skipped(`The storage knows no public address: ${explained(error)}.`)
  }
}

function isRefused({ status = 0 }: Answer): boolean {
  return status >= 400 && status < 404
}

function judgePublic(answer: Answer, { content }: Trial): CheckOutcome {
  const { status, host, body } = answer
  if (isDown(answer)) return noAnswer(answer)
  if (status === 401 || status === 403) {
    return failed(
      `The public address at ${host} refuses the file (${status}).`,
      'Turn on public access to the bucket, or its custom domain, and check for a login in front of it.',
    )
  }
  if (status === 404) {
    return failed(
      `The public address at ${host} does not know the file (404).`,
      'Check that it leads to this bucket and folder (R2_PUBLIC_BASE_URL, MEDIA_URL), and that the domain is connected.',
    )
  }
  if (status !== 200) {
    return failed(
      `The public address at ${host} answers ${status}.`,
      'Look at the server or the CDN at this address.',
    )
  }
  if (!body.equals(content)) {
    return failed(
      `The public address at ${host} serves something else than the file.`,
      'Check that it leads to this bucket and folder (R2_PUBLIC_BASE_URL, MEDIA_URL), not to a page of its own.',
    )
  }
  return ok(`${host} serves the file to everybody.`)
}

function judgeCache(answer: Answer | undefined, stored: string | undefined): CheckOutcome {
  const control = answer?.headers.get('cache-control') ?? undefined
  const status = answer?.headers.get('cf-cache-status') ?? answer?.headers.get('x-cache') ?? undefined
  const cache = status === undefined ? '' : `; the cache says ${status.slice(0, 40)}`
  if (control === undefined) {
    if (stored === undefined) return ok(`No Cache-Control is set: browsers decide themselves${cache}.`)
    return warning(
      `The public address does not send the Cache-Control of the file${cache}.`,
      'Let the CDN or proxy pass Cache-Control on.',
    )
  }
  if (/no-store|no-cache|max-age=0|private/i.test(control) && control !== stored) {
    return warning(
      `The public address sends Cache-Control: ${control.slice(0, 100)}, so nothing is cached.`,
      'Look for a cache rule of the CDN that replaces the Cache-Control of files.',
    )
  }
  return ok(`Cache-Control is ${control.slice(0, 100)}${cache}.`)
}

function judgeSigned(method: string, answer: Answer, { content }: Trial): CheckOutcome {
  const { status, host, body, headers } = answer
  if (isDown(answer)) return noAnswer(answer)
  if (status !== 200) {
    return failed(`A signed ${method} at ${host} is refused (${status}).`, NO_SIGNATURE)
  }
  const isRight =
    method === 'HEAD' ? headers.get('content-length') === String(content.byteLength) : body.equals(content)
  if (isRight) return ok(`A signed ${method} gets the file.`)
  return failed(`A signed ${method} at ${host} gets something else than the file.`, NO_SIGNATURE)
}

/** Uploads by a signed address. It may overwrite: whether the server creates only is the question of another check. */
async function put({ storage, content, written, folder }: Trial, signal: AbortSignal, origin?: string) {
  const options = { size: content.byteLength, contentType: 'text/plain' } as const
  const upload = await storage.signedUpload(`${folder}/uploaded.txt`, {
    ...options,
    ifExists: 'overwrite',
    signal,
  })
  written.add(upload.name)
  const headers = origin === undefined ? upload.headers : { ...upload.headers, origin }
  return send(upload.url, { method: 'PUT', headers, body: content, signal })
}

async function judgePut(
  answer: Answer,
  { storage, folder, content }: Trial,
  signal: AbortSignal,
): Promise<CheckOutcome> {
  const { status = 0, host } = answer
  if (isDown(answer)) return noAnswer(answer)
  if (status < 200 || status > 299) {
    return failed(`A signed PUT at ${host} is refused (${status}).`, NO_SIGNATURE)
  }
  const file = await storage.open(`${folder}/uploaded.txt`, { signal })
  if ((await file.read()).equals(content)) return ok('A signed PUT stores a file.')
  return failed('A signed PUT stores something else than was sent.', NO_SIGNATURE)
}

/** What a browser does: asks whether a page of this origin may upload, and uploads. */
function cors(trial: Trial, origin: string): Check {
  const remedy = `Run \`stowage cors --set ${origin}\`, or call setCors({ origins: ['${origin}'] }).`
  return {
    group: 'Addresses',
    check: 'cors',
    essential: false,
    writes: true,
    needs: ['signed-put'],
    run: ({ signal }) =>
      attempt('No upload can be signed', {}, async () => {
        const { storage, folder, content } = trial
        const upload = await storage.signedUpload(`${folder}/uploaded.txt`, {
          size: content.byteLength,
          contentType: 'text/plain',
          signal,
        })
        const preflight = await send(upload.url, {
          method: 'OPTIONS',
          headers: {
            origin,
            'access-control-request-method': 'PUT',
            'access-control-request-headers': Object.keys(upload.headers).sort().join(','),
          },
          signal,
        })
        if (isDown(preflight)) return noAnswer(preflight)
        const { status = 0, headers } = preflight
        if (status < 200 || status > 299 || !allows(headers, origin)) {
          return failed(`Pages of ${origin} may not upload: CORS does not allow it.`, remedy)
        }
        const sent = await put(trial, signal, origin)
        const exposed = (sent.headers.get('access-control-expose-headers') ?? '').toLowerCase()
        if (!allows(sent.headers, origin)) {
          return failed(`Pages of ${origin} may not see the answer to an upload.`, remedy)
        }
        if (!/(?:^|[\s,])(?:etag|\*)(?:$|[\s,])/.test(exposed)) {
          return failed(`Pages of ${origin} do not see the ETag, which uploads in parts need.`, remedy)
        }
        return ok(`Pages of ${origin} may upload.`)
      }),
  }
}

function allows(headers: Headers, origin: string): boolean {
  const allowed = headers.get('access-control-allow-origin')
  return allowed === '*' || allowed === origin
}
