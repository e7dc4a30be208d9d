// The floor of the S3 cases: one HTTP request by undici with a hand-made signature. It shares no code with the package.
import { createHash, createHmac } from 'node:crypto'
import { Pool } from 'undici'

const hmac = (key, text) => createHmac('sha256', key).update(text).digest()
const encode = (text) => encodeURIComponent(text).replace(/[!'()*]/g, percent)
const percent = (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`
const encodePath = (path) => (/^[\w./~-]*$/.test(path) ? path : path.split('/').map(encode).join('/'))

/** @param {{ endpoint: string, bucket: string, region: string, accessKeyId: string, secretAccessKey: string }} options */
export function createFloor({ endpoint, bucket, region, accessKeyId, secretAccessKey }) {
  const pool = new Pool(endpoint, { connections: 128, pipelining: 1 })
  const host = new URL(endpoint).host
  let keyDay = ''
  let signingKey
  let second = 0
  let stamp = ''

  /** `20260102T030405Z`, computed once a second. The signing key is computed once a day. */
  function now() {
    const current = Math.floor(Date.now() / 1000)
    if (current !== second) {
      second = current
      stamp = `${new Date(current * 1000).toISOString().slice(0, 19).replace(/[-:]/g, '')}Z`
      const day = stamp.slice(0, 8)
      if (day !== keyDay) {
        keyDay = day
        signingKey = hmac(hmac(hmac(hmac(`AWS4${secretAccessKey}`, day), region), 's3'), 'aws4_request')
      }
    }
    return stamp
  }

  function signatureOf(canonical, date, scope) {
    const text = `AWS4-HMAC-SHA256\n${date}\n${scope}\n${createHash('sha256').update(canonical).digest('hex')}`
    return createHmac('sha256', signingKey).update(text).digest('hex')
  }

  /** Signs a request. `headers` are signed as well. */
  function sign(method, path, query, headers) {
    const date = now()
    const scope = `${keyDay}/${region}/s3/aws4_request`
    const all = { ...headers, host, 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD', 'x-amz-date': date }
    const names = Object.keys(all).sort()
    let canonical = `${method}\n${path}\n${query}\n`
    for (const name of names) canonical += `${name}:${all[name]}\n`
    const signed = names.join(';')
    const signature = signatureOf(`${canonical}\n${signed}\nUNSIGNED-PAYLOAD`, date, scope)
    all.authorization = `AWS4-HMAC-SHA256 Credential=${accessKeyId}/${scope}, SignedHeaders=${signed}, Signature=${signature}`
    return all
  }

  async function send(method, key, { query = '', headers = {}, body, length } = {}) {
    const path = `/${bucket}/${encodePath(key)}`
    const signed = sign(method, path, query, headers)
    if (length !== undefined) signed['content-length'] = String(length)
    const response = await pool.request({
      method,
      path: query === '' ? path : `${path}?${query}`,
      headers: signed,
      body,
      reset: false,
    })
    if (response.statusCode >= 300) throw new Error(`${method} ${key}: ${response.statusCode}`)
    return response
  }

  async function put(key, bytes, headers) {
    const { body, headers: answer } = await send('PUT', key, {
      headers: {
        ...headers,
        'content-md5': createHash('md5').update(bytes).digest('base64'),
        'content-type': 'application/octet-stream',
      },
      body: bytes,
    })
    await body.dump()
    return answer.etag
  }

  return {
    save: (key, bytes) => put(key, bytes, undefined),
    saveNew: (key, bytes) => put(key, bytes, { 'if-none-match': '*' }),
    async open(key) {
      const { body } = await send('GET', key)
      return body.arrayBuffer()
    },
    async exists(key) {
      const { body } = await send('HEAD', key)
      await body.dump()
      return true
    },
    async delete(key) {
      const { body } = await send('DELETE', key)
      await body.dump()
    },
    async signedUrl(key) {
      const date = now()
      const scope = `${keyDay}/${region}/s3/aws4_request`
      const path = `/${bucket}/${encodePath(key)}`
      const query = `X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=${accessKeyId}%2F${keyDay}%2F${region}%2Fs3%2Faws4_request&X-Amz-Date=${date}&X-Amz-Expires=3600&X-Amz-SignedHeaders=host`
      const canonical = `GET\n${path}\n${query}\nhost:${host}\n\nhost\nUNSIGNED-PAYLOAD`
      return `${endpoint}${path}?${query}&X-Amz-Signature=${signatureOf(canonical, date, scope)}`
    },
    /** One plain PUT. It needs the length; the other contestants do not get it. */
    async upload(key, stream, length) {
      const { body } = await send('PUT', key, {
        headers: { 'content-type': 'application/octet-stream' },
        body: stream,
        length,
      })
      await body.dump()
    },
    async download(key) {
      return (await send('GET', key)).body
    },
    async *list(prefix) {
      for (let token = ''; ; ) {
        const query = `${token && `continuation-token=${token}&`}list-type=2&prefix=${encode(prefix)}`
        const text = await (await send('GET', '', { query })).body.text()
        for (const [, key, modified, etag, size] of text.matchAll(
          /<Contents><Key>(.*?)<\/Key><LastModified>(.*?)<\/LastModified><ETag>(.*?)<\/ETag><Size>(\d+)<\/Size>/g,
        )) {
          yield { name: key, lastModified: new Date(modified), etag, size: Number(size) }
        }
        token = /<NextContinuationToken>(.*?)</.exec(text)?.[1] ?? ''
        if (token === '') return
      }
    },
    async deleteMany(keys) {
      for (let start = 0; start < keys.length; start += 1000) {
        let xml = '<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        for (const key of keys.slice(start, start + 1000)) xml += `<Object><Key>${key}</Key></Object>`
        const bytes = Buffer.from(`${xml}</Delete>`)
        const headers = { 'content-md5': createHash('md5').update(bytes).digest('base64') }
        const { body } = await send('POST', '', { query: 'delete=', headers, body: bytes })
        await body.text()
      }
    },
    close: () => pool.close(),
  }
}
