import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { Agent } from 'node:http'
import { connect } from 'node:net'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { GetObjectCommand, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { patternChunks, type StrictR2, startStrictR2 } from './r2.js'
import { exchange, outcome, raw, sdkFor } from './r2-client.js'

let r2: StrictR2
let client: S3Client
const Bucket = 'test-bucket'

beforeAll(async () => {
  r2 = await startStrictR2()
  client = sdkFor(r2)
})
beforeEach(() => r2.reset())
afterAll(async () => {
  client.destroy()
  await r2.stop()
})

const signedPut = (Key: string) => getSignedUrl(client, new PutObjectCommand({ Bucket, Key }))
const put = (Key = 'k', Body = 'hello') => client.send(new PutObjectCommand({ Bucket, Key, Body }))
const get = (Key = 'k') => client.send(new GetObjectCommand({ Bucket, Key }))

/** A request written byte by byte, for what no client library would send. */
async function socketFor(url: string, headers: readonly string[]) {
  const { hostname, port, host, pathname, search } = new URL(url)
  const socket = connect(Number(port), hostname).setEncoding('utf8')
  await once(socket, 'connect')
  const received: string[] = []
  socket.on('data', (text: string) => received.push(text)).on('error', () => undefined)
  socket.write([`PUT ${pathname}${search} HTTP/1.1`, `Host: ${host}`, ...headers, '', ''].join('\r\n'))
  return { socket, received }
}

describe('bodies that do not arrive', () => {
  it('refuses a chunked body and one without a length', async () => {
    const chunked = await exchange(await signedPut('k'), 'PUT', { 'transfer-encoding': 'chunked' }, 'hello')
    expect(`${chunked.status} ${chunked.code}`).toBe('411 MissingContentLength')
    const { received } = await socketFor(await signedPut('k'), ['Connection: close'])
    await vi.waitFor(() => expect(received.join('')).toContain('MissingContentLength'))
    expect(r2.bucket().size).toBe(0)
  })

  it('stores nothing when the connection closes in mid-body', async () => {
    const before = r2.connections
    const { socket } = await socketFor(await signedPut('k'), ['Content-Length: 10'])
    socket.write('12345')
    await vi.waitFor(() => expect(r2.requests).toHaveLength(1))
    socket.destroy()
    await vi.waitFor(() => expect(r2.connections).toBe(before))
    expect(r2.bucket().size).toBe(0)
    expect(r2.requests[0]?.status).toBe(0)
  })

  it('answers IncompleteBody when the client ends its side early', async () => {
    const { socket, received } = await socketFor(await signedPut('k'), ['Content-Length: 10'])
    socket.end('12345')
    await vi.waitFor(() => expect(received.join('')).toContain('<Code>IncompleteBody</Code>'))
    expect(r2.bucket().size).toBe(0)
  })

  it('stores nothing when the client has gone before the write was done', async () => {
    r2.behaviour.delayMs = 200
    const { socket } = await socketFor(await signedPut('k'), ['Content-Length: 5'])
    socket.write('hello')
    await sleep(50)
    socket.destroy()
    await sleep(300)
    expect(r2.bucket().size).toBe(0)
    expect(await outcome(put('k'))).toBe('200')
  })

  it('refuses a declared length over 5 GiB without waiting for the body', async () => {
    const { received, socket } = await socketFor(await signedPut('k'), ['Content-Length: 6000000000'])
    await vi.waitFor(() => expect(received.join('')).toContain('EntityTooLarge'))
    socket.destroy()
  })

  it('never says 100 Continue, and ends the connection of a refused request that waits for it', async () => {
    const { socket, received } = await socketFor(await signedPut('k'), [
      'Content-Length: 5',
      'Expect: 100-continue',
    ])
    await sleep(100)
    expect(received).toEqual([])
    socket.write('hello')
    await vi.waitFor(() => expect(received.join('')).toContain('HTTP/1.1 200 OK'))
    expect(r2.requests[0]?.headers.expect).toBe('100-continue')
    socket.destroy()
    const refused = await socketFor(`${r2.endpoint}/test-bucket/k`, [
      'Content-Length: 5',
      'Expect: 100-continue',
    ])
    await once(refused.socket, 'close')
    expect(refused.received.join('')).toMatch(/401 Unauthorized[\s\S]*connection: close/i)
  })
})

it('keeps a pooled connection usable after every refusal', async () => {
  const own = await startStrictR2()
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const body = Buffer.alloc(3_000_000)
  for (let round = 0; round < 5; round += 1) {
    const attempt = { method: 'PUT', path: '/test-bucket/a', body, agent }
    expect((await raw(own, { ...attempt, accessKeyId: 'x' })).status).toBe(401)
    expect((await raw(own, { ...attempt, path: '/nope/a' })).status).toBe(404)
    expect((await raw(own, { ...attempt, headers: { 'x-amz-acl': 'public-read-write' } })).status).toBe(501)
    expect((await raw(own, attempt)).status).toBe(200)
    expect((await raw(own, { path: '/test-bucket/none', agent })).status).toBe(404)
    expect((await raw(own, { method: 'HEAD', path: '/test-bucket/none', agent })).status).toBe(404)
    expect((await raw(own, { path: '/test-bucket/a', agent })).body).toHaveLength(body.length)
  }
  expect(own.connections).toBe(1)
  agent.destroy()
  await own.stop()
})

it('handles many requests at once', async () => {
  const keys = Array.from({ length: 300 }, (_, index) => `k${index}`)
  await Promise.all(keys.map((key) => put(key, key)))
  const read = await Promise.all(keys.map(async (key) => (await get(key)).Body?.transformToString()))
  expect(read).toEqual(keys)
})

describe('faults', () => {
  it('answers in place of the operation', async () => {
    const codes = [503, 429]
    r2.behaviour.onRequest = () => {
      const status = codes.shift()
      return status === undefined ? 'pass' : { status, code: 'SlowDown', headers: { 'retry-after': '0' } }
    }
    const sent = await sdkFor(r2, { maxAttempts: 3 }).send(
      new PutObjectCommand({ Bucket, Key: 'k', Body: 'x' }),
    )
    expect(sent.$metadata.attempts).toBe(3)
    expect(r2.requests.map(({ status }) => status)).toEqual([503, 429, 200])
  })

  it('loses the acknowledgement of a write that was done', async () => {
    r2.behaviour.onRequest = ({ operation }) => {
      r2.behaviour.onRequest = undefined
      return operation === 'PutObject' ? { afterwards: 'reset' } : 'pass'
    }
    const createOnly = new PutObjectCommand({ Bucket, Key: 'k', Body: 'x', IfNoneMatch: '*' })
    expect(await outcome(sdkFor(r2, { maxAttempts: 2 }).send(createOnly))).toBe('412 PreconditionFailed')
    expect(r2.bucket().keys()).toEqual(['k'])
    r2.behaviour.onRequest = () => ({ afterwards: { status: 200, body: '<html>not S3</html>' } })
    await put('second')
    expect(r2.bucket().keys()).toEqual(['k', 'second'])
  })

  it('resets or hangs without doing anything', async () => {
    r2.behaviour.onRequest = () => 'reset'
    await expect(put()).rejects.toMatchObject({ code: 'ECONNRESET' })
    r2.behaviour.onRequest = () => 'hang'
    const sent = client.send(new PutObjectCommand({ Bucket, Key: 'k', Body: 'x' }), {
      abortSignal: AbortSignal.timeout(100),
    })
    await expect(sent).rejects.toMatchObject({ name: 'AbortError' })
    expect(r2.bucket().size).toBe(0)
    expect(r2.requests.map(({ status }) => status)).toEqual([0, 0])
  })

  it('answers before the body is read', async () => {
    r2.behaviour.onRequest = () => ({ status: 503, early: true })
    const { status } = await raw(r2, { method: 'PUT', path: '/test-bucket/a', body: Buffer.alloc(5_000_000) })
    expect(status).toBe(503)
  })

  it('cuts a body short, or lets it stall', async () => {
    r2.bucket().plant('k', 100_000)
    r2.behaviour.onRequest = () => ({ cutAfter: 70_000 })
    await expect((await get()).Body?.transformToByteArray()).rejects.toThrow('aborted')
    r2.behaviour.onRequest = () => ({ stallAfter: 10 })
    const stalled = (await get()).Body?.transformToByteArray() ?? Promise.resolve()
    expect(await Promise.race([stalled, sleep(100, 'still waiting')])).toBe('still waiting')
    void stalled.catch(() => undefined)
    client.destroy()
    client = sdkFor(r2)
  })
})

it('answers preflights and exposes ETag, when told to', async () => {
  const preflight = {
    method: 'OPTIONS',
    headers: { origin: 'https://a.example', 'access-control-request-headers': 'x-a' },
  }
  expect((await fetch(await signedPut('k'), preflight)).status).toBe(403)
  r2.behaviour.cors = true
  const allowed = await fetch(await signedPut('k'), preflight)
  expect(allowed.status).toBe(204)
  expect(allowed.headers.get('access-control-allow-origin')).toBe('https://a.example')
  expect(allowed.headers.get('access-control-allow-headers')).toBe('x-a')
  const sent = await fetch(await signedPut('k'), {
    method: 'PUT',
    body: 'x',
    headers: { origin: 'https://a.example' },
  })
  expect(sent.headers.get('access-control-expose-headers')).toBe('ETag')
})

it('compresses like the edge, when told to, for those who accept it', async () => {
  r2.bucket().plant('k', 'hello '.repeat(100), { headers: { 'content-type': 'text/plain' } })
  r2.behaviour.edgeCompression = true
  const url = await getSignedUrl(client, new GetObjectCommand({ Bucket, Key: 'k' }))
  const response = await fetch(url, { headers: { 'accept-encoding': 'gzip' } })
  expect(await response.text()).toHaveLength(600)
  expect(response.headers.get('content-length')).toBeNull()
  expect(response.headers.get('etag')).toMatch(/^W\//)
  expect((await get()).ContentLength).toBe(600)
})

it('runs as a process of its own that keeps no large bodies but serves them again', async () => {
  const script = fileURLToPath(new URL('r2-process.ts', import.meta.url))
  const options = JSON.stringify({ discardBodiesOver: 1_000_000, buckets: ['big'] })
  const child = spawn(process.execPath, ['--import', 'tsx', script, options], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const [line] = await once(createInterface(child.stdout), 'line')
  const remote = sdkFor(JSON.parse(String(line)))
  const body = Buffer.concat([...patternChunks(0, 20_000_000)])
  const { ETag } = await remote.send(new PutObjectCommand({ Bucket: 'big', Key: 'k', Body: body }))
  expect(ETag).toBe(`"${createHash('md5').update(body).digest('hex')}"`)
  const read = await remote.send(
    new GetObjectCommand({ Bucket: 'big', Key: 'k', Range: 'bytes=1000-19999998' }),
  )
  const bytes = Buffer.from((await read.Body?.transformToByteArray()) ?? [])
  expect(bytes.equals(body.subarray(1000, 19_999_999))).toBe(true)
  remote.destroy()
  child.stdin.end()
  expect(await once(child, 'exit')).toEqual([0, null])
})
