import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import type { Content } from '../content.js'
import { isStorageError, StorageError } from '../errors.js'
import type { Storage } from '../storage.js'
import { setImmediate } from '../timers.js'
import { type Check, type ConformanceCase, cases } from './case.js'
import { deferred, MiB, never, pseudoRandom } from './contents.js'
import { assertEmpty, assertFiles, collect, namesOf, rejects, textOf, within } from './expect.js'

const REASON = new Error('the user went away')
/** An abort may pass on the failure of another operation. It is still an abort. */
const ERROR_OF_OURS = new StorageError('Full', { operation: 'save', file: 'z.txt', reason: 'no space' })

/** Every method that does I/O, with a signal. */
const METHODS: Readonly<Record<string, (storage: Storage, signal: AbortSignal) => Promise<unknown>>> = {
  save: (storage, signal) => storage.save('b.txt', 'content', { signal }),
  'save with overwrite': (storage, signal) => storage.save('a.txt', 'new', { signal, ifExists: 'overwrite' }),
  open: (storage, signal) => storage.open('a.txt', { signal }),
  exists: (storage, signal) => storage.exists('a.txt', { signal }),
  stat: (storage, signal) => storage.stat('a.txt', { signal }),
  size: (storage, signal) => storage.size('a.txt', { signal }),
  signedUrl: (storage, signal) => storage.signedUrl('a.txt', { signal }),
  signedUpload: (storage, signal) =>
    storage.signedUpload('b.txt', { signal, size: 1, contentType: 'text/plain' }),
  delete: (storage, signal) => storage.delete('a.txt', { signal }),
  deleteMany: (storage, signal) => storage.deleteMany(['a.txt', 'folder/b.txt'], { signal }),
  deletePrefix: (storage, signal) => storage.deletePrefix('folder', { signal }),
  list: (storage, signal) => collect(storage.list('', { signal })),
  listdir: (storage, signal) => storage.listdir('', { signal }),
  copy: (storage, signal) => storage.copy('a.txt', 'c.txt', { signal }),
  move: (storage, signal) => storage.move('a.txt', 'c.txt', { signal }),
}

/** Sources that give one chunk and then go silent, and say so. */
const STALLING: Readonly<Record<string, (silent: () => void) => Content>> = {
  'an async generator': async function* (silent) {
    yield 'first '
    silent()
    await never()
  },
  'a Node stream': (silent) => {
    let pulled = 0
    return new Readable({
      read() {
        if (pulled++ === 0) this.push('first ')
        else silent()
      },
    })
  },
  'a web stream': (silent) => {
    let pulled = 0
    return new ReadableStream(
      {
        async pull(controller) {
          if (pulled++ === 0) return controller.enqueue(Buffer.from('first '))
          silent()
          await never()
        },
      },
      { highWaterMark: 0 },
    )
  },
}

async function abortWhileStalled(
  storage: Storage,
  name: string,
  stalling: (silent: () => void) => Content,
): Promise<void> {
  const controller = new AbortController()
  const silent = deferred()
  const { signal } = controller
  const saving = storage.save(name, stalling(silent.resolve), { signal, ifExists: 'overwrite' })
  saving.catch(() => {})
  await silent.promise
  controller.abort(REASON)
  const error = await rejects('Aborted', () => saving)
  assert.equal(error.cause, REASON)
}

/** Aborts some work after so many turns of the event loop. Returns whether the work was done before. */
async function abortAfter(
  turns: number,
  work: (signal: AbortSignal) => Promise<unknown>,
): Promise<'done' | 'aborted'> {
  const controller = new AbortController()
  const pending = work(controller.signal).then(
    () => 'done' as const,
    (error: unknown) => {
      assert(isStorageError(error) && error.code === 'Aborted', String(error))
      assert.equal(error.cause, REASON)
      return 'aborted' as const
    },
  )
  for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve))
  controller.abort(REASON)
  return within(pending)
}

function each<T>(
  rows: Readonly<Record<string, T>>,
  title: (label: string) => string,
  check: (row: T) => Check,
): Record<string, Check> {
  return Object.fromEntries(Object.entries(rows).map(([label, row]) => [title(label), check(row)]))
}

export const abortCases: readonly ConformanceCase[] = cases('abort', {
  ...each(
    METHODS,
    (method) => `${method} with a signal that is aborted already does nothing`,
    (call) => async (storage) => {
      const files = { 'a.txt': 'content', 'folder/b.txt': 'content' }
      for (const [name, content] of Object.entries(files)) await storage.save(name, content)
      for (const reason of [REASON, ERROR_OF_OURS, 'a string', undefined]) {
        const signal = AbortSignal.abort(reason)
        const error = await rejects('Aborted', () => call(storage, signal))
        assert.deepEqual([error.status, error.retryable], [499, false])
        assert.equal(error.cause, signal.reason)
        assert.equal(error.storage, String(storage))
      }
      await assertFiles(storage, files)
    },
  ),
  ...each(
    STALLING,
    (source) => `${source} that stalls is left at once, and nothing is stored`,
    (stalling) => async (storage) => {
      await abortWhileStalled(storage, 'new/a.txt', stalling)
      await assertEmpty(storage)
      await storage.save('a.txt', 'old', { metadata: { version: 'old' } })
      const before = await storage.stat('a.txt')
      await abortWhileStalled(storage, 'a.txt', stalling)
      assert.deepEqual(await storage.stat('a.txt'), before)
      await assertFiles(storage, { 'a.txt': 'old' })
    },
  ),
  'a time limit ends a save': async (storage) => {
    const signal = AbortSignal.timeout(50)
    const content = async function* () {
      yield 'first '
      await never()
    }
    const error = await rejects('Aborted', () => storage.save('a.txt', content(), { signal }))
    assert.equal(error.cause, signal.reason)
    await assertEmpty(storage)
  },
  'a large stream that is aborted in the middle is not stored, and the old content stays': async (
    storage,
  ) => {
    const large = (controller: AbortController) =>
      (function* () {
        for (let i = 0; i < 24; i++) {
          if (i === 19) controller.abort(REASON)
          yield pseudoRandom(MiB, i + 1)
        }
      })()
    const first = new AbortController()
    const { signal } = first
    assert.equal(
      (await rejects('Aborted', () => storage.save('a.bin', large(first), { signal }))).cause,
      REASON,
    )
    await assertEmpty(storage)
    await storage.save('a.bin', 'old')
    const second = new AbortController()
    const options = { signal: second.signal, ifExists: 'overwrite' } as const
    await rejects('Aborted', () => storage.save('a.bin', large(second), options))
    await assertFiles(storage, { 'a.bin': 'old' })
  },
  'a stream that is aborted after its last byte is not stored': async (storage) => {
    const controller = new AbortController()
    const content = async function* () {
      yield 'all of it'
      controller.abort(REASON)
    }
    const error = await rejects('Aborted', () =>
      storage.save('a.txt', content(), { signal: controller.signal }),
    )
    assert.equal(error.cause, REASON)
    await assertEmpty(storage)
  },
  'a save that is aborted at any moment is stored whole or not at all, and says which': async (storage) => {
    for (let turns = 0; turns < 8; turns++) {
      for (const content of ['content', Readable.from(['con', 'tent'])]) {
        const name = `${turns}-${typeof content}.txt`
        const saving = abortAfter(turns, (signal) => storage.save(name, content, { signal }))
        if ((await saving) === 'done') assert.equal(await textOf(storage, name), 'content')
        // A request that was on its way when the signal came may have arrived all the same.
        else if (await storage.exists(name)) assert.equal(await textOf(storage, name), 'content')
      }
    }
  },
  'a move that is aborted at any moment loses nothing': async (storage) => {
    for (let turns = 0; turns < 8; turns++) {
      const [from, to] = [`${turns}/from.txt`, `${turns}/to.txt`]
      await storage.save(from, 'content')
      const moved = await abortAfter(turns, (signal) => storage.move(from, to, { signal }))
      const left = await namesOf(storage, `${turns}`)
      assert(moved === 'done' ? left.join() === to : left.length > 0, `${moved}: ${left.join()}`)
      for (const name of left) assert.equal(await textOf(storage, name), 'content')
    }
  },
  'ends the reading of a file that was opened with its signal': async (storage) => {
    const content = Buffer.alloc(MiB, 'x')
    await storage.save('a.bin', content)
    const controller = new AbortController()
    const { signal } = controller
    const open = () => storage.open('a.bin', { signal })
    const [streamed, buffered, untouched] = await Promise.all([open(), open(), storage.open('a.bin')])
    const reader = streamed[Symbol.asyncIterator]()
    await reader.next()
    controller.abort(REASON)
    const rest = async () => {
      while (!(await reader.next()).done);
    }
    for (const read of [rest, () => buffered.bytes()]) {
      const error = await rejects('Aborted', read)
      assert.equal(error.cause, REASON)
    }
    assert.deepEqual(await untouched.bytes(), content)
  },
  'a save that is done is not harmed by a later abort': async (storage) => {
    const controller = new AbortController()
    await storage.save('a.txt', 'content', { signal: controller.signal })
    const file = await storage.open('a.txt')
    controller.abort(REASON)
    assert.equal(await file.text(), 'content')
    await assertFiles(storage, { 'a.txt': 'content' })
  },
  'a listing that is aborted on its way says so': async (storage) => {
    for (const name of ['a.txt', 'b.txt', 'c.txt']) await storage.save(name, 'content')
    const controller = new AbortController()
    const listed: string[] = []
    const listing = async () => {
      for await (const { name } of storage.list('', { signal: controller.signal })) {
        listed.push(name)
        controller.abort(REASON)
      }
    }
    assert.equal((await rejects('Aborted', listing)).cause, REASON)
    assert.deepEqual(listed, ['a.txt'])
  },
})
