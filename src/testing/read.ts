import assert from 'node:assert/strict'
import type { StoredFile } from '../stored-file.js'
import type { ByteRange } from '../types.js'
import { type Check, type ConformanceCase, cases } from './case.js'
import { LARGE, MiB, pseudoRandom } from './contents.js'
import { assertFiles, collect, invoke, rejects, textOf } from './expect.js'

const TEXT = '{"greeting":"Grüße, 😀!"}'

/** Every way to read an opened file, as one text. */
const FORMS: Readonly<Record<string, (file: StoredFile) => Promise<string>>> = {
  'read()': async (file) => (await file.read()).toString(),
  'bytes()': async (file) => (await file.bytes()).toString(),
  'arrayBuffer()': async (file) => Buffer.from(await file.arrayBuffer()).toString(),
  'text()': (file) => file.text(),
  'json()': async (file) => JSON.stringify(await file.json()),
  'blob()': async (file) => (await file.blob()).text(),
  'stream()': async (file) => Buffer.concat(await collect(file.stream())).toString(),
  'webStream()': async (file) => Buffer.concat(await collect<Uint8Array>(file.webStream())).toString(),
  'for await': async (file) => Buffer.concat(await collect(file)).toString(),
}

/** Forms that give a stream fail with an error of Node. */
function isStream(form: string): boolean {
  return /stream|for/i.test(form)
}

/** Ranges of the eleven bytes `hello world`, and what they deliver: text and offset, or the error. */
const RANGES: readonly (readonly [ByteRange, readonly [string, number] | 'RangeNotSatisfiable'])[] = [
  [{ offset: 0 }, ['hello world', 0]],
  [{ offset: 0, length: 11 }, ['hello world', 0]],
  [{ offset: 0, length: 5 }, ['hello', 0]],
  [{ offset: 0, length: 1 }, ['h', 0]],
  [{ offset: 3, length: 4 }, ['lo w', 3]],
  [{ offset: 6 }, ['world', 6]],
  [{ offset: 6, length: undefined }, ['world', 6]],
  [{ offset: 10 }, ['d', 10]],
  [{ offset: 10, length: 1 }, ['d', 10]],
  [{ offset: 2, length: 100 }, ['llo world', 2]],
  [{ offset: 0, length: Number.MAX_SAFE_INTEGER }, ['hello world', 0]],
  [{ offset: 10, length: Number.MAX_SAFE_INTEGER }, ['d', 10]],
  [{ offset: 0, length: 0 }, ['', 0]],
  [{ offset: 3, length: 0 }, ['', 3]],
  [{ offset: 10, length: 0 }, ['', 10]],
  [{ offset: -2 }, ['ld', 9]],
  [{ offset: -11 }, ['hello world', 0]],
  [{ offset: -100 }, ['hello world', 0]],
  [{ offset: -5, length: 3 }, ['wor', 6]],
  [{ offset: -5, length: 100 }, ['world', 6]],
  [{ offset: -100, length: 2 }, ['he', 0]],
  [{ offset: -1, length: 0 }, ['', 10]],
  [{ offset: 11 }, 'RangeNotSatisfiable'],
  [{ offset: 11, length: 0 }, 'RangeNotSatisfiable'],
  [{ offset: 11, length: 1 }, 'RangeNotSatisfiable'],
  [{ offset: 200, length: 100 }, 'RangeNotSatisfiable'],
  [{ offset: Number.MAX_SAFE_INTEGER }, 'RangeNotSatisfiable'],
]

export const readCases: readonly ConformanceCase[] = cases('read', {
  ...Object.fromEntries(
    Object.entries(FORMS).map(([label, read]): [string, Check] => [
      `${label} gives the content, once`,
      async (storage) => {
        await storage.save('a.json', TEXT)
        const file = await storage.open('a.json')
        assert.equal(await read(file), TEXT)
        await rejects('InvalidArgument', async () => read(file))
        for (const again of Object.values(FORMS)) await rejects('InvalidArgument', async () => again(file))
        await file.close()
        const range = await storage.open('a.json', { range: { offset: 1, length: 10 } })
        if (label !== 'json()') assert.equal(await read(range), TEXT.slice(1, 11))
      },
    ]),
  ),
  'an empty file reads as nothing in every form': async (storage) => {
    await storage.save('empty', '')
    for (const [label, read] of Object.entries(FORMS)) {
      if (label !== 'json()') assert.equal(await read(await storage.open('empty')), '', label)
    }
  },
  'an opened file has everything that stat returns': async (storage) => {
    await storage.save('a.txt', 'content', {
      contentType: 'text/x-notes',
      cacheControl: 'no-store',
      contentDisposition: 'inline',
      contentLanguage: 'en-US',
      metadata: { room: '42' },
    })
    const info = await storage.stat('a.txt')
    const file = await storage.open('a.txt')
    for (const [field, value] of Object.entries(info))
      assert.deepEqual(Reflect.get(file, field), value, field)
    assert.deepEqual(file.range, { offset: 0, length: 7 })
    assert.equal((await file.blob()).type, 'text/x-notes')
  },
  'json() of a file that is not JSON is a SyntaxError': async (storage) => {
    await storage.save('a.json', '{"half":')
    await assert.rejects((await storage.open('a.json')).json(), SyntaxError)
  },
  'close() is harmless, more than once and after a read; a closed file cannot be read': async (storage) => {
    await storage.save('a.txt', 'content')
    const read = await storage.open('a.txt')
    await read.text()
    await read.close()
    await read.close()
    const unread = await storage.open('a.txt')
    await unread.close()
    await unread.close()
    await rejects('InvalidArgument', () => unread.text())
    const disposed = await storage.open('a.txt')
    await disposed[Symbol.asyncDispose]()
    await rejects('InvalidArgument', () => disposed.text())
    assert.equal(await textOf(storage, 'a.txt'), 'content')
  },
  'a file that is closed while it is read fails the read in every form': async (storage) => {
    await storage.save('a.bin', pseudoRandom(MiB))
    for (const [label, read] of Object.entries(FORMS)) {
      const file = await storage.open('a.bin')
      const reading = read(file)
      const failed = isStream(label)
        ? assert.rejects(reading, label)
        : rejects('InvalidArgument', () => reading, label)
      await file.close()
      await failed
    }
  },
  'a hundred files that are closed unread, or left half-way, hold up nobody': async (storage) => {
    const bytes = pseudoRandom(MiB)
    await storage.save('a.bin', bytes)
    for (let i = 0; i < 50; i++) await (await storage.open('a.bin')).close()
    for (let i = 0; i < 50; i++) {
      for await (const chunk of await storage.open('a.bin')) {
        assert(chunk.length > 0)
        break
      }
    }
    assert.deepEqual(await (await storage.open('a.bin')).bytes(), bytes)
  },
  'what a caller does to the bytes or the metadata it got changes no file': async (storage) => {
    await storage.save('a.txt', 'content', { metadata: { room: '42' } })
    ;(await (await storage.open('a.txt')).bytes()).fill(0)
    for await (const chunk of await storage.open('a.txt')) chunk.fill(0)
    const info = await storage.stat('a.txt')
    Reflect.set(info.metadata, 'room', 'changed')
    info.lastModified.setTime(0)
    assert.equal(await textOf(storage, 'a.txt'), 'content')
    const again = await storage.stat('a.txt')
    assert.deepEqual(again.metadata, { room: '42' })
    assert(again.lastModified.getTime() > 0)
  },
  'what a caller does to its own bytes after a save changes no file': async (storage) => {
    const bytes = Buffer.from('content')
    await storage.save('a.txt', bytes)
    bytes.fill(0)
    assert.equal(await textOf(storage, 'a.txt'), 'content')
  },
  'a range delivers exactly its bytes, and has the size of the whole file': async (storage) => {
    await storage.save('a.txt', 'hello world', { metadata: { room: '42' } })
    for (const [range, expected] of RANGES) {
      const what = JSON.stringify(range)
      if (typeof expected === 'string') {
        const error = await rejects(expected, () => storage.open('a.txt', { range }), what)
        assert.equal(error.status, 416)
        continue
      }
      const [text, offset] = expected
      const file = await storage.open('a.txt', { range })
      assert.deepEqual([file.size, file.metadata], [11, { room: '42' }], what)
      assert.deepEqual(file.range, { offset, length: text.length }, what)
      assert.equal(await file.text(), text, what)
    }
  },
  'a range of an empty file can only be all of it': async (storage) => {
    await storage.save('empty', '')
    assert.equal(await (await storage.open('empty', { range: { offset: 0 } })).text(), '')
    for (const range of [{ offset: 0, length: 0 }, { offset: 0, length: 5 }, { offset: 1 }, { offset: -1 }]) {
      await rejects('RangeNotSatisfiable', () => storage.open('empty', { range }), JSON.stringify(range))
    }
  },
  'a range of bytes that cannot be is refused': async (storage) => {
    await storage.save('a.txt', 'hello world')
    const { NaN: nan, POSITIVE_INFINITY: infinity } = Number
    for (const range of [
      { offset: 1.5 },
      { offset: nan },
      { offset: infinity },
      { offset: 0, length: -1 },
      { offset: 0, length: 1.5 },
      { offset: 0, length: infinity },
      { offset: 2 ** 60 },
    ]) {
      await rejects('InvalidArgument', () => storage.open('a.txt', { range }), String(Object.values(range)))
    }
    for (const range of [{ offset: '1' }, { offset: null }, {}, { offset: 0, length: null }, { length: 3 }]) {
      await rejects(
        'InvalidArgument',
        () => invoke(storage, 'open', 'a.txt', { range }),
        JSON.stringify(range),
      )
    }
  },
  'a range of a missing file is not found': async (storage) => {
    await rejects('NotFound', () => storage.open('missing', { range: { offset: 100 } }))
  },
  'ranges anywhere in a large file deliver exactly their bytes': async (storage) => {
    const bytes = pseudoRandom(LARGE, 6)
    await storage.save('large.bin', bytes)
    for (const [offset, length] of [
      [8 * MiB - 3, 7],
      [16 * MiB - 1, 2],
      [5 * MiB, 5 * MiB],
      [LARGE - 10, 100],
      [LARGE - 1, 1],
    ] as const) {
      const file = await storage.open('large.bin', { range: { offset, length } })
      assert.equal(file.size, LARGE)
      assert(
        bytes.subarray(offset, offset + length).equals(await file.bytes()),
        `${length} bytes at ${offset}`,
      )
    }
  },
  'a file that is deleted or replaced while it is open is read whole, or fails; it is never cut short':
    async (storage) => {
      const bytes = pseudoRandom(MiB, 7)
      for (const change of [
        () => storage.delete('a.bin'),
        async () => storage.save('a.bin', 'short', { ifExists: 'overwrite' }),
      ]) {
        await storage.save('a.bin', bytes, { ifExists: 'overwrite' })
        const file = await storage.open('a.bin')
        await change()
        let read: Buffer
        try {
          read = await file.bytes()
        } catch (error) {
          assert(error instanceof Error && 'code' in error, String(error))
          continue
        }
        assert(read.equals(bytes))
      }
    },
  'the name of a folder is no file': async (storage) => {
    await storage.save('folder/a.txt', 'content')
    await rejects('NotFound', () => storage.open('folder'))
    await rejects('NotFound', () => storage.open('folder', { range: { offset: 1 } }))
    await rejects('NotFound', () => storage.stat('folder'))
    await rejects('NotFound', () => storage.size('folder'))
    assert.equal(await storage.exists('folder'), false)
    await assertFiles(storage, { 'folder/a.txt': 'content' })
  },
})
