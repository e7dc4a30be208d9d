import assert from 'node:assert/strict'
import { once } from 'node:events'
import { PassThrough, Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { sleep } from '../timers.js'
import { cases } from './case.js'
import { failingAfter, inChunks, LARGE, MiB, pseudoRandom } from './contents.js'
import { assertBytes, assertEmpty, failure, namesOf, rejects, textOf } from './expect.js'

/** A source that says how much was taken of it, and whether it was closed. */
function countedSource(chunks: number, size: number) {
  const state = { taken: 0, closed: false }
  async function* chunksOf() {
    try {
      for (let index = 0; index < chunks; index++) {
        state.taken += 1
        yield Buffer.alloc(size, index)
      }
    } finally {
      state.closed = true
    }
  }
  return { state, source: chunksOf() }
}

async function until(condition: () => boolean): Promise<void> {
  for (let attempt = 0; attempt < 500; attempt++) {
    if (condition()) return
    await sleep(10)
  }
  assert.fail('waited for 5 s')
}

export const teeCases = cases('tee', {
  'gives the listener the bytes that it saves': async (storage) => {
    const { stream, saved } = storage.tee('speech.mp3', ['one ', Buffer.from('two '), 'three'])
    const [heard, name] = await Promise.all([buffer(stream), saved])
    assert.equal(heard.toString(), 'one two three')
    assert.equal(name, 'speech.mp3')
    assert.equal(await textOf(storage, 'speech.mp3'), 'one two three')
    assert.equal((await storage.stat('speech.mp3')).contentType, 'audio/mpeg')
  },
  'takes a large source in pieces': async (storage) => {
    const bytes = pseudoRandom(LARGE)
    const { stream, saved } = storage.tee('large.bin', inChunks(bytes))
    const [heard] = await Promise.all([buffer(stream), saved])
    assert.ok(heard.equals(bytes))
    await assertBytes(storage, 'large.bin', bytes)
  },
  'takes an empty source, a string and a Blob, whose type is stored': async (storage) => {
    for (const [source, text] of [
      [[], ''],
      ['text', 'text'],
      [new Blob(['blob'], { type: 'text/css' }), 'blob'],
    ] as const) {
      const { stream, saved } = storage.tee('tee', source, { ifExists: 'overwrite' })
      assert.equal((await buffer(stream)).toString(), text)
      assert.equal(await textOf(storage, await saved), text)
    }
    assert.equal((await storage.stat('tee')).contentType, 'text/css')
  },
  'takes a file of a storage with its headers and metadata': async (storage) => {
    await storage.save('a', 'content', { contentType: 'text/css', metadata: { by: 'me' } })
    const { stream, saved } = storage.tee('b', await storage.open('a'), { metadata: { by: 'you' } })
    stream.resume()
    const { contentType, metadata } = await storage.stat(await saved)
    assert.deepEqual({ contentType, metadata }, { contentType: 'text/css', metadata: { by: 'you' } })
  },
  'keeps the rules and options of a save': async (storage) => {
    await storage.save('taken.txt', 'first')
    const renamed = storage.tee('taken.txt', ['second'])
    renamed.stream.resume()
    assert.match(await renamed.saved, /^taken_\w{7}\.txt$/)
    const refused = storage.tee('taken.txt', ['third'], { ifExists: 'error' })
    assert.equal((await buffer(refused.stream)).toString(), 'third')
    await rejects('AlreadyExists', () => refused.saved)
    assert.equal(await textOf(storage, 'taken.txt'), 'first')
  },
  'reads the source at the pace of the listener': async (storage) => {
    const { state, source } = countedSource(100, 64 * 1024)
    const { stream, saved } = storage.tee('slow', source)
    await once(stream, 'readable')
    await sleep(50)
    assert.ok(state.taken < 10, `${state.taken} chunks were taken before the listener asked for them`)
    stream.resume()
    await saved
    assert.equal(state.taken, 100)
  },
  'saves on when the listener leaves': async (storage) => {
    const { stream, saved } = storage.tee('left', countedSource(64, 64 * 1024).source)
    await once(stream, 'readable')
    stream.destroy()
    assert.equal((await storage.stat(await saved)).size, 4 * MiB)
  },
  'saves on when a listener who is piped into leaves without a word': async (storage) => {
    const { stream, saved } = storage.tee('gone', countedSource(64, 64 * 1024).source, { sourceTimeout: 200 })
    const response = new PassThrough()
    stream.pipe(response)
    await once(response, 'readable')
    response.destroy()
    assert.equal((await storage.stat(await saved)).size, 4 * MiB)
  },
  'goes on for the listener when the save fails': async (storage) => {
    const bytes = pseudoRandom(2 * MiB)
    const { stream, saved } = storage.tee('too-large', inChunks(bytes), { maxSize: MiB })
    assert.ok((await buffer(stream)).equals(bytes))
    await rejects('Rejected', () => saved)
    await assertEmpty(storage)
  },
  'goes on for the listener when the name or an option is wrong': async (storage) => {
    const wrong = storage.tee('../up', ['heard'])
    assert.equal((await buffer(wrong.stream)).toString(), 'heard')
    await rejects('InvalidName', () => wrong.saved)
    const misspelt = storage.tee('a', ['heard'], JSON.parse('{"contenttype":"a/b"}'))
    assert.equal((await buffer(misspelt.stream)).toString(), 'heard')
    await rejects('InvalidArgument', () => misspelt.saved)
    await assertEmpty(storage)
  },
  'ends both with the error of the source, and stores nothing': async (storage) => {
    const broken = new Error('the source broke')
    const { stream, saved } = storage.tee('broken', failingAfter([pseudoRandom(MiB)], broken))
    const [heard, stored] = await Promise.all([failure(() => buffer(stream)), failure(() => saved)])
    assert.equal(heard, broken)
    assert.equal(stored, broken)
    await assertEmpty(storage)
  },
  'refuses a wrong content on both sides, and throws nothing': async (storage) => {
    // @ts-expect-error: a caller without TypeScript.
    const { stream, saved } = storage.tee('a', undefined)
    await rejects('InvalidArgument', () => buffer(stream))
    await rejects('InvalidArgument', () => saved)
  },
  'stops only the save by the signal': async (storage) => {
    const controller = new AbortController()
    const { stream, saved } = storage.tee('aborted', countedSource(64, 64 * 1024).source, {
      signal: controller.signal,
    })
    await once(stream, 'readable')
    controller.abort()
    await rejects('Aborted', () => saved)
    assert.equal((await buffer(stream)).byteLength, 4 * MiB)
    assert.deepEqual(await namesOf(storage), [])
  },
  'closes the source when both are gone': async (storage) => {
    const { state, source } = countedSource(1000, 64 * 1024)
    const controller = new AbortController()
    const { stream, saved } = storage.tee('both', source, { signal: controller.signal })
    await once(stream, 'readable')
    stream.destroy()
    controller.abort()
    await rejects('Aborted', () => saved)
    await until(() => state.closed)
    assert.ok(state.taken < 1000)
    await assertEmpty(storage)
  },
  'needs nobody who hears its errors': async (storage) => {
    const broken = () => Readable.from(failingAfter(['some'], new Error('the source broke')))
    storage.tee('unheard', broken()).stream.resume()
    storage.tee('../unheard', broken()).stream.resume()
    await sleep(50)
    await assertEmpty(storage)
  },
})
