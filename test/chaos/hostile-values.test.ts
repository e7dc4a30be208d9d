/** Contents, headers, metadata and options that mean harm, on every backend: kept as they are or refused, never both. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import {
  type Content,
  FileSystemStorage,
  isStorageError,
  MemoryStorage,
  R2Storage,
  type SaveOptions,
  type Storage,
} from 'stowage'
import { afterAll, describe, expect, it } from 'vitest'
import { temporaryFilesIn } from '../integration/child/folders.js'
import { optionsOf, startStrictR2 } from '../servers/r2.js'
import { report } from './figures.js'
import { FORM, SEED } from './form.js'

const MANY = { quick: 50, long: 500, soak: 500 }[FORM]

const folder = await mkdtemp(join(tmpdir(), 'stowage-values-'))
const server = await startStrictR2()
const r2 = (fastPath: boolean) =>
  new R2Storage({ ...optionsOf(server), bucket: 'test-bucket', fastPath, partSize: 5 * 2 ** 20 })
const backends: readonly (readonly [name: string, storage: Storage])[] = [
  ['MemoryStorage', new MemoryStorage()],
  ['FileSystemStorage', new FileSystemStorage({ location: folder, fsync: false })],
  ['R2Storage, fast path on', r2(true)],
  ['R2Storage, fast path off', r2(false)],
]

const unhandled: unknown[] = []
const note = (error: unknown) => void unhandled.push(error)
process.on('unhandledRejection', note)
let tried = 0

afterAll(async () => {
  process.off('unhandledRejection', note)
  report({
    trial: 'hostile contents, headers, metadata and options on every backend',
    tried: `${tried.toLocaleString('en')} calls`,
    outcome: 'each kept byte for byte or refused; nothing half stored, 0 unhandled rejections',
  })
  await rm(folder, { recursive: true, force: true })
  await server.stop()
})

/** Ends a call that would never end. */
async function within<T>(work: Promise<T>, ms: number): Promise<T> {
  const stop = new AbortController()
  const late = sleep(ms, undefined, { signal: stop.signal }).then(() =>
    assert.fail(`no answer after ${ms} ms`),
  )
  late.catch(() => {})
  try {
    return await Promise.race([work, late])
  } finally {
    stop.abort()
  }
}

/** After whatever came of a call, nothing half done may be left, nor anything that nobody waits for. */
async function nothingIsLeft(): Promise<void> {
  await sleep(5)
  assert.deepEqual(unhandled.splice(0), [])
  assert.deepEqual(await temporaryFilesIn(folder), [])
  assert.equal(server.openUploads, 0)
  const plain: object = {}
  assert.deepEqual([Reflect.get(plain, 'polluted'), Reflect.get(plain, 'by')], [undefined, undefined])
}

const boom = new Error('boom')
const hostile = (traps: object) => new Proxy({}, traps as ProxyHandler<object>)
const throwing = () => {
  throw boom
}
const iterating = (next: () => unknown) => ({ [Symbol.iterator]: () => ({ next }) })
const iteratingAsync = (next: () => unknown) => ({ [Symbol.asyncIterator]: () => ({ next }) })

/** Contents that cannot be stored, each made anew. */
const BAD_CONTENTS: Readonly<Record<string, () => unknown>> = {
  null: () => null,
  undefined: () => undefined,
  'a number': () => 5,
  'a symbol': () => Symbol('x'),
  'a function': () => () => 'x',
  'an object': () => ({ length: 3, 0: 'a' }),
  'a date': () => new Date(),
  'an object without a prototype': () => Object.create(null),
  'a proxy all of whose traps throw': () =>
    hostile(Object.fromEntries(TRAPS.map((trap) => [trap, throwing]))),
  'a proxy that has everything': () => hostile({ has: () => true, get: () => throwing }),
  'a proxy of bytes': () => new Proxy(Buffer.from('bytes'), {}),
  'an object whose constructor throws': () => Object.defineProperty({}, 'constructor', { get: throwing }),
  'an iterable that throws when it begins': () => ({ [Symbol.iterator]: throwing }),
  'an async iterable that throws when it begins': () => ({ [Symbol.asyncIterator]: throwing }),
  'an iterator that is a number': () => ({ [Symbol.iterator]: () => 5 }),
  'an iterator without next': () => ({ [Symbol.asyncIterator]: () => ({}) }),
  'an iterator that throws': () => iterating(throwing),
  'an iterator that answers nothing': () => iterating(() => undefined),
  'an iterator that answers text': () => iterating(() => 'chunk'),
  'an iterator whose answers throw': () =>
    iterating(() => Object.defineProperty({}, 'done', { get: throwing })),
  'an iterator whose values throw': () =>
    iterating(() => Object.defineProperty({ done: false }, 'value', { get: throwing })),
  'an async iterator that rejects': () => iteratingAsync(() => Promise.reject(boom)),
  'an async iterator that rejects with nothing': () => iteratingAsync(() => Promise.reject(undefined)),
  'an async iterator whose answer has a throwing then': () =>
    iteratingAsync(() => Object.defineProperty({}, 'then', { get: throwing })),
  'an iterator that answers null': () => iteratingAsync(async () => null),
  'an iterable of undefined': () => [undefined],
  'an iterable of numbers': () => [1, 2, 3],
  'an iterable of nulls': () => [null],
  'an iterable of iterables': () => [['a'], ['b']],
  'an iterable of promises': () => [Promise.resolve('a')],
  'an endless iterable of objects': () => endless({}),
  'a stream that is locked': () => {
    const stream = new Blob(['x']).stream()
    stream.getReader()
    return stream
  },
  'a stream that errors': () => new ReadableStream({ pull: throwing }),
  'a stream of numbers': () => new ReadableStream({ start: (controller) => controller.enqueue(5) }),
}
const TRAPS = ['get', 'has', 'getPrototypeOf', 'ownKeys', 'getOwnPropertyDescriptor', 'isExtensible']

function* endless(chunk: unknown): Generator<unknown> {
  for (;;) yield chunk
}

async function* endlessAsync(chunk: unknown): AsyncGenerator<unknown> {
  for (;;) yield chunk
}

describe.each(backends)('%s', (_backend, storage) => {
  it.each(Object.entries(BAD_CONTENTS))('refuses as a content %s', async (_, make) => {
    for (const options of [{}, { maxSize: 5 }, { allowedTypes: ['text/plain'] }]) {
      tried += 1
      // What no caller that is compiled could hand over.
      const save = storage.save('bad.txt', make() as Content, options)
      const outcome = await within(
        save.then(
          () => 'stored',
          (error: unknown) => (isStorageError(error) ? error.code : 'the error of the source'),
        ),
        5_000,
      )
      expect(['InvalidArgument', 'Rejected', 'Unknown', 'the error of the source']).toContain(outcome)
      expect(await storage.exists('bad.txt')).toBe(false)
      await nothingIsLeft()
    }
  })

  const ENDLESS: Readonly<Record<string, () => unknown>> = {
    'bytes without end': () => endless(Buffer.alloc(100)),
    'text without end, as it comes': () => endlessAsync('text'),
    'a megabyte again and again': () => endlessAsync(Buffer.alloc(2 ** 20)),
  }
  it.each(Object.entries(ENDLESS))('ends %s at maxSize', async (_, make) => {
    tried += 1
    const saved = storage.save('endless.txt', make() as Content, { maxSize: 100_000 })
    await expect(within(saved, 10_000)).rejects.toMatchObject({ code: 'Rejected' })
    await nothingIsLeft()
  })

  const NOTHING: Readonly<Record<string, () => unknown>> = {
    'empty texts': () => endless(''),
    'empty texts, as they come': () => endlessAsync(''),
    'empty bytes': () => endless(new Uint8Array()),
  }
  it.each(Object.entries(NOTHING))(
    'lets timers run, and so an abort end, %s without end',
    async (_, make) => {
      tried += 1
      const signal = AbortSignal.timeout(100)
      const saved = storage.save('nothing.txt', make() as Content, { maxSize: 10, signal })
      await expect(within(saved, 10_000)).rejects.toMatchObject({ code: 'Aborted' })
      await nothingIsLeft()
    },
  )

  /** The outcome of a save with these options: everything comes back, or nothing is stored. */
  async function keptOrRefused(options: SaveOptions): Promise<boolean> {
    tried += 1
    await storage.delete('value.txt')
    try {
      await storage.save('value.txt', 'x', options)
    } catch (error) {
      assert.ok(isStorageError(error), String(error))
      assert.equal(error.code, 'InvalidArgument', `${error.message} ${JSON.stringify(options).slice(0, 500)}`)
      assert.ok(error.message.length < 1_000 && !/[\r\n\0]/.test(error.message), error.message)
      assert.equal(await storage.exists('value.txt'), false)
      return false
    }
    const info = await storage.stat('value.txt')
    const { metadata = {}, ...headers } = options
    const expected = Object.fromEntries(
      Object.entries(metadata).map(([key, value]) => [key.toLowerCase(), value]),
    )
    assert.deepEqual({ ...info.metadata }, expected)
    for (const [key, value] of Object.entries(headers)) {
      if (key === 'contentType' && value === '') continue // Like not given.
      // A file name outside ASCII is rewritten, as documented.
      if (value !== undefined && !/[^\x20-\x7e]/.test(String(value)))
        assert.equal(Reflect.get(info, key), value)
    }
    const file = await storage.open('value.txt')
    await file.close()
    assert.deepEqual({ ...file.metadata }, expected)
    return true
  }

  it('keeps headers and metadata as they are, or refuses them', async () => {
    const values = [
      ...[
        'a\r\nb',
        'a\nx-amz-acl: public-read',
        '\0',
        'a\0b',
        '\x7f',
        '\u0085',
        '\ud800',
        '',
        ' ',
        ' a ',
        '\ta',
      ],
      ...[
        '\u2028',
        '\u202e',
        '\ufeff',
        '\ufffe',
        '\u{10ffff}',
        '=?UTF-8?B?eA==?=',
        '=?utf-8?q?=0D=0A?=',
        "UTF-8''%0D%0A",
      ],
      ...[
        '%0d%0a',
        '"',
        '\\',
        ',',
        ';',
        'a,b',
        'x'.repeat(8_000),
        'x'.repeat(8_001),
        '\u263a'.repeat(3_000),
        'x'.repeat(2 ** 21),
      ],
    ]
    const keys = [
      '__proto__',
      'constructor',
      'prototype',
      'toString',
      'hasOwnProperty',
      'stowage-write-id',
      'stowage-claim',
    ]
    keys.push(
      'a b',
      'a:b',
      'a\r\nb',
      '',
      'é',
      '-',
      'a',
      '0',
      'x'.repeat(500),
      'x-amz-acl',
      'content-length',
      'Host',
      'valueOf',
    )
    for (const value of values) {
      await keptOrRefused({ metadata: { by: value } })
      await keptOrRefused({ contentType: value })
      for (const header of ['cacheControl', 'contentDisposition', 'contentLanguage', 'contentEncoding'])
        if (value.length < 2_000 || value.length > 2 ** 20) await keptOrRefused({ [header]: value })
    }
    for (const key of keys) await keptOrRefused(JSON.parse(`{"metadata":{${JSON.stringify(key)}:"value"}}`))
    await keptOrRefused({ metadata: { A: '1', a: '2' } })
    await nothingIsLeft()
    const metadata = fc.dictionary(
      fc.oneof(fc.stringMatching(/^[a-zA-Z0-9-]{1,12}$/), fc.string({ unit: 'binary', maxLength: 6 })),
      fc.string({ unit: 'binary', maxLength: 40 }),
      { maxKeys: 4, noNullPrototype: true },
    )
    let kept = 0
    const property = fc.asyncProperty(metadata, async (each) => {
      if (await keptOrRefused({ metadata: each })) kept += 1
    })
    await fc.assert(property, { numRuns: MANY, seed: SEED })
    assert.ok(kept > MANY / 10, `${kept} of ${MANY} kept`)
    await nothingIsLeft()
  }, 120_000)

  it("takes options from anybody's JSON, and refuses other values with a StorageError", async () => {
    await storage.save('there.txt', 'there', { ifExists: 'overwrite' })
    const texts = [
      ...[
        'null',
        'true',
        '0',
        '""',
        '"text"',
        '[]',
        '[1]',
        '{}',
        '{"signal":null}',
        '{"signal":"x"}',
        '{"signal":{}}',
      ],
      ...[
        '{"signal":{"aborted":true,"reason":"x"}}',
        '{"signal":{"aborted":false}}',
        '{"__proto__":{"polluted":1}}',
      ],
      ...[
        '{"constructor":{"prototype":{"polluted":1}}}',
        '{"ifExists":"__proto__"}',
        '{"ifExists":["overwrite"]}',
      ],
      ...[
        '{"ifExists":null}',
        '{"range":null}',
        '{"range":"0-1"}',
        '{"range":[]}',
        '{"range":{"offset":"0"}}',
      ],
      ...[
        '{"range":{"offset":1e99}}',
        '{"range":{"offset":0,"length":-1}}',
        '{"range":{"offset":0,"length":null}}',
      ],
      ...[
        '{"metadata":null}',
        '{"metadata":"x"}',
        '{"metadata":["x"]}',
        '{"metadata":{"a":1}}',
        '{"metadata":{"a":{"b":"c"}}}',
      ],
      ...[
        '{"metadata":{"__proto__":{"by":"x"}}}',
        '{"maxSize":"5"}',
        '{"maxSize":null}',
        '{"maxSize":-0}',
        '{"maxSize":1e308}',
      ],
      ...[
        '{"allowedTypes":"image/png"}',
        '{"allowedTypes":[null]}',
        '{"allowedTypes":null}',
        '{"onProgress":"x"}',
        '{"onProgress":{}}',
      ],
      ...[
        '{"contentType":["text/plain"]}',
        '{"contentType":null}',
        '{"cacheControl":{}}',
        '{"dryRun":"no"}',
        '{"dryRun":1}',
      ],
      ...[
        '{"expiresIn":"60"}',
        '{"download":{}}',
        '{"stableFor":-1}',
        '{"size":"1","contentType":"a/b"}',
        '{"size":1,"contentType":{}}',
      ],
    ]
    const generated = fc.sample(fc.json({ maxDepth: 3 }), { numRuns: MANY, seed: SEED })
    for (const text of [...texts, ...generated]) {
      const options = JSON.parse(text)
      const calls: Record<string, () => Promise<unknown>> = {
        save: () => storage.save('json.txt', 'x', options),
        open: () => storage.open('there.txt', options).then((file) => file.close()),
        exists: () => storage.exists('there.txt', options),
        stat: () => storage.stat('there.txt', options),
        size: () => storage.size('there.txt', options),
        signedUrl: () => storage.signedUrl('there.txt', options),
        signedUpload: () => storage.signedUpload('there.txt', options),
        copy: () => storage.copy('there.txt', 'json-copy.txt', options),
        move: () => storage.move('missing.txt', 'json-moved.txt', options),
        delete: () => storage.delete('missing.txt', options),
        deleteMany: () => storage.deleteMany(['missing.txt'], options),
        deletePrefix: () => storage.deletePrefix('missing', options),
        list: () => storage.list('', options)[Symbol.asyncIterator]().next(),
        listdir: () => storage.listdir('', options),
        'as a name': () => storage.exists(options),
        'as names': () => storage.deleteMany(options),
        'as a content': () => storage.save('json-content.txt', options, { ifExists: 'overwrite' }),
      }
      for (const [method, call] of Object.entries(calls)) {
        tried += 1
        await within(call(), 5_000).catch((error: unknown) => {
          assert.ok(isStorageError(error), `${method} with ${text}: ${String(error)}`)
          const codes = [
            'InvalidArgument',
            'InvalidName',
            'Unsupported',
            'NotFound',
            'Rejected',
            'RangeNotSatisfiable',
            'Aborted',
          ]
          assert.ok(codes.includes(error.code), `${method} with ${text}: ${error.code} ${error.message}`)
        })
      }
    }
    await storage.deleteMany(['json.txt', 'json-copy.txt', 'json-content.txt'])
    await nothingIsLeft()
    expect(await (await storage.open('there.txt')).text()).toBe('there')
  }, 120_000)
})
