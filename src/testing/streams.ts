import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import type { Content } from '../content.js'
import { setImmediate, setTimeout } from '../timers.js'
import { type Check, type ConformanceCase, cases } from './case.js'
import { failingAfter, inChunks, LARGE, MiB, pseudoRandom } from './contents.js'
import { assertBytes, assertEmpty, assertFiles, failure, invoke, namesOf, rejects, textOf } from './expect.js'

const TEXT = 'Grüße, 😀!'
const BYTES = Buffer.from(TEXT)

/** Everything that may be saved, with the same content. */
const CONTENTS: Readonly<Record<string, () => Content>> = {
  'a string': () => TEXT,
  'a Buffer': () => Buffer.from(BYTES),
  'a Uint8Array': () => new Uint8Array(BYTES),
  'an ArrayBuffer': () => new Uint8Array(BYTES).buffer,
  'a DataView': () => new DataView(new Uint8Array(BYTES).buffer),
  'a view into a larger buffer': () =>
    Buffer.concat([Buffer.alloc(9, 1), BYTES, Buffer.alloc(9, 2)]).subarray(9, -9),
  'an Int16Array into a larger buffer': () => {
    const larger = new Uint8Array([1, 1, ...BYTES, 2, 2])
    return new Int16Array(larger.buffer, 2, BYTES.length / 2)
  },
  'a Blob': () => new Blob([BYTES.subarray(0, 5), BYTES.subarray(5)]),
  'a slice of a Blob': () => new Blob(['xx', BYTES, 'yy']).slice(2, 2 + BYTES.length),
  'a File': () => new File([BYTES], 'ignored.txt', { type: 'text/ignored' }),
  'a Node stream': () => Readable.from([BYTES.subarray(0, 5), BYTES.subarray(5)], { objectMode: false }),
  'a Node stream of strings': () => Readable.from(['Grüße, ', '😀!']),
  'a Node stream with an encoding': () =>
    Readable.from([BYTES.subarray(0, 9), BYTES.subarray(9)], { objectMode: false }).setEncoding('utf8'),
  'a web stream': () => new Blob([BYTES]).stream(),
  'a web stream of strings': () =>
    new ReadableStream({
      start(controller) {
        controller.enqueue('Grüße, ')
        controller.enqueue('😀!')
        controller.close()
      },
    }),
  'an array of chunks': () => [BYTES.subarray(0, 5), new Uint8Array(BYTES.subarray(5))],
  'a generator': function* () {
    yield* ['Grüße', ', ', '😀!']
  },
  'an async generator': async function* () {
    yield* [BYTES.subarray(0, 3), '', new Uint8Array(BYTES.subarray(3)).buffer]
  },
  'an object that can be iterated': () => ({ [Symbol.asyncIterator]: () => inChunks(BYTES) }),
  'strings cut inside a character': () => ['Grüße, \ud83d', '\ude00!'],
  'strings cut inside a character, with an empty one between': () =>
    Readable.from(['Grüße, \ud83d', '', '\ude00!']),
  'bytes cut inside a character': () => Array.from(BYTES, (byte) => Uint8Array.of(byte)),
  'a generator that fills one buffer again and again': function* () {
    const buffer = Buffer.alloc(1)
    for (const byte of BYTES) {
      buffer[0] = byte
      yield buffer
    }
  },
}

/** Everything that may be empty. */
const NOTHING: Readonly<Record<string, () => Content>> = {
  'an empty string': () => '',
  'an empty Buffer': () => Buffer.alloc(0),
  'an empty Blob': () => new Blob([]),
  'an empty Node stream': () => Readable.from([]),
  'an empty web stream': () => new Blob([]).stream(),
  'an empty generator': function* () {},
  'an empty async generator': async function* () {},
  'an empty array': () => [],
  'empty chunks': () => ['', Buffer.alloc(0), new ArrayBuffer(0)],
}

/** Sources that fail, given the error they fail with. */
const FAILURES: Readonly<Record<string, (error: Error) => Content>> = {
  'a generator that fails at once': (error) => failingAfter([], error),
  'a generator that fails in the middle': (error) => failingAfter(['first ', 'second '], error),
  'a synchronous generator that fails': function* (error) {
    yield 'first '
    throw error
  },
  'a Node stream that fails at once': (error) =>
    new Readable({
      read() {
        this.destroy(error)
      },
    }),
  'a Node stream that has failed already': (error) => new Readable({ read() {} }).destroy(error),
  'a Node stream that fails in the middle': (error) =>
    Readable.from(failingAfter(['first ', 'second '], error)),
  'a web stream that fails at once': (error) =>
    new ReadableStream({
      start(controller) {
        controller.error(error)
      },
    }),
  'a web stream that fails in the middle': (error) => {
    let pulled = 0
    return new ReadableStream({
      pull(controller) {
        if (pulled++ < 2) controller.enqueue(Buffer.from('first '))
        else controller.error(error)
      },
    })
  },
  'a stream that fails after more than a part': (error) =>
    failingAfter(
      Array.from({ length: 18 }, () => Buffer.alloc(MiB, 'x')),
      error,
    ),
}

function each<T>(
  rows: Readonly<Record<string, T>>,
  title: (label: string) => string,
  check: (row: T) => Check,
): Record<string, Check> {
  return Object.fromEntries(Object.entries(rows).map(([label, row]) => [title(label), check(row)]))
}

export const streamCases: readonly ConformanceCase[] = cases('contents', {
  ...each(
    CONTENTS,
    (label) => `${label} is stored byte for byte`,
    (content) => async (storage) => {
      await storage.save('a.txt', content())
      assert.deepEqual(await (await storage.open('a.txt')).bytes(), BYTES)
      assert.equal(await storage.size('a.txt'), BYTES.length)
    },
  ),
  ...each(
    NOTHING,
    (label) => `${label} is stored as an empty file`,
    (content) => async (storage) => {
      await storage.save('a.txt', 'something', { ifExists: 'overwrite' })
      await storage.save('a.txt', content(), { ifExists: 'overwrite' })
      await assertFiles(storage, { 'a.txt': '' })
    },
  ),
  ...each(
    FAILURES,
    (label) => `${label} fails the save with its own error; nothing is stored`,
    (content) => async (storage) => {
      const error = new Error('the disk is gone')
      assert.equal(await failure(() => storage.save('new/a.txt', content(error))), error)
      await assertEmpty(storage)
      await storage.save('a.txt', 'old', { metadata: { version: 'old' } })
      const before = await storage.stat('a.txt')
      const overwriting = () => storage.save('a.txt', content(error), { ifExists: 'overwrite' })
      assert.equal(await failure(overwriting), error)
      assert.deepEqual(await storage.stat('a.txt'), before)
      await assertFiles(storage, { 'a.txt': 'old' })
    },
  ),
  'an error that is no Error comes back as it is, too': async (storage) => {
    for (const thrown of ['a string', 42, { code: 'mine' }]) {
      const content = function* () {
        yield 'x'
        throw thrown
      }
      assert.equal(await failure(() => storage.save('a.txt', content())), thrown)
    }
    await assertEmpty(storage)
  },
  'a file of this storage can be saved under another name': async (storage) => {
    await storage.save('a.txt', TEXT)
    await storage.save('b.txt', await storage.open('a.txt'))
    await storage.save('c.txt', await storage.open('a.txt', { range: { offset: -5 } }))
    await assertFiles(storage, { 'a.txt': TEXT, 'b.txt': TEXT, 'c.txt': '😀!' })
  },
  'a file can be saved over itself': async (storage) => {
    await storage.save('a.txt', TEXT)
    await storage.save('a.txt', await storage.open('a.txt'), { ifExists: 'overwrite' })
    await assertFiles(storage, { 'a.txt': TEXT })
  },
  'a large stream of unknown length is stored byte for byte': async (storage) => {
    const bytes = pseudoRandom(LARGE)
    let last = 0
    const onProgress = (progress: { bytes: number }) => {
      assert(progress.bytes >= last)
      last = progress.bytes
    }
    await storage.save('large.bin', inChunks(bytes), {
      onProgress,
      metadata: { large: 'yes' },
      contentType: 'video/mp4',
    })
    assert.equal(last, LARGE)
    const file = await storage.open('large.bin')
    assert.deepEqual([file.size, file.contentType, file.metadata], [LARGE, 'video/mp4', { large: 'yes' }])
    assert(bytes.equals(await file.bytes()))
  },
  'a large Buffer and a large Blob are stored byte for byte': async (storage) => {
    const bytes = pseudoRandom(LARGE, 2)
    for (const content of [bytes, new Blob([bytes])]) {
      const name = await storage.save('large.bin', content)
      await assertBytes(storage, name, bytes)
    }
  },
  'a stream of a whole number of parts is stored byte for byte': async (storage) => {
    for (const size of [5 * MiB, 8 * MiB, 16 * MiB]) {
      const bytes = pseudoRandom(size, 3)
      const name = await storage.save(
        'even.bin',
        Readable.from([bytes.subarray(0, MiB), bytes.subarray(MiB)]),
      )
      await assertBytes(storage, name, bytes)
    }
  },
  'many small chunks are stored byte for byte': async (storage) => {
    const lines = Array.from({ length: 5000 }, (_, index) => `line ${index}\n`)
    await storage.save('log.txt', Readable.from(lines))
    assert.equal(await textOf(storage, 'log.txt'), lines.join(''))
  },
  'small and large chunks are stored in their order': async (storage) => {
    const sizes = [
      1, 16_383, 16_384, 60_000, 5, 70_000, 0, 1_000, 16_000, 16_000, 16_000, 16_000, 1, 200_000, 3,
    ]
    const chunks = sizes.map((size, index) => pseudoRandom(size, index))
    await storage.save('mixed.bin', Readable.from(chunks))
    await assertBytes(storage, 'mixed.bin', Buffer.concat(chunks))
  },
  'a large stream onto a taken name gets another name': async (storage) => {
    const bytes = pseudoRandom(LARGE, 4)
    await storage.save('large.bin', 'small')
    const name = await storage.save('large.bin', inChunks(bytes))
    assert.match(name, /^large_[A-Za-z0-9]{7}\.bin$/)
    await assertBytes(storage, name, bytes)
    assert.equal(await textOf(storage, 'large.bin'), 'small')
  },
  'a large stream onto a taken name is refused with error and replaces with overwrite': async (storage) => {
    const bytes = pseudoRandom(LARGE, 5)
    await storage.save('large.bin', 'small')
    await rejects('AlreadyExists', () => storage.save('large.bin', inChunks(bytes), { ifExists: 'error' }))
    assert.equal(await textOf(storage, 'large.bin'), 'small')
    await storage.save('large.bin', inChunks(bytes), { ifExists: 'overwrite' })
    await assertBytes(storage, 'large.bin', bytes)
    assert.deepEqual(await namesOf(storage), ['large.bin'])
  },
  'a stream that was read, closed or locked before is refused': async (storage) => {
    const ended = Readable.from(['x'])
    for await (const _ of ended);
    const destroyed = Readable.from(['x'])
    destroyed.destroy()
    const locked = new Blob(['x']).stream()
    locked.getReader()
    await storage.save('a.txt', 'content')
    const read = await storage.open('a.txt')
    await read.text()
    for (const content of [ended, destroyed, locked, read]) {
      await rejects('InvalidArgument', () => storage.save('b.txt', content))
    }
    await assertFiles(storage, { 'a.txt': 'content' })
  },
  'a content of another type is refused': async (storage) => {
    for (const content of [
      undefined,
      null,
      42,
      true,
      10n,
      {},
      new Date(),
      () => 'x',
      Symbol('x'),
      new Map([['a', 'b']]),
    ]) {
      await rejects('InvalidArgument', () => invoke(storage, 'save', 'a.txt', content), String(content))
    }
    for (const chunk of [42, null, {}, ['x']]) {
      await rejects('InvalidArgument', () => invoke(storage, 'save', 'a.txt', ['good', chunk]))
      await rejects('InvalidArgument', () => invoke(storage, 'save', 'a.txt', inOrder('good', chunk)))
    }
    await assertEmpty(storage)
  },
  'a failing stream does no harm when its save is refused for another reason': async (storage) => {
    const failing = () => {
      const stream = new Readable({ read() {} })
      setImmediate(() => stream.destroy(new Error('there is no such source')))
      return stream
    }
    await rejects('InvalidName', () => storage.save('../a.txt', failing()))
    await rejects('InvalidArgument', () => invoke(storage, 'save', 'a.txt', failing(), { ifExist: 'error' }))
    await rejects('Aborted', () => storage.save('a.txt', failing(), { signal: AbortSignal.abort() }))
    await new Promise((resolve) => setTimeout(resolve, 20))
    await assertEmpty(storage)
  },
})

async function* inOrder(...items: readonly unknown[]): AsyncGenerator<unknown> {
  yield* items
}
