import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { type ConformanceCase, cases } from './case.js'
import { assertEmpty, invoke, rejects } from './expect.js'

/** Metadata values that come back exactly as they were. */
const VALUES: readonly string[] = [
  'plain',
  'hello   world',
  'Hello World\u00E9',
  'Grüße, 日本語, 😀',
  ' leading space',
  'trailing space ',
  '  both  ',
  ' ',
  '\u00A0no break\u00A0',
  '\u2003em space',
  '',
  '=?UTF-8?B?R3LDvMOfZQ==?=',
  '=?utf-8?q?a_b?=',
  '=?UTF-8?B?Zmlyc3Q=?= =?UTF-8?B?IHNlY29uZA==?=',
  'half =?UTF-8?B?word',
  '=?ISO-8859-1?Q?a=E9?=',
  "UTF-8''caf%C3%A9",
  "utf-8''lower",
  '%E2%82%AC and % and %zz',
  'a+b c&d=e;f,g:h"i\'j\\k/l<m>n',
  '"quoted"',
  "comma, separated, 'list'",
  '[object Object]',
  'undefined',
  '{"json":"Grüße"}',
  'e\u0301 stays decomposed',
  '\uFEFFbom',
  'noncharacter \uFFFF',
  'bidi \u202E override',
  'x'.repeat(2000),
  '😀'.repeat(500),
]

const HEADERS = {
  contentType: 'text/html; charset=utf-8',
  cacheControl: 'max-age=604800',
  contentDisposition: 'attachment; filename="test.html"',
  contentLanguage: 'en-US',
  contentEncoding: 'gzip',
}

/** The types of common extensions. */
const TYPES: Readonly<Record<string, string>> = {
  'a.txt': 'text/plain',
  'a.html': 'text/html',
  'photo.JPG': 'image/jpeg',
  'a.png': 'image/png',
  'a.svg': 'image/svg+xml',
  'paper.pdf': 'application/pdf',
  'a.json': 'application/json',
  'archive.tar.gz': 'application/gzip',
  'reply.mp3': 'audio/mpeg',
  'a.unknown-extension': 'application/octet-stream',
  html: 'application/octet-stream',
  'folder.html/README': 'application/octet-stream',
}

export const metadataCases: readonly ConformanceCase[] = cases('metadata', {
  'the type and all headers come back from stat and open': async (storage) => {
    const metadata = { room: '42', note: 'hello   world' }
    await storage.save('a', 'content', { ...HEADERS, metadata })
    await storage.save('streamed', Readable.from(['con', 'tent']), { ...HEADERS, metadata })
    await storage.save('empty', '', { ...HEADERS, metadata })
    for (const name of ['a', 'streamed', 'empty']) {
      const info = await storage.stat(name)
      const file = await storage.open(name)
      for (const found of [info, file]) {
        for (const [field, value] of Object.entries(HEADERS))
          assert.equal(Reflect.get(found, field), value, field)
        assert.deepEqual({ ...found.metadata }, metadata)
      }
      await file.close()
    }
  },
  'headers that were not given are absent': async (storage) => {
    await storage.save('a.txt', 'content')
    // A storage may have a default for cacheControl, as R2's has.
    const { cacheControl: _, ...info } = await storage.stat('a.txt')
    assert.deepEqual(Object.keys(info).sort(), [
      'contentType',
      'etag',
      'lastModified',
      'metadata',
      'name',
      'size',
    ])
    assert.deepEqual({ ...info.metadata }, {})
    const file = await storage.open('a.txt')
    for (const field of ['contentDisposition', 'contentLanguage', 'contentEncoding'])
      assert.equal(Reflect.get(file, field), undefined, field)
    await file.close()
  },
  'the type follows from the extension': async (storage) => {
    for (const [name, type] of Object.entries(TYPES)) {
      await storage.save(name, '<!doctype html>')
      assert.equal((await storage.stat(name)).contentType, type, name)
    }
  },
  'the given type wins over the extension, parameters and all': async (storage) => {
    for (const contentType of [
      'text/plain; charset=utf-8',
      'application/vnd.api+json',
      'audio/webm;codecs=opus',
      'x/y',
    ]) {
      await storage.save('a.html', 'content', { contentType, ifExists: 'overwrite' })
      assert.equal((await storage.stat('a.html')).contentType, contentType)
    }
  },
  // A browser's type for a file that it does not know.
  "an empty type is like none: the content's own counts, else the extension": async (storage) => {
    await storage.save('a.png', 'content', { contentType: '' })
    await storage.save('unknown', 'content', { contentType: '' })
    await storage.save('b.bin', new Blob(['content'], { type: 'text/x-notes' }), { contentType: '' })
    await storage.save('c.csv', new Blob(['content']), { contentType: '' })
    const names = ['a.png', 'unknown', 'b.bin', 'c.csv']
    const types = await Promise.all(names.map(async (name) => (await storage.stat(name)).contentType))
    assert.deepEqual(types, ['image/png', 'application/octet-stream', 'text/x-notes', 'text/csv'])
  },
  'a value that is not a type is refused': async (storage) => {
    for (const contentType of [
      'application/octet/stream',
      'text',
      '/',
      'text/',
      '/plain',
      ' text/plain',
      'text/plain\r\nX-Evil: 1',
      'text/plain; charset="\n"',
      'text/plain; name=é',
      'text/pl ain',
      'é/plain',
      null,
      42,
    ]) {
      const saving = () => invoke(storage, 'save', 'a.txt', 'content', { contentType })
      await rejects('InvalidArgument', saving, JSON.stringify(contentType))
    }
    await assertEmpty(storage)
  },
  'a value that is not a header is refused': async (storage) => {
    for (const header of ['cacheControl', 'contentDisposition', 'contentLanguage', 'contentEncoding']) {
      for (const value of [
        'a\r\nX-Evil: 1',
        'a\nb',
        'a\rb',
        'a\0b',
        'a\x7fb',
        '\x1b[31m',
        '',
        ' a',
        'a ',
        null,
        42,
      ]) {
        const saving = () => invoke(storage, 'save', 'a.txt', 'content', { [header]: value })
        await rejects('InvalidArgument', saving, `${header} ${JSON.stringify(value)}`)
      }
    }
    for (const header of ['cacheControl', 'contentLanguage', 'contentEncoding']) {
      await rejects(
        'InvalidArgument',
        () => invoke(storage, 'save', 'a.txt', 'content', { [header]: 'é' }),
        header,
      )
    }
    await assertEmpty(storage)
  },
  'a file name outside ASCII in contentDisposition becomes what RFC 8187 asks for': async (storage) => {
    await storage.save('a.pdf', 'content', { contentDisposition: 'attachment; filename="é.pdf"' })
    const { contentDisposition } = await storage.stat('a.pdf')
    assert.match(
      contentDisposition ?? '',
      /^attachment; filename="[\x20-\x7e]*"; filename\*=UTF-8''%C3%A9\.pdf$/,
    )
    assert.equal((await storage.open('a.pdf')).contentDisposition, contentDisposition)
  },
  'values come back exactly as they were': async (storage) => {
    const check = async (value: string, index: number) => {
      const metadata = { value, other: 'plain' }
      const name = await storage.save(`${index}.txt`, 'content', { metadata })
      assert.deepEqual({ ...(await storage.stat(name)).metadata }, metadata)
      const file = await storage.open(name)
      assert.deepEqual({ ...file.metadata }, metadata)
      await file.close()
    }
    await Promise.all(VALUES.map(check))
  },
  'keys of letters, digits and "-" come back in lower case': async (storage) => {
    const given = {
      Room: '42',
      'USER-Id': 'Abc',
      9: 'digit',
      '-': 'dash',
      'a-very-long-key-with-numbers-123': 'x',
    }
    await storage.save('a.txt', 'content', { metadata: given })
    const expected = Object.fromEntries(
      Object.entries(given).map(([key, value]) => [key.toLowerCase(), value]),
    )
    assert.deepEqual({ ...(await storage.stat('a.txt')).metadata }, expected)
  },
  'keys that objects have anyway are keys like any others': async (storage) => {
    const metadata = { constructor: 'a', tostring: 'b', valueof: 'c', length: 'd' }
    await storage.save('a.txt', 'content', { metadata })
    assert.deepEqual(
      Object.entries((await storage.stat('a.txt')).metadata).sort(),
      Object.entries(metadata).sort(),
    )
  },
  'keys that servers would drop or rewrite are refused': async (storage) => {
    for (const key of [
      'a_b',
      'a b',
      '',
      ' a',
      'a:b',
      'a.b',
      'é',
      'a\nb',
      'a/b',
      '__proto__',
      'K\u212A',
      'ſ',
    ]) {
      const metadata = Object.fromEntries([[key, 'value']])
      await rejects(
        'InvalidArgument',
        () => storage.save('a.txt', 'content', { metadata }),
        JSON.stringify(key),
      )
    }
    await assertEmpty(storage)
  },
  'keys that differ only in case are refused': async (storage) => {
    const metadata = { Room: '1', room: '2' }
    await rejects('InvalidArgument', () => storage.save('a.txt', 'content', { metadata }))
    await assertEmpty(storage)
  },
  'values with control characters, no Unicode or no text at all are refused': async (storage) => {
    for (const value of [
      'a\nb',
      'a\r\nX-Evil: 1',
      '\0',
      'tab\t',
      '\x7f',
      'c1\u0085',
      '\uD800',
      'a\uDC00',
      42,
      null,
      undefined,
      {},
    ]) {
      const saving = () => invoke(storage, 'save', 'a.txt', 'content', { metadata: { key: value } })
      await rejects('InvalidArgument', saving, JSON.stringify(value))
    }
    for (const metadata of ['text', 42, null, ['a'], [['a', 'b']]]) {
      const saving = () => invoke(storage, 'save', 'a.txt', 'content', { metadata })
      await rejects('InvalidArgument', saving, JSON.stringify(metadata))
    }
    await assertEmpty(storage)
  },
  '8,000 bytes of keys and values come back, more are refused': async (storage) => {
    for (const metadata of [{ key: 'x'.repeat(7997) }, { keys: 'é'.repeat(3998) }]) {
      const name = await storage.save('a.txt', 'content', { metadata })
      assert.deepEqual({ ...(await storage.stat(name)).metadata }, metadata)
      await storage.delete(name)
    }
    const many = Object.fromEntries(
      Array.from({ length: 100 }, (_, index) => [`key-${index + 100}`, 'v'.repeat(73)]),
    )
    await storage.save('many.txt', 'content', { metadata: many })
    assert.deepEqual({ ...(await storage.stat('many.txt')).metadata }, many)
    for (const metadata of [{ key: 'x'.repeat(7998) }, { key: '☺'.repeat(2667) }, { ...many, b: '' }]) {
      await rejects('InvalidArgument', () => storage.save('b.txt', 'content', { metadata }))
    }
    assert.equal(await storage.exists('b.txt'), false)
  },
  'an overwrite replaces the type, all headers and all metadata': async (storage) => {
    await storage.save('a.txt', 'first', { ...HEADERS, metadata: { first: '1', both: '1' } })
    await storage.save('a.txt', 'second', { ifExists: 'overwrite', metadata: { both: '2' } })
    const { contentType, contentDisposition, contentLanguage, contentEncoding, cacheControl, metadata } =
      await storage.stat('a.txt')
    assert.deepEqual([contentType, { ...metadata }], ['text/plain', { both: '2' }])
    assert.deepEqual(
      [contentDisposition, contentLanguage, contentEncoding],
      [undefined, undefined, undefined],
    )
    assert.notEqual(cacheControl, HEADERS.cacheControl)
    await storage.save('a.txt', 'third', { ifExists: 'overwrite', metadata: {} })
    assert.deepEqual({ ...(await storage.stat('a.txt')).metadata }, {})
  },
})
