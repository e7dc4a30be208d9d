import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { R2Storage, type R2StorageOptions } from 'stowage'
import { afterEach, describe, expect, it } from 'vitest'
import { type RawCall, type RawServer, rawAnswer, startRawServer } from '../servers/raw-server.js'

const CONTENT = Buffer.from('0123456789'.repeat(500))
const ETAG = `"${createHash('md5').update(CONTENT).digest('hex')}"`
const OBJECT = { ETag: ETAG, 'Last-Modified': 'Tue, 03 Nov 2026 10:00:00 GMT', 'Content-Type': 'text/plain' }

const servers: RawServer[] = []
afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop()
})

describe.each([true, false])('fastPath %s', (fastPath) => {
  async function start(reply: RawServer['reply']): Promise<RawServer> {
    const server = await startRawServer(reply)
    servers.push(server)
    return server
  }

  function storageOn(server: RawServer, changes: Partial<R2StorageOptions> = {}): R2Storage {
    const keys = { accessKeyId: 'id', secretAccessKey: 'secret', bucket: 'test-bucket' }
    const times = { connectTimeout: 300, idleTimeout: 300, retryTimeout: 3_000 }
    return new R2Storage({ ...keys, ...times, endpoint: server.endpoint, fastPath, ...changes })
  }

  /** What an honest server answers to a read with a range. */
  function rest({ headers }: RawCall): Buffer {
    const offset = Number(/^bytes=(\d+)-/.exec(headers.range ?? '')?.[1])
    const size = CONTENT.byteLength
    if (offset >= size) return rawAnswer(416, { 'Content-Range': `bytes */${size}` })
    const range = { 'Content-Range': `bytes ${offset}-${size - 1}/${size}` }
    return rawAnswer(206, { ...OBJECT, ...range }, CONTENT.subarray(offset))
  }

  const whole = (length: number) => rawAnswer(200, { ...OBJECT, 'Content-Length': String(length) })

  it('stores a large content although the way to the server is slow', async () => {
    const server = await start((call, socket) => {
      socket.write(rawAnswer(200, call.method === 'PUT' ? { ETag: ETAG } : {}))
    })
    server.bytesPerSecond = 4 * 1024 * 1024
    const name = storageOn(server, { maxAttempts: 1 }).save('slow.bin', Buffer.alloc(6 * 1024 * 1024), {
      ifExists: 'overwrite',
    })
    expect(await name).toBe('slow.bin')
  })

  describe.each(['breaks off', 'stalls', 'says nothing more'])('a refusal that %s', (how) => {
    const NOT_THERE = '<?xml version="1.0"?><Error><Code>NoSuchKey</Code><Message>no</Message></Error>'
    const refusal = rawAnswer(404, { 'Content-Type': 'application/xml' }, NOT_THERE)
    const startIt = async () => {
      let refusals = 0
      return start(({ method }, socket) => {
        if (method === 'HEAD') return void socket.write(rawAnswer(404))
        refusals += 1
        if (how === 'says nothing more') return void socket.write(rawAnswer(404))
        if (refusals > 1) return void socket.write(refusal)
        const half = refusal.subarray(0, refusal.byteLength - 60)
        socket.write(half, () => how === 'breaks off' && setTimeout(() => socket.destroy(), 20))
      })
    }

    it('still tells that a file is not there', async () => {
      expect(await storageOn(await startIt()).exists('a.txt')).toBe(false)
      await expect(storageOn(await startIt()).stat('a.txt')).rejects.toMatchObject({ code: 'NotFound' })
      await expect(storageOn(await startIt()).open('a.txt')).rejects.toMatchObject({ code: 'NotFound' })
    })
  })

  it('fetches a body that trickles over another connection', async () => {
    const server = await start((call, socket) => {
      if (call.headers.range !== undefined) return void socket.write(rest(call))
      socket.write(whole(CONTENT.byteLength))
      let sent = 0
      const timer = setInterval(() => socket.write(CONTENT.subarray(sent, ++sent)), 50)
      socket.once('close', () => clearInterval(timer))
    })
    const storage = storageOn(server)
    const begun = Date.now()
    expect(await (await storage.open('a.txt')).text()).toBe(CONTENT.toString())
    expect(await (await storage.open('a.txt')).stream().toArray().then(Buffer.concat)).toEqual(CONTENT)
    expect(Date.now() - begun).toBeLessThan(20_000)
    expect(server.calls.filter(({ headers }) => headers.range === undefined)).toHaveLength(2)
  })

  it('does not take a slow reader for a slow server', async () => {
    const server = await start((_, socket) => {
      socket.write(Buffer.concat([whole(CONTENT.byteLength), CONTENT]))
    })
    const chunks: Buffer[] = []
    for await (const chunk of (await storageOn(server).open('a.txt')).stream()) {
      chunks.push(chunk)
      await sleep(700)
    }
    expect(Buffer.concat(chunks)).toEqual(CONTENT)
    expect(server.calls).toHaveLength(1)
  })

  it('gives up a body that only ever trickles', async () => {
    const server = await start((call, socket) => {
      const offset = Number(/^bytes=(\d+)-/.exec(call.headers.range ?? '')?.[1] ?? 0)
      const size = CONTENT.byteLength
      const range = {
        'Content-Range': `bytes ${offset}-${size - 1}/${size}`,
        'Content-Length': `${size - offset}`,
      }
      socket.write(call.headers.range === undefined ? whole(size) : rawAnswer(206, { ...OBJECT, ...range }))
      const timer = setInterval(() => socket.write('x'), 20)
      socket.once('close', () => clearInterval(timer))
    })
    const read = storageOn(server, { idleTimeout: 100 })
      .open('a.txt')
      .then((file) => file.bytes())
    await expect(read).rejects.toMatchObject({ code: 'Unavailable', retryable: true })
  })

  it.each([true, false])('delivers all there is when more was announced; size told: %s', async (told) => {
    const server = await start((call, socket) => {
      if (call.method === 'HEAD') return void socket.write(whole(CONTENT.byteLength))
      if (call.headers.range !== undefined) socket.write(told ? rest(call) : rawAnswer(416))
      else socket.end(Buffer.concat([whole(CONTENT.byteLength + 100), CONTENT]))
    })
    expect(await (await storageOn(server).open('a.txt')).bytes()).toEqual(CONTENT)
  })

  it('does not take a range that is refused for the end of the file', async () => {
    const server = await start((call, socket) => {
      if (call.method === 'HEAD') return void socket.write(whole(CONTENT.byteLength))
      if (call.headers.range !== undefined) socket.write(rawAnswer(416))
      else socket.end(Buffer.concat([whole(CONTENT.byteLength), CONTENT.subarray(0, 4_000)]))
    })
    await expect((await storageOn(server).open('a.txt')).bytes()).rejects.toMatchObject({ status: 416 })
  })

  it('tells the size of a file whose end a range starts past', async () => {
    const server = await start((call, socket) => void socket.write(rest(call)))
    const open = storageOn(server).open('a.txt', { range: { offset: 9_000 } })
    await expect(open).rejects.toMatchObject({ code: 'RangeNotSatisfiable', size: 5_000 })
  })

  it.each([
    { range: { offset: 0, length: 100 }, told: 'bytes 0-9/5000' },
    { range: { offset: 900 }, told: 'bytes 900-909/5000' },
    { range: { offset: -100 }, told: 'bytes 4900-4909/5000' },
    { range: { offset: -100, length: 50 }, told: 'bytes 4900-4909/5000' },
  ])('does not take ten bytes for the range $range', async ({ range, told }) => {
    const server = await start((_, socket) => {
      socket.write(rawAnswer(206, { ...OBJECT, 'Content-Range': told }, CONTENT.subarray(0, 10)))
    })
    const open = storageOn(server).open('a.txt', { range })
    await expect(open).rejects.toMatchObject({ code: 'Corrupt', message: /another range/ })
  })

  it('says what to do where a file is too large for one buffer, and frees its connection', async () => {
    let freed = false
    const server = await start((_, socket) => {
      socket.once('close', () => {
        freed = true
      })
      socket.write(whole(2 ** 52))
    })
    const read = storageOn(server)
      .open('a.txt')
      .then((file) => file.bytes())
    await expect(read).rejects.toMatchObject({ code: 'InvalidArgument', message: /use stream\(\)/ })
    await expect.poll(() => freed).toBe(true)
  })

  it('neither copies nor moves a file whose length the server does not tell', async () => {
    const server = await start(({ method }, socket) => {
      const framing = method === 'HEAD' ? { 'Transfer-Encoding': 'chunked' } : {}
      socket.write(rawAnswer(200, { ...OBJECT, ...framing }))
    })
    const storage = storageOn(server)
    for (const work of [
      storage.copy('a.txt', 'b.txt'),
      storage.move('a.txt', 'b.txt'),
      storage.size('a.txt'),
    ]) {
      await expect(work).rejects.toMatchObject({ code: 'Corrupt', message: /length/ })
    }
    expect(server.calls.every(({ method }) => method === 'HEAD')).toBe(true)
  })

  it('asks again when the two lengths of an answer differ', async () => {
    const server = await start((call, socket) => {
      const answer = rest(call)
      if (server.calls.length > 1) socket.write(answer)
      else socket.end(answer.toString('latin1').replace(/Content-Length: \d+/, 'Content-Length: 4000'))
    })
    const file = await storageOn(server).open('a.txt', { range: { offset: 10 } })
    expect(await file.bytes()).toEqual(CONTENT.subarray(10))
  })

  const xml = { 'Content-Type': 'application/xml' }
  const listing =
    '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult><Name>test-bucket</Name><Prefix></Prefix>' +
    '<KeyCount>2</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated>' +
    '<Contents><Key>a</Key><LastModified>2026-11-03T10:00:00.000Z</LastModified><ETag>"x"</ETag><Size>1</Size></Contents>' +
    '<Contents><Key>b</Key><LastModified>2026-11-03T10:00:00.000Z</LastModified><ETag>"x"</ETag><Size>1</Size></Contents>' +
    '</ListBucketResult>'

  it('does not take the beginning of a list for all of it', async () => {
    const server = await start((_, socket) => {
      const all = server.calls.length > 1
      socket.end(rawAnswer(200, xml, all ? listing : listing.slice(0, listing.indexOf('<Contents><Key>b'))))
    })
    expect((await storageOn(server).listdir()).files).toEqual(['a', 'b'])
  })

  it('asks again after an answer that is followed by more than it announced', async () => {
    const server = await start((_, socket) => {
      const longer = `HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n${listing}`
      socket.write(server.calls.length > 1 ? rawAnswer(200, xml, listing) : longer)
    })
    expect((await storageOn(server).listdir()).files).toEqual(['a', 'b'])
  })

  it('asks again after an answer that is no HTTP', async () => {
    const server = await start((_, socket) => {
      socket.write(server.calls.length > 1 ? rawAnswer(200, xml, listing) : 'SSH-2.0-OpenSSH_9.2\r\n')
    })
    expect((await storageOn(server).listdir()).files).toEqual(['a', 'b'])
  })

  it('does not take an error for a delete', async () => {
    const error = '<Error><Code>InternalError</Code><Message>no</Message></Error>'
    const server = await start((_, socket) => {
      socket.write(server.calls.length > 1 ? rawAnswer(204) : rawAnswer(200, xml, error))
    })
    await storageOn(server).delete('a.txt')
    expect(server.calls).toHaveLength(2)
  })

  it.each(['endless', 'trickling'])('bounds an answer that is %s', async (kind) => {
    const server = await start((_, socket) => {
      socket.write('HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n')
      const chunk = kind === 'endless' ? Buffer.alloc(0x10000, 'x') : 'x'
      const timer = setInterval(() => {
        for (let more = true; more && !socket.destroyed; more = kind === 'endless') {
          more =
            socket.write(
              Buffer.concat([
                Buffer.from(`${chunk.length.toString(16)}\r\n`),
                Buffer.from(chunk),
                Buffer.from('\r\n'),
              ]),
            ) && more
          if (!more || kind !== 'endless') break
        }
      }, 5)
      socket.once('close', () => clearInterval(timer))
    })
    const before = process.memoryUsage.rss()
    const begun = Date.now()
    const list = storageOn(server, { maxAttempts: 2 }).listdir()
    await expect(list).rejects.toMatchObject({ code: 'Unavailable', retryable: true })
    expect(Date.now() - begun).toBeLessThan(20_000)
    expect(process.memoryUsage.rss() - before).toBeLessThan(100 * 1024 * 1024)
  })

  it('takes names as they are listed where the server does not say that it encoded them', async () => {
    const keys = ['a+b', 'x%41', 'y%zz']
    const entries = keys.map((key) => `<Contents><Key>d/${key}</Key><Size>1</Size></Contents>`).join('')
    const page = `<ListBucketResult><Name>b</Name><KeyCount>3</KeyCount>${entries}</ListBucketResult>`
    const server = await start((_, socket) => void socket.write(rawAnswer(200, xml, page)))
    expect((await storageOn(server).listdir('d')).files).toEqual(keys)
  })

  it('lists below a prefix that the server matches in another normal form', async () => {
    const key = 'e\u0301e\u0301ba/abc.txt'
    const entry = `<Contents><Key>${key}</Key><Size>1</Size></Contents>`
    const page = `<ListBucketResult><Name>b</Name><KeyCount>1</KeyCount>${entry}</ListBucketResult>`
    const server = await start((_, socket) => void socket.write(rawAnswer(200, xml, page)))
    const names: string[] = []
    for await (const { name } of storageOn(server, { prefix: 'ééba' }).list()) names.push(name)
    expect(names).toEqual(['abc.txt'])
  })

  it.each(['', '../../etc/passwd', 'other/secret', 'ab'])(
    'deletes no %j, whatever is listed below a',
    async (key) => {
      const entry = `<Contents><Key>${key}</Key><Size>1</Size></Contents>`
      const page = `<ListBucketResult><Name>b</Name><KeyCount>1</KeyCount><IsTruncated>false</IsTruncated>${entry}</ListBucketResult>`
      const server = await start((_, socket) => void socket.write(rawAnswer(200, xml, page)))
      const deletion = storageOn(server).deletePrefix('a')
      await expect(deletion).rejects.toMatchObject({ code: 'Corrupt', retryable: false })
      expect(server.calls.map(({ method }) => method)).toEqual(['GET'])
    },
  )

  it('ends a list that goes on for ever without a key', async () => {
    let page = 0
    const server = await start((_, socket) => {
      const next = `<IsTruncated>true</IsTruncated><NextContinuationToken>${++page}</NextContinuationToken>`
      socket.write(rawAnswer(200, xml, `<ListBucketResult><KeyCount>0</KeyCount>${next}</ListBucketResult>`))
    })
    const list = storageOn(server, { retryTimeout: 50 }).listdir()
    await expect(list).rejects.toMatchObject({ code: 'Unavailable' })
  })

  it('ends a request whose connection becomes one of another protocol', async () => {
    const server = await start((_, socket) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n')
    })
    const storage = storageOn(server, { connectTimeout: 100, idleTimeout: 100, maxAttempts: 2 })
    await expect(storage.deleteMany(['a', 'b'])).rejects.toMatchObject({ code: 'Unavailable' })
    await expect(storage.stat('a')).rejects.toMatchObject({ code: 'Unavailable' })
  })
})

it('takes the page of a website for no answer about files', async () => {
  const html = { 'Content-Type': 'text/html' }
  const server = await startRawServer(({ method }, socket) => {
    const status = method === 'PUT' ? 501 : 404
    socket.write(
      method === 'HEAD' ? rawAnswer(status, html) : rawAnswer(status, html, '<!DOCTYPE HTML>\n<html>'),
    )
  })
  servers.push(server)
  const keys = { accessKeyId: 'id', secretAccessKey: 'secret', bucket: 'test-bucket' }
  const storage = new R2Storage({ ...keys, endpoint: server.endpoint })
  const work: readonly (() => Promise<unknown>)[] = [
    () => storage.listdir(),
    () => storage.open('a.txt'),
    () => storage.stat('a.txt'),
    () => storage.exists('a.txt'),
    () => storage.save('a.txt', 'a'),
    () => storage.deletePrefix('a'),
    () => storage.getCors(),
  ]
  for (const run of work) {
    const message = expect.stringContaining('the response is not from an S3 server: check the endpoint')
    await expect(run()).rejects.toMatchObject({ code: 'Unavailable', message })
  }
})
