import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import type { StorageError } from '../errors.js'
import { chatUploadRules } from '../uploads.js'
import { type ConformanceCase, cases } from './case.js'
import { HTML, JPEG, MiB, PDF, PNG, WEBM_AUDIO } from './contents.js'
import { assertEmpty, assertFiles, invoke, rejects } from './expect.js'

const IMAGES = ['image/png', 'image/jpeg']

/** The fields of an `UploadRejectedError`, also of one from another copy of the package. */
function facts(error: StorageError): Record<string, unknown> {
  assert.equal(error.name, 'UploadRejectedError')
  return Object.fromEntries(
    ['status', 'reason', 'limit', 'allowed', 'found'].map((field) => [field, Reflect.get(error, field)]),
  )
}

export const uploadRuleCases: readonly ConformanceCase[] = cases('upload rules', {
  'a content of exactly the size limit is stored': async (storage) => {
    await storage.save('known.txt', '12345', { maxSize: 5 })
    await storage.save('stream.txt', Readable.from(['123', '45']), { maxSize: 5 })
    await storage.save('empty.txt', '', { maxSize: 0 })
    await assertFiles(storage, { 'empty.txt': '', 'known.txt': '12345', 'stream.txt': '12345' })
  },
  'a content that is too large is refused with status 413, and nothing is stored': async (storage) => {
    const contents = {
      text: () => '123456',
      bytes: () => Buffer.from('123456'),
      blob: () => new Blob(['123456']),
      stream: () => Readable.from(['123', '456']),
      iterable: () => ['12345', '6'],
    }
    for (const [label, content] of Object.entries(contents)) {
      const error = await rejects('Rejected', () => storage.save('a.txt', content(), { maxSize: 5 }), label)
      assert.deepEqual(facts(error), {
        status: 413,
        reason: 'size',
        limit: 5,
        allowed: undefined,
        found: 6,
      })
      assert.deepEqual([error.operation, error.file, error.retryable], ['save', 'a.txt', false])
    }
    await rejects('Rejected', () => storage.save('a.txt', 'x', { maxSize: 0 }))
    await assertEmpty(storage)
  },
  'a stream without an end is refused at the limit': async (storage) => {
    const endless = function* () {
      for (let read = 0; read < 100 * MiB; read += MiB) yield Buffer.alloc(MiB)
      throw new Error('read far beyond the limit')
    }
    const error = await rejects('Rejected', () => storage.save('a.bin', endless(), { maxSize: 1_000_000 }))
    assert.deepEqual([error.status, Reflect.get(error, 'reason')], [413, 'size'])
    await assertEmpty(storage)
  },
  'the file that was there stays when its replacement is refused': async (storage) => {
    await storage.save('a.png', PNG)
    const before = await storage.stat('a.png')
    const overwrite = { ifExists: 'overwrite' } as const
    await rejects('Rejected', () =>
      storage.save('a.png', Readable.from([PNG, PNG]), { ...overwrite, maxSize: 100 }),
    )
    await rejects('Rejected', () => storage.save('a.png', HTML, { ...overwrite, allowedTypes: IMAGES }))
    assert.deepEqual(await storage.stat('a.png'), before)
    assert.deepEqual(await (await storage.open('a.png')).bytes(), PNG)
  },
  'a web page that is named like a picture is refused with status 415': async (storage) => {
    const contents = { text: () => HTML, stream: () => Readable.from([HTML]), blob: () => new Blob([HTML]) }
    for (const [label, content] of Object.entries(contents)) {
      const options = { contentType: 'image/png', allowedTypes: IMAGES }
      const error = await rejects('Rejected', () => storage.save('x.png', content(), options), label)
      assert.deepEqual(facts(error), {
        status: 415,
        reason: 'type',
        limit: undefined,
        allowed: IMAGES,
        found: 'text/html',
      })
    }
    await assertEmpty(storage)
  },
  'a drawing with scripts, plain text and nothing at all are no pictures': async (storage) => {
    const drawing = '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    for (const [content, found] of [
      [drawing, 'image/svg+xml'],
      ['just text', 'text/plain'],
      ['', 'text/plain'],
      [Buffer.from([0, 1, 2, 3, 254, 255]), 'application/octet-stream'],
    ] as const) {
      const options = { contentType: 'image/png', allowedTypes: IMAGES }
      const error = await rejects('Rejected', () => storage.save('x.png', content, options), found)
      assert.equal(Reflect.get(error, 'found'), found)
    }
    await assertEmpty(storage)
  },
  'an allowed type is stored as what its bytes are, whatever it is called': async (storage) => {
    for (const [name, content, found] of [
      ['picture.txt', PNG, 'image/png'],
      ['photo', JPEG, 'image/jpeg'],
      ['photo.png', JPEG, 'image/jpeg'],
    ] as const) {
      const options = { contentType: 'text/html', allowedTypes: IMAGES }
      await storage.save(name, content, options)
      const file = await storage.open(name)
      assert.equal(file.contentType, found)
      assert.deepEqual(await file.bytes(), content)
      const streamed = await storage.save(
        `stream/${name}`,
        Readable.from([content.subarray(0, 10), content.subarray(10)]),
        options,
      )
      assert.equal((await storage.stat(streamed)).contentType, found)
      assert.deepEqual(await (await storage.open(streamed)).bytes(), content)
    }
  },
  'a type pattern allows every type of its kind and no other': async (storage) => {
    await storage.save('note.webm', WEBM_AUDIO, { allowedTypes: ['audio/*'] })
    await storage.save('a.png', PNG, { allowedTypes: ['audio/*', 'image/*'] })
    await rejects('Rejected', () => storage.save('b.png', PNG, { allowedTypes: ['audio/*'] }))
    assert.equal(await storage.exists('b.png'), false)
  },
  'the rules for chats take documents, pictures and voice notes': async (storage) => {
    for (const [name, content, type] of [
      ['paper.pdf', PDF, 'application/pdf'],
      ['photo.jpg', JPEG, 'image/jpeg'],
      ['picture.png', PNG, 'image/png'],
      ['note.webm', WEBM_AUDIO, 'audio/webm'],
    ] as const) {
      await storage.save(name, Readable.from([content]), { ...chatUploadRules })
      const file = await storage.open(name)
      assert.equal(file.contentType, type)
      assert.deepEqual(await file.bytes(), content)
    }
    for (const content of [HTML, 'text', Buffer.from('PK\x03\x04 no picture'), 'MZ\x90\0']) {
      await rejects('Rejected', () => storage.save('x.png', content, { ...chatUploadRules }))
    }
    assert.equal(await storage.exists('x.png'), false)
  },
  'rules that cannot be meant are refused': async (storage) => {
    for (const maxSize of [-1, 1.5, Number.NaN, '5', null]) {
      await rejects('InvalidArgument', () => invoke(storage, 'save', 'a.txt', 'content', { maxSize }))
    }
    for (const allowedTypes of ['image/png', ['png'], ['*'], [''], [1], {}]) {
      await rejects('InvalidArgument', () => invoke(storage, 'save', 'a.txt', 'content', { allowedTypes }))
    }
    await assertEmpty(storage)
  },
})
