import { bytes } from './dom.js'

const MESSAGES = {
  0: () => 'The connection broke.',
  400: () => 'This name or text cannot be used.',
  401: () => 'Please reload the page.',
  413: ({ limit }) => `This is too large. Files may have up to ${bytes(limit)}.`,
  415: () => 'This type is not accepted. Send a PDF, a JPEG, a PNG or a voice note.',
  503: ({ wait }) =>
    `The storage cannot be reached. Please try again ${wait ? `in ${wait} seconds` : 'later'}.`,
  507: () => 'The storage is full. Please try again when there is room.',
}

/** A request that failed: a sentence for the user, and whether it is worth trying again. */
export class Problem extends Error {
  constructor(status, details = {}) {
    super((MESSAGES[status] ?? (() => 'That did not work.'))(details))
    this.canRetry = status === 0 || status >= 500
  }
}

/** Sends one request; a plain object as JSON. By `XMLHttpRequest`: `fetch` has no progress of uploads. */
export function send(method, url, body, { headers = {}, onProgress, signal, limit } = {}) {
  const isPlain = body.constructor === Object
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest()
    request.open(method, url)
    if (isPlain) request.setRequestHeader('content-type', 'application/json')
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value)
    request.upload.onprogress = ({ loaded, total }) => onProgress?.(loaded / total)
    request.onerror = () => reject(new Problem(0))
    request.onabort = () => reject(signal.reason)
    request.onload = () => {
      const { status, response } = request
      if (status < 300) resolve(method === 'POST' && response ? JSON.parse(response) : undefined)
      else reject(new Problem(status, { limit, wait: request.getResponseHeader('retry-after') }))
    }
    signal?.addEventListener('abort', () => request.abort())
    request.send(isPlain ? JSON.stringify(body) : body)
  })
}

/** Sends a form. The fields come before the file, so that the server knows them when the file arrives. */
export function sendForm(url, fields, file, options) {
  const form = new FormData()
  for (const [name, value] of Object.entries(fields)) form.append(name, value)
  form.append('file', file)
  return send('POST', url, form, options)
}
