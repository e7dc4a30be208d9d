import { setTimeout as sleep } from 'node:timers/promises'
import { inspect } from 'node:util'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { isStorageError, type ListedFile, R2Storage, type Storage } from 'stowage'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type RawCall, type RawServer, rawAnswer, startRawServer } from '../servers/raw-server.js'
import { report } from './figures.js'
import { FORM, SEED } from './form.js'

const MIB = 1024 * 1024
const TIMES = { connectTimeout: 200, idleTimeout: 200, retryTimeout: 400, maxAttempts: 2 }
/** `retryTimeout * 10` bounds what may be long (copies, completions) and trickles; a copy asks several questions. */
const DEADLINE = TIMES.retryTimeout * 10 + 6 * (TIMES.retryTimeout + TIMES.connectTimeout + TIMES.idleTimeout)
/** Of three answers at a time, of which each may be 8 MiB long, in buffers and as text, and 100 MB or endless is sent. */
const RSS_LIMIT = 96 * MIB
/** Attacks by mass. */
const LARGE = /^a 100 MB|^endless/
/** Of random answers, each to every method. */
const RUNS = FORM === 'quick' ? 4 : 100

type Method = (storage: Storage) => Promise<unknown>

/** A call, and what it may tell when it says that all went well, whatever it was answered. */
function method<T>(call: (storage: Storage) => Promise<T>, isFine: (value: T) => boolean): Method {
  return async (storage) => {
    const value = await call(storage)
    if (!isFine(value)) throw new Error(`went well, and told ${inspect(value).slice(0, 500)}`)
  }
}

const isNothing = (value: unknown) => value === undefined
const isCount = (value: number) => Number.isSafeInteger(value) && value >= 0
const isDate = (date: Date) => !Number.isNaN(date.getTime())
const isGoodName = (name: string) => name.split('/').every((part) => !['', '.', '..'].includes(part))
/** What `a.txt` is called when there is one. */
const isA = (name: string) => /^a(?:_\w{7})?\.txt$/.test(name)

const METHODS: Readonly<Record<string, Method>> = {
  save: method((storage) => storage.save('a.txt', 'x'), isA),
  overwrite: method(
    (storage) => storage.save('a.txt', 'x', { ifExists: 'overwrite' }),
    (name) => name === 'a.txt',
  ),
  'save a multipart stream': method(
    (storage) => storage.save('a.bin', Buffer.alloc(5 * MIB + 1)),
    (name) => /^a(?:_\w{7})?\.bin$/.test(name),
  ),
  open: method((storage) => storage.open('a.txt').then((file) => file.bytes()), Buffer.isBuffer),
  stream: method(
    (storage) => storage.open('a.txt').then((file) => file.stream().toArray()),
    (chunks) => chunks.every(Buffer.isBuffer),
  ),
  'open a range': method(
    (storage) => storage.open('a.txt', { range: { offset: 1, length: 2 } }).then((file) => file.bytes()),
    // A file may end there, so it may be less.
    (bytes) => bytes.byteLength <= 2,
  ),
  exists: method(
    (storage) => storage.exists('a.txt'),
    (there) => typeof there === 'boolean',
  ),
  stat: method(
    (storage) => storage.stat('a.txt'),
    ({ name, size, lastModified, contentType, etag, metadata }) =>
      name === 'a.txt' &&
      isCount(size) &&
      isDate(lastModified) &&
      [contentType, etag, ...Object.values(metadata)].every((text) => typeof text === 'string'),
  ),
  delete: method((storage) => storage.delete('a.txt'), isNothing),
  deleteMany: method((storage) => storage.deleteMany(['a.txt', 'b.txt']), isNothing),
  deletePrefix: method(
    (storage) => storage.deletePrefix('a'),
    ({ deleted }) => isCount(deleted),
  ),
  list: method(listed, (files) =>
    files.every(({ name, size, lastModified }) => isGoodName(name) && isCount(size) && isDate(lastModified)),
  ),
  listdir: method(
    (storage) => storage.listdir(),
    ({ directories, files }) => [...directories, ...files].every(isGoodName),
  ),
  copy: method(
    (storage) => storage.copy('a.txt', 'b.txt'),
    (name) => /^b(?:_\w{7})?\.txt$/.test(name),
  ),
  move: method(
    (storage) => storage.move('a.txt', 'b.txt', { ifExists: 'overwrite' }),
    (name) => name === 'b.txt',
  ),
}

async function listed(storage: Storage): Promise<ListedFile[]> {
  const files: ListedFile[] = []
  for await (const file of storage.list()) {
    files.push(file)
    // Whoever reads an endless list may stop; what counts is that it can.
    if (files.length === 5_000) break
  }
  return files
}

const OBJECT = {
  ETag: '"0123456789abcdef0123456789abcdef"',
  'Last-Modified': 'Tue, 03 Nov 2026 10:00:00 GMT',
  'Content-Type': 'text/plain',
}
const XML = { 'Content-Type': 'application/xml' }

function page(inner: string): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult><Name>b</Name><Prefix></Prefix><MaxKeys>1000</MaxKeys>${inner}</ListBucketResult>`
}

function entry(key: string, size = '1'): string {
  return `<Contents><Key>${key}</Key><LastModified>2026-11-03T10:00:00.000Z</LastModified><ETag>"e"</ETag><Size>${size}</Size></Contents>`
}

/** What an honest server says, of whatever it is asked. */
function honest({ method, url, headers }: RawCall): Buffer {
  const has = (text: string) => url.includes(text)
  if (method === 'POST' && has('uploads')) {
    return rawAnswer(
      200,
      XML,
      '<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>',
    )
  }
  if (method === 'POST' && has('uploadId')) {
    const result =
      '<CompleteMultipartUploadResult><Key>k</Key><ETag>"e-1"</ETag></CompleteMultipartUploadResult>'
    return rawAnswer(200, XML, result)
  }
  if (method === 'POST') {
    const deleted = ['a.txt', 'b.txt', 'a/1', 'a/2'].map((key) => `<Deleted><Key>${key}</Key></Deleted>`)
    return rawAnswer(200, XML, `<DeleteResult>${deleted.join('')}</DeleteResult>`)
  }
  if ('x-amz-copy-source' in headers) {
    const result = '<ETag>"e"</ETag><LastModified>2026-11-03T10:00:00.000Z</LastModified>'
    return rawAnswer(200, XML, `<CopyObjectResult>${result}</CopyObjectResult>`)
  }
  if (method === 'PUT') return rawAnswer(200, { ETag: OBJECT.ETag })
  if (method === 'DELETE') return rawAnswer(204)
  if (method === 'HEAD') return rawAnswer(200, { ...OBJECT, 'Content-Length': '10' })
  if (has('list-type=2')) {
    const entries = `${entry('a/1')}${entry('a/2')}`
    return rawAnswer(200, XML, page(`<KeyCount>2</KeyCount><IsTruncated>false</IsTruncated>${entries}`))
  }
  const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? '') ?? []
  if (first === undefined) return rawAnswer(200, OBJECT, '0123456789')
  const part = '0123456789'.slice(Number(first), last ? Number(last) + 1 : undefined)
  const end = Number(first) + part.length - 1
  return rawAnswer(206, { ...OBJECT, 'Content-Range': `bytes ${first}-${end}/10` }, part)
}

let server: RawServer
/** Where a redirect leads: nobody must come, least of all with a signature. */
let elsewhere: RawServer
const unhandled: unknown[] = []
const onUnhandled = (reason: unknown) => void unhandled.push(reason)
beforeAll(async () => {
  process.on('unhandledRejection', onUnhandled)
  server = await startRawServer((call, socket) => socket.write(honest(call)))
  elsewhere = await startRawServer((call, socket) => socket.write(honest(call)))
})
afterEach(() => {
  server.calls.length = 0
})
afterAll(async () => {
  process.off('unhandledRejection', onUnhandled)
  await server.stop()
  await elsewhere.stop()
})

/** Answers every request with these bytes. */
function bytes(answer: Buffer | string): RawServer['reply'] {
  return (_, socket) => void socket.write(answer)
}

/** As much as the client takes, of the same bytes again and again. */
function endless(head: string, chunk: Buffer, limit = Number.POSITIVE_INFINITY): RawServer['reply'] {
  return (_, socket) => {
    let sent = 0
    const pump = () => {
      while (sent < limit && !socket.destroyed) {
        sent += chunk.byteLength
        if (!socket.write(chunk)) return
      }
      if (sent >= limit) socket.end()
    }
    socket.on('drain', pump)
    socket.write(head)
    pump()
  }
}

const BOMB = `<?xml version="1.0"?><!DOCTYPE b [<!ENTITY a "${'x'.repeat(1000)}">${Array.from({ length: 12 }, (_, n) => `<!ENTITY ${'bcdefghijklm'[n]} "${`&${'abcdefghijkl'[n]};`.repeat(10)}">`).join('')}]>`
const EXTERNAL = '<?xml version="1.0"?><!DOCTYPE b [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
const CHUNKED = 'HTTP/1.1 200 OK\r\nETag: "e"\r\nTransfer-Encoding: chunked\r\n\r\n'
const lengths = [
  '-1',
  'NaN',
  '9007199254740993',
  '1e400',
  '4294967296',
  '0x10',
  '',
  ' ',
  '18446744073709551616',
]

function listOf(inner: (round: number) => string): RawServer['reply'] {
  let round = 0
  return (_, socket) => void socket.write(rawAnswer(200, XML, page(inner(++round))))
}

function truncated(token: string, contents = ''): string {
  return `<KeyCount>0</KeyCount><IsTruncated>true</IsTruncated><NextContinuationToken>${token}</NextContinuationToken>${contents}`
}

const ATTACKS: Readonly<Record<string, RawServer['reply']>> = {
  'an XML bomb': bytes(rawAnswer(200, XML, BOMB + page(`<KeyCount>1</KeyCount>${entry('&m;')}`))),
  'an XML bomb as an error': bytes(rawAnswer(400, XML, `${BOMB}<Error><Code>&m;</Code></Error>`)),
  'an external entity': bytes(rawAnswer(200, XML, EXTERNAL + page(`<KeyCount>1</KeyCount>${entry('&a;')}`))),
  'XML 100,000 levels deep': bytes(rawAnswer(200, XML, '<a>'.repeat(100_000))),
  'an error 100,000 levels deep': bytes(rawAnswer(400, XML, '<a>'.repeat(100_000))),
  'XML with a prototype': bytes(
    rawAnswer(200, XML, page('<__proto__><polluted>1</polluted></__proto__><constructor>1</constructor>')),
  ),
  'no headers': bytes('HTTP/1.1 200 OK\r\n\r\n'),
  'a length that is too long': bytes('HTTP/1.1 200 OK\r\nETag: "e"\r\nContent-Length: 1000\r\n\r\nshort'),
  'two lengths': bytes(
    'HTTP/1.1 200 OK\r\nETag: "e"\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nshort!',
  ),
  'a length and chunks': bytes(
    `HTTP/1.1 200 OK\r\nETag: "e"\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n0\r\n\r\n`,
  ),
  'garbage for dates and tags': bytes(
    rawAnswer(
      200,
      { ETag: '\u00ff\u00fe"', 'Last-Modified': 'yesterday', Expires: '-1', 'Content-Type': ';;;' },
      'x',
    ),
  ),
  'garbage in a list': bytes(
    rawAnswer(
      200,
      XML,
      page(
        `<KeyCount>NaN</KeyCount>${entry('a/1', '-1')}${entry('a/2', '1e400')}${entry('a/3', '9007199254740993')}${entry('a/4', 'NaN').replace('2026-11', '2026-99')}`,
      ),
    ),
  ),
  'a list with keys that decode to nothing': bytes(
    rawAnswer(200, XML, page(`<KeyCount>3</KeyCount>${entry('%E0%A4%A')}${entry('%')}${entry('%ff')}`)),
  ),
  'a list with the same token for ever': listOf(() => truncated('t', entry('a/1'))),
  'a list with new tokens for ever, and no keys': listOf((round) => truncated(`t${round}`)),
  'a list without a token': listOf(() => '<KeyCount>0</KeyCount><IsTruncated>true</IsTruncated>'),
  'a list of foreign keys': bytes(
    rawAnswer(
      200,
      XML,
      page(
        `<KeyCount>4</KeyCount>${['../../etc/passwd', '', 'other/secret', '..', 'a%00b', 'a%0d%0ab', '/', 'a//b'].map((key) => entry(key)).join('')}`,
      ),
    ),
  ),
  'a 100 MB error': endless(
    'HTTP/1.1 400 No\r\nConnection: close\r\n\r\n',
    Buffer.alloc(65_536, 'x'),
    100 * MIB,
  ),
  'a 100 MB success': endless(
    'HTTP/1.1 200 OK\r\nETag: "e"\r\nConnection: close\r\n\r\n',
    Buffer.alloc(65_536, 'x'),
    100 * MIB,
  ),
  'an endless body in chunks': endless(CHUNKED, Buffer.from(`10000\r\n${'x'.repeat(65_536)}\r\n`)),
  'an endless error in chunks': endless(
    CHUNKED.replace('200 OK', '500 No'),
    Buffer.from(`10000\r\n${'x'.repeat(65_536)}\r\n`),
  ),
  'endless white space': endless(CHUNKED, Buffer.from(`10000\r\n${' '.repeat(65_536)}\r\n`)),
  'endless headers': endless('HTTP/1.1 200 OK\r\n', Buffer.from(`X-Junk: ${'x'.repeat(1000)}\r\n`)),
  '5,000 headers': bytes(
    `HTTP/1.1 200 OK\r\n${Array.from({ length: 5_000 }, (_, n) => `X-${n}: 1\r\n`).join('')}\r\n`,
  ),
  'endless chunk extensions': endless(`${CHUNKED}5;`, Buffer.alloc(65_536, 'x')),
  'a flood of 100s': endless('', Buffer.from('HTTP/1.1 100 Continue\r\n\r\n'.repeat(1000))),
  'a flood of 102s': endless('', Buffer.from('HTTP/1.1 102 Processing\r\nX: y\r\n\r\n'.repeat(1000))),
  'a switch of protocols': bytes(
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n',
  ),
  'HTTP/1.0': (_, socket) => void socket.end('HTTP/1.0 200 OK\r\nETag: "e"\r\n\r\nbody'),
  'HTTP/0.9': (_, socket) => void socket.end('<html>'),
  'trailers after chunks': bytes(`${CHUNKED}4\r\nbody\r\n0\r\nETag: "other"\r\nContent-Length: 9\r\n\r\n`),
  'a body in gzip': bytes(rawAnswer(200, { ...OBJECT, 'Content-Encoding': 'gzip' }, gzipSync('0123456789'))),
  'an error in gzip': bytes(rawAnswer(400, { 'Content-Encoding': 'gzip' }, gzipSync('<Error/>'))),
  'a Retry-After of ages': bytes(rawAnswer(503, { 'Retry-After': '99999999999999999999' })),
  'a clock of another millennium': bytes(
    rawAnswer(
      403,
      { Date: 'Mon, 01 Jan 9999 00:00:00 GMT' },
      '<Error><Code>RequestTimeTooSkewed</Code></Error>',
    ),
  ),
  'a clock of no time': bytes(
    rawAnswer(403, { Date: 'now' }, '<Error><Code>RequestTimeTooSkewed</Code></Error>'),
  ),
  ...Object.fromEntries(
    [301, 302, 307, 308].map((status) => [
      `a redirect by ${status}`,
      (_: RawCall, socket: Parameters<RawServer['reply']>[1]) => {
        const body = '<Error><Code>PermanentRedirect</Code><Endpoint>evil.example</Endpoint></Error>'
        socket.write(rawAnswer(status, { Location: `${elsewhere.endpoint}/b/a.txt`, ...XML }, body))
      },
    ]),
  ),
  ...Object.fromEntries(
    lengths.map((length) => [
      `the length ${JSON.stringify(length)}`,
      bytes(`HTTP/1.1 200 OK\r\nETag: "e"\r\nContent-Length: ${length}\r\n\r\n0123456789`),
    ]),
  ),
  ...Object.fromEntries(
    lengths.map((length) => [
      `a range of the length ${JSON.stringify(length)}`,
      bytes(
        `HTTP/1.1 206 OK\r\nETag: "e"\r\nContent-Range: bytes 1-2/${length}\r\nContent-Length: 2\r\n\r\n01`,
      ),
    ]),
  ),
}

describe.each([true, false])('fastPath %s', (fastPath) => {
  const storage = (prefix = '', endpoint = server.endpoint) => {
    const keys = { accessKeyId: 'id', secretAccessKey: 'hush-hush-hush', bucket: 'test-bucket' }
    return new R2Storage({
      ...keys,
      ...TIMES,
      partSize: 5 * MIB,
      endpoint,
      fastPath,
      prefix,
    })
  }

  /** What a method comes to: in time, and by a StorageError if by any. */
  async function outcomeOf(name: string, work: Promise<unknown>): Promise<string | undefined> {
    const begun = Date.now()
    const outcome = await Promise.race([
      work.then(
        () => undefined,
        (error: unknown) => {
          if (!isStorageError(error))
            return `${name}: no StorageError: ${error instanceof Error ? error.stack : error}`
          if (error.retryable !== (error.code === 'Unavailable')) return `${name}: wrong retryable`
          if (`${error.message} ${error.stack}`.includes('hush-hush')) return `${name}: tells the secret`
          return undefined
        },
      ),
      sleep(DEADLINE, `${name}: not over after ${DEADLINE} ms`, { ref: false }),
    ])
    return outcome ?? (Date.now() - begun > DEADLINE ? `${name}: late` : undefined)
  }

  it('bears every attack in every method', async () => {
    const faults: string[] = []
    let slowest = { what: '', ms: 0 }
    const attack = async (name: string, reply: RawServer['reply'], together: number) => {
      await using attacker = await startRawServer(reply)
      const begun = Date.now()
      const target = storage('', attacker.endpoint)
      const methods = Object.entries(METHODS)
      for (let start = 0; start < methods.length; start += together) {
        const some = methods.slice(start, start + together)
        const all = some.map(([kind, call]) => outcomeOf(`${name}, ${kind}`, call(target)))
        for (const fault of await Promise.all(all)) if (fault !== undefined) faults.push(fault)
      }
      if (Date.now() - begun > slowest.ms) slowest = { what: name, ms: Date.now() - begun }
      const { calls } = attacker
      const empty = calls.find(
        ({ method, url }) => method === 'DELETE' && /^\/test-bucket\/?(?:\?|$)/.test(url),
      )
      if (empty) faults.push(`${name}: ${empty.method} ${empty.url}`)
    }
    const large = Object.entries(ATTACKS).filter(([name]) => LARGE.test(name))
    const others = Object.entries(ATTACKS).filter(([name]) => !LARGE.test(name))
    for (let start = 0; start < others.length; start += 10) {
      await Promise.all(others.slice(start, start + 10).map(([name, reply]) => attack(name, reply, 15)))
    }
    // One after the other, three methods at a time: each may hold what one answer may be long, 8 MiB.
    let grown = 0
    for (const [name, reply] of large) {
      const before = process.memoryUsage.rss()
      const watch = setInterval(() => {
        grown = Math.max(grown, process.memoryUsage.rss() - before)
      }, 20)
      await attack(name, reply, 3)
      clearInterval(watch)
    }
    report({
      trial: `Hostile S3 answers, fast path ${fastPath ? 'on' : 'off'}`,
      tried: `${Object.keys(ATTACKS).length} attacks in each of ${Object.keys(METHODS).length} methods`,
      outcome:
        `${faults.length} crashed, hung, late or other errors; ${elsewhere.calls.length} redirects followed; ` +
        `${Math.round(grown / MIB)} MiB more at most, slowest ${(slowest.ms / 1000).toFixed(1)} s (${slowest.what})`,
    })
    expect(faults).toEqual([])
    expect(grown).toBeLessThan(RSS_LIMIT)
    expect(elsewhere.calls).toEqual([])
    expect(elsewhere.connections).toBe(0)
    expect(unhandled).toEqual([])
    expect(Reflect.get({}, 'polluted')).toBeUndefined()
  })

  it('bears whatever becomes of an honest answer', async () => {
    let answers = 0
    await fc.assert(
      fc.asyncProperty(fc.array(MUTATION, { minLength: 1, maxLength: 4 }), async (mutations) => {
        server.reply = (call, socket) => {
          answers += 1
          const mutated = mutations.reduce((answer, mutate) => mutate(answer), honest(call))
          socket.end(mutated)
        }
        const target = storage('a')
        const all = Object.entries(METHODS).map(([kind, call]) => outcomeOf(kind, call(target)))
        const faults = (await Promise.all(all)).filter((fault) => fault !== undefined)
        if (faults.length > 0) throw new Error(faults.join('\n'))
        const empty = server.calls.find(
          ({ method, url }) => method === 'DELETE' && !url.startsWith('/test-bucket/a/'),
        )
        if (empty) throw new Error(`${empty.method} ${empty.url}`)
        server.calls.length = 0
      }),
      { numRuns: RUNS, seed: SEED, endOnFailure: true },
    )
    report({
      trial: `Random S3 answers, fast path ${fastPath ? 'on' : 'off'}`,
      tried: `${RUNS} changes of honest answers in each of ${Object.keys(METHODS).length} methods, ${answers} answers`,
      outcome: '0 crashed, hung, late or other errors',
    })
    expect(unhandled).toEqual([])
  })
})

type Mutation = (answer: Buffer) => Buffer

/** What may become of an answer on its way: of its status, its headers, its body, its bytes. */
const MUTATION: fc.Arbitrary<Mutation> = fc.oneof(
  fc.constantFrom(100, 199, 200, 203, 204, 206, 304, 400, 403, 404, 409, 412, 416, 429, 500, 503, 999).map(
    (status): Mutation =>
      (answer) =>
        replace(answer, /^HTTP\/1\.1 \d+/, `HTTP/1.1 ${status}`),
  ),
  fc.tuple(fc.nat(8), fc.string({ unit: 'binary' })).map(([index, value]): Mutation => {
    // Sometimes there are line ends in it: a header of its own.
    return (answer) =>
      replace(
        answer,
        new RegExp(`((?:\r\n[^\r]+){${index}}\r\n[^:\r]+: )[^\r]*`),
        `$1${value.replaceAll('$', '')}`,
      )
  }),
  fc.nat(8).map(
    (index): Mutation =>
      (answer) =>
        replace(answer, new RegExp(`((?:\r\n[^\r]+){${index}})\r\n[^:\r]+: [^\r]*`), '$1'),
  ),
  fc.constantFrom(...lengths).map(
    (length): Mutation =>
      (answer) =>
        replace(answer, /Content-Length: \d+/, `Content-Length: ${length}`),
  ),
  fc.constantFrom(...lengths, '../', '%00', '&m;', '<', '').map(
    (text): Mutation =>
      (answer) =>
        inBody(answer, (body) => body.replace(/>[^<>]+</, `>${text}<`)),
  ),
  fc.nat(400).map(
    (length): Mutation =>
      (answer) =>
        inBody(answer, (body) => body.slice(0, length)),
  ),
  fc.nat(1000).map(
    (length): Mutation =>
      (answer) =>
        answer.subarray(0, length),
  ),
  fc.tuple(fc.nat(1000), fc.uint8Array({ maxLength: 20 })).map(
    ([at, junk]): Mutation =>
      (answer) =>
        Buffer.concat([answer.subarray(0, at), junk, answer.subarray(at)]),
  ),
)

function replace(answer: Buffer, what: RegExp, by: string): Buffer {
  return Buffer.from(answer.toString('latin1').replace(what, by), 'latin1')
}

/** Changes a body together with its length. */
function inBody(answer: Buffer, change: (body: string) => string): Buffer {
  const [head = '', ...rest] = answer.toString('latin1').split('\r\n\r\n')
  const body = change(rest.join('\r\n\r\n'))
  return Buffer.from(
    `${head.replace(/Content-Length: \d+/, `Content-Length: ${body.length}`)}\r\n\r\n${body}`,
    'latin1',
  )
}
