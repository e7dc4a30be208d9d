import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { File as FetchFile } from 'fetch-blob/file.js'
import { File as FormDataFile } from 'formdata-node'
// @ts-expect-error: its types bring the DOM's, which are not Node's.
import { JSDOM } from 'jsdom'
import { isStorageError, MemoryStorage, type StorageError, UploadRejectedError } from 'stowage'
import { describe, it, vi } from 'vitest'
import { toBody } from '../../src/content.js'

async function saved(content: unknown, options: object = {}, name = 'a.bin') {
  const storage = new MemoryStorage()
  await Reflect.apply(storage.save, storage, [name, content, options])
  return storage.open(name)
}

async function failureOf(content: unknown, options: object = {}): Promise<StorageError> {
  const storage = new MemoryStorage()
  const error: unknown = await Reflect.apply(storage.save, storage, ['a.bin', content, options]).then(
    () => assert.fail('the save succeeded'),
    (error: unknown) => error,
  )
  assert.ok(isStorageError(error), String(error))
  assert.deepEqual((await storage.listdir()).files, [], 'something was stored')
  return error
}

const { window } = new JSDOM()

describe('a File of another make', () => {
  const files: Readonly<Record<string, object>> = {
    'fetch-blob': new FetchFile(['voice'], 'a.webm', { type: 'audio/webm' }),
    'formdata-node': new FormDataFile(['voice'], 'a.webm', { type: 'audio/webm' }),
    jsdom: new window.File(['voice'], 'a.webm', { type: 'audio/webm' }),
    'another realm': {
      size: 5,
      type: 'audio/webm',
      slice() {},
      stream: () => Readable.toWeb(Readable.from(['voice'])),
    },
  }

  it.each(Object.keys(files))('of %s is stored, with its type', async (make) => {
    vi.stubGlobal('FileReader', window.FileReader)
    try {
      const file = await saved(files[make])
      assert.deepEqual([await file.text(), file.contentType], ['voice', 'audio/webm'])
    } finally {
      vi.unstubAllGlobals()
    }
  })

  it('without a type gets that of the name, and an option wins', async () => {
    assert.equal((await saved(new Blob(['x']), {}, 'a.png')).contentType, 'image/png')
    const options = { contentType: 'image/gif' }
    assert.equal((await saved(new Blob(['x'], { type: 'image/png' }), options)).contentType, 'image/gif')
  })
})

describe('an opened file', () => {
  it('brings its type, headers and metadata along; options win', async () => {
    const source = new MemoryStorage()
    const attributes = { contentType: 'audio/webm', cacheControl: 'no-store', metadata: { by: 'ann' } }
    await source.save('note', 'voice', attributes)
    const copy = await saved(await source.open('note'))
    assert.deepEqual(
      [copy.contentType, copy.cacheControl, copy.metadata],
      ['audio/webm', 'no-store', { by: 'ann' }],
    )
    const other = await saved(await source.open('note'), { contentType: 'audio/ogg', metadata: {} })
    assert.deepEqual([other.contentType, other.cacheControl, other.metadata], ['audio/ogg', 'no-store', {}])
  })
})

describe('a stream', () => {
  it('that says at its end that it was cut is refused, and nothing is stored', async () => {
    const error = await failureOf(Object.assign(Readable.from([Buffer.from('abc')]), { truncated: true }))
    assert.ok(error instanceof UploadRejectedError)
    assert.deepEqual([error.status, error.reason, error.found], [413, 'size', 3])
  })

  it('that was not cut is stored', async () => {
    const stream = Object.assign(Readable.from([Buffer.from('abc')]), { truncated: false })
    assert.equal(await (await saved(stream)).text(), 'abc')
  })

  it('that gives nothing for sourceTimeout fails the save, and is closed', async () => {
    const stream = new Readable({ read() {} })
    stream.push('beginning')
    const error = await failureOf(stream, { sourceTimeout: 1 })
    assert.deepEqual([error.code, error.status], ['Aborted', 499])
    assert.match(error.message, /gave nothing for 1 ms/)
    assert.equal(stream.destroyed, true)
  })

  it('may take its time with sourceTimeout 0, and between chunks with any', async () => {
    const stream = new Readable({ read() {} })
    const saving = saved(stream, { sourceTimeout: 0 })
    await sleep(2500)
    stream.push('late')
    stream.push(null)
    assert.equal(await (await saving).text(), 'late')
  })

  it('that was destroyed without a word fails the save', async () => {
    const stream = new Readable({ read() {}, emitClose: false })
    stream.push('beginning')
    const failing = failureOf(stream)
    await sleep(50)
    stream.destroy()
    assert.equal((await failing).code, 'Aborted')
  })

  it('with a sourceTimeout that is no number is refused', async () => {
    for (const sourceTimeout of [-1, 1.5, '1', Number.NaN, null]) {
      assert.equal((await failureOf('x', { sourceTimeout })).code, 'InvalidArgument')
    }
  })
})

describe('a content that cannot be saved', () => {
  const advice: readonly [string, unknown, RegExp][] = [
    ['nothing', undefined, /not undefined: was there a file in the form\?/],
    ['a file of multer in memory', { fieldname: 'f', buffer: Buffer.from('x') }, /file\.buffer/],
    ['a file of multer on disk', { fieldname: 'f', path: '/tmp/x' }, /createReadStream\(file\.path\)/],
    ['a file of formidable', { filepath: '/tmp/x' }, /createReadStream\(file\.filepath\)/],
    ['a part of @fastify/multipart', { file: Readable.from([]), fields: {} }, /part\.file/],
    [
      'a Buffer that went through JSON',
      JSON.parse(JSON.stringify(Buffer.from('x'))),
      /Buffer\.from\(value\.data\)/,
    ],
    ['a Response', { body: null, status: 200 }, /its body/],
  ]

  it.each(advice)('is refused with what to pass instead: %s', async (_, content, expected) => {
    const error = await failureOf(content)
    assert.equal(error.code, 'InvalidArgument')
    assert.match(error.message, expected)
  })

  it('says that it is empty where a picture was asked for', async () => {
    const error = await failureOf('', { allowedTypes: ['image/png'] })
    assert.match(error.message, /the content is empty, allowed are image\/png/)
  })

  it('has its hint in the message where a name is an address or a path', async () => {
    const storage = new MemoryStorage()
    for (const name of ['/documents/x.pdf', 'C:\\x.pdf', storage.url('x.pdf')]) {
      await assert.rejects(
        storage.open(name),
        /leave out the leading "\/", and pass the name that save\(\) returned/,
      )
    }
    await assert.rejects(
      storage.open('https://cdn.example.com/x.pdf'),
      /looks like an address; pass the name/,
    )
  })

  it('may be a path by mistake: the process warns once', async () => {
    const warning = once(process, 'warning')
    await saved('./photo.png', {}, 'a.png')
    const [warned]: unknown[] = await warning
    assert.match(String(warned), /createReadStream/)
  })
})

describe('a source that is aborted between two chunks', () => {
  it('fails by the reason, and does not look whole', async () => {
    const stop = new AbortController()
    const source = async function* () {
      yield 'first'
      yield 'second'
    }
    const chunks = toBody(source()).chunks(stop.signal)[Symbol.asyncIterator]()
    assert.equal(String(Buffer.from((await chunks.next()).value)), 'first')
    stop.abort(new Error('the client left'))
    await assert.rejects(async () => chunks.next(), /the client left/)
  })
})
