// The S3 server of the benchmarks. It has its own process, so that only the clients' work is measured. It checks no
// signature and keeps objects in memory. Of bodies over 1 MiB it keeps only the length.
import http from 'node:http'

const MIB = 1024 * 1024
const FILLER = Buffer.alloc(MIB, 'stowage ')
const KEPT_HEADERS = [
  'content-type',
  'cache-control',
  'content-disposition',
  'content-encoding',
  'content-language',
]

/** Key, with the bucket before it, to `{ size, body?, headers }`. */
const objects = new Map()
/** Upload id to `{ key, headers, parts: Map(number → size) }`. */
const uploads = new Map()
let counts = {}
let serial = 0

const newEtag = () => `"${(++serial).toString(16).padStart(32, '0')}"`

function keptHeaders(request, etag) {
  const headers = { etag, 'last-modified': new Date().toUTCString(), 'accept-ranges': 'bytes' }
  for (const name in request.headers) {
    if (KEPT_HEADERS.includes(name) || name.startsWith('x-amz-meta-')) headers[name] = request.headers[name]
  }
  headers['content-type'] ??= 'application/octet-stream'
  return headers
}

function answer(response, status, headers, body) {
  response.writeHead(
    status,
    body === undefined
      ? { 'x-amz-request-id': 'bench', 'content-length': 0, ...headers }
      : { 'x-amz-request-id': 'bench', 'content-length': Buffer.byteLength(body), ...headers },
  )
  response.end(body)
}

const xml = (response, body, status = 200) =>
  answer(
    response,
    status,
    { 'content-type': 'application/xml' },
    `<?xml version="1.0" encoding="UTF-8"?>\n${body}`,
  )

const failure = (response, status, code) =>
  xml(response, `<Error><Code>${code}</Code><Message>${code}</Message></Error>`, status)

/** Receives a body: all of it up to 1 MiB, otherwise its length. AWS's chunk framing counts as well. */
function receive(request, done) {
  const chunks = []
  let size = 0
  request.on('data', (chunk) => {
    size += chunk.length
    if (size <= MIB) chunks.push(chunk)
    else chunks.length = 0
  })
  request.on('end', () =>
    done({ size, body: size <= MIB ? (chunks.length === 1 ? chunks[0] : Buffer.concat(chunks)) : undefined }),
  )
}

function deliver(request, response, object) {
  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '')
  const start = range ? Number(range[1]) : 0
  const end = range?.[2] ? Math.min(Number(range[2]) + 1, object.size) : object.size
  const headers = { ...object.headers, 'content-length': end - start, 'x-amz-request-id': 'bench' }
  if (range) headers['content-range'] = `bytes ${start}-${end - 1}/${object.size}`
  response.writeHead(range ? 206 : 200, headers)
  if (request.method === 'HEAD') return response.end()
  if (object.body) return response.end(object.body.subarray(start, end))
  let left = end - start
  const pump = () => {
    while (left > 0) {
      const piece = left >= MIB ? FILLER : FILLER.subarray(0, left)
      left -= piece.length
      if (!response.write(piece)) return response.once('drain', pump)
    }
    response.end()
  }
  pump()
}

/** minio asks for open uploads to continue. The answer is always an empty list. */
const listUploads = (response, bucket) =>
  xml(
    response,
    `<ListMultipartUploadsResult><Bucket>${bucket}</Bucket><KeyMarker></KeyMarker><UploadIdMarker></UploadIdMarker><MaxUploads>1000</MaxUploads><IsTruncated>false</IsTruncated></ListMultipartUploadsResult>`,
  )

/** `generated-<count>/…` lists that many made-up names. Any other prefix lists stored objects. */
function list(response, bucket, query) {
  const prefix = query.get('prefix') ?? ''
  const size = Math.min(Number(query.get('max-keys') ?? 1000), 1000)
  const token = query.get('continuation-token')
  const generated = /^generated-(\d+)\/?$/.exec(prefix)
  const keys = generated ? undefined : storedBelow(`${bucket}/${prefix}`, bucket.length + 1)
  const total = generated ? Number(generated[1]) : keys.length
  const start = token ? Number(token.slice('after-'.length)) : 0
  const end = Math.min(start + size, total)
  let contents = ''
  for (let index = start; index < end; index++) {
    const key = keys?.[index] ?? `generated-${total}/report-${String(index).padStart(9, '0')}.pdf`
    const bytes = keys ? objects.get(`${bucket}/${key}`).size : 16384
    contents += `<Contents><Key>${key}</Key><LastModified>2026-01-02T03:04:05.678Z</LastModified><ETag>&quot;${String(index).padStart(32, '0')}&quot;</ETag><Size>${bytes}</Size><StorageClass>STANDARD</StorageClass></Contents>`
  }
  const more =
    end < total
      ? `<IsTruncated>true</IsTruncated><NextContinuationToken>after-${end}</NextContinuationToken>`
      : '<IsTruncated>false</IsTruncated>'
  xml(
    response,
    `<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>${bucket}</Name><Prefix>${prefix}</Prefix><MaxKeys>${size}</MaxKeys><KeyCount>${end - start}</KeyCount>${query.get('encoding-type') ? '<EncodingType>url</EncodingType>' : ''}${more}${contents}</ListBucketResult>`,
  )
}

function storedBelow(start, cut) {
  const keys = []
  for (const key of objects.keys()) if (key.startsWith(start)) keys.push(key.slice(cut))
  return keys.sort()
}

function put(request, response, key, query) {
  if (request.headers['content-length'] === undefined) {
    request.resume()
    return failure(response, 411, 'MissingContentLength') // Like S3 and R2.
  }
  receive(request, ({ size, body }) => {
    const etag = newEtag()
    const upload = uploads.get(query.get('uploadId'))
    if (query.has('uploadId')) {
      if (!upload) return failure(response, 404, 'NoSuchUpload')
      upload.parts.set(Number(query.get('partNumber')), size)
      return answer(response, 200, { etag })
    }
    if (request.headers['if-none-match'] === '*' && objects.has(key)) {
      return failure(response, 412, 'PreconditionFailed')
    }
    objects.set(key, { size, body, headers: keptHeaders(request, etag) })
    answer(response, 200, { etag })
  })
}

function post(request, response, key, bucket, query) {
  if (query.has('uploads')) {
    const id = `upload-${++serial}`
    uploads.set(id, { key, headers: keptHeaders(request, newEtag()), parts: new Map() })
    request.resume()
    return xml(
      response,
      `<InitiateMultipartUploadResult><Bucket>${bucket}</Bucket><Key>k</Key><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`,
    )
  }
  receive(request, ({ body = '' }) => {
    if (query.has('delete')) {
      let deleted = ''
      for (const [, name] of body.toString().matchAll(/<Key>(.*?)<\/Key>/g)) {
        objects.delete(`${bucket}/${name}`)
        deleted += `<Deleted><Key>${name}</Key></Deleted>`
      }
      return xml(response, `<DeleteResult>${deleted}</DeleteResult>`)
    }
    const upload = uploads.get(query.get('uploadId'))
    if (!upload) return failure(response, 404, 'NoSuchUpload')
    if (request.headers['if-none-match'] === '*' && objects.has(upload.key)) {
      return failure(response, 412, 'PreconditionFailed')
    }
    uploads.delete(query.get('uploadId'))
    let size = 0
    for (const part of upload.parts.values()) size += part
    objects.set(upload.key, { size, body: undefined, headers: upload.headers })
    xml(
      response,
      `<CompleteMultipartUploadResult><Location>l</Location><Bucket>${bucket}</Bucket><Key>k</Key><ETag>&quot;${upload.headers.etag.slice(1, -1)}-${upload.parts.size}&quot;</ETag></CompleteMultipartUploadResult>`,
    )
  })
}

/** For the benchmark: `fill` stores many small objects, `clear` removes them, `counts` reads and resets counters. */
function control(response, action, query) {
  const prefix = query.get('prefix') ?? ''
  if (action === 'fill') {
    const size = Number(query.get('size') ?? 16384)
    const body = size <= MIB ? Buffer.alloc(size, 'x') : undefined
    const headers = {
      etag: newEtag(),
      'last-modified': new Date().toUTCString(),
      'content-type': 'application/octet-stream',
    }
    const count = Number(query.get('count'))
    for (let index = 0; index < count; index++)
      objects.set(`bench/${prefix}${index}`, { size, body, headers })
    return answer(response, 200, {})
  }
  if (action === 'clear') {
    for (const key of objects.keys()) if (key.startsWith(`bench/${prefix}`)) objects.delete(key)
    return answer(response, 200, {})
  }
  const told = JSON.stringify(counts)
  counts = {}
  answer(response, 200, {}, told)
}

const server = http.createServer({ keepAliveTimeout: 60_000, requestTimeout: 0 }, (request, response) => {
  const [rawPath, rawQuery = ''] = request.url.split('?', 2)
  const query = new URLSearchParams(rawQuery)
  if (rawPath.startsWith('/-/')) {
    request.resume()
    return control(response, rawPath.slice(3), query)
  }
  counts[request.method] = (counts[request.method] ?? 0) + 1
  const path = rawPath.includes('%') ? decodeURIComponent(rawPath) : rawPath
  const slash = path.indexOf('/', 1)
  const bucket = slash === -1 ? path.slice(1) : path.slice(1, slash)
  const key = path.slice(1)
  if (request.method === 'PUT') return put(request, response, key, query)
  if (request.method === 'POST') return post(request, response, key, bucket, query)
  request.resume()
  if (request.method === 'DELETE') {
    if (query.has('uploadId')) uploads.delete(query.get('uploadId'))
    else objects.delete(key)
    response.writeHead(204, { 'x-amz-request-id': 'bench' })
    return response.end()
  }
  if (query.has('uploads')) return listUploads(response, bucket)
  if (slash === -1 || slash === path.length - 1) return list(response, bucket, query)
  const object = objects.get(key)
  if (object) return deliver(request, response, object)
  if (request.method === 'HEAD') return answer(response, 404, {})
  failure(response, 404, 'NoSuchKey')
})

server.listen(0, '127.0.0.1', () => process.send?.({ endpoint: `http://127.0.0.1:${server.address().port}` }))
process.on('disconnect', () => process.exit())
