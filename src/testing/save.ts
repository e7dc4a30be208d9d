import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { isStorageError } from '../errors.js'
import { type ConformanceCase, cases } from './case.js'
import { deferred } from './contents.js'
import { assertEmpty, assertFiles, invoke, namesOf, rejects, textOf } from './expect.js'
import { nameOf } from './odd-names.js'

/** A taken name, and what its alternative looks like. */
const ALTERNATIVES: Readonly<Record<string, RegExp>> = {
  'report.pdf': /^report_[A-Za-z0-9]{7}\.pdf$/,
  'a.tar.gz': /^a_[A-Za-z0-9]{7}\.tar\.gz$/,
  'v1.2 final.pdf': /^v1\.2 final_[A-Za-z0-9]{7}\.pdf$/,
  '.env': /^\.env_[A-Za-z0-9]{7}$/,
  README: /^README_[A-Za-z0-9]{7}$/,
  'docs.v1/en/a.txt': /^docs\.v1\/en\/a_[A-Za-z0-9]{7}\.txt$/,
  'Größe (1).jpeg': /^Größe \(1\)_[A-Za-z0-9]{7}\.jpeg$/,
}

export const saveCases: readonly ConformanceCase[] = cases('save', {
  'gives the name under which the file can be read': async (storage) => {
    assert.equal(await storage.save('notes/today.txt', 'buy milk'), 'notes/today.txt')
    await assertFiles(storage, { 'notes/today.txt': 'buy milk' })
    assert.equal(await storage.exists('notes/today.txt'), true)
    assert.equal(await storage.size('notes/today.txt'), 8)
  },
  'makes whatever folders the name needs': async (storage) => {
    await storage.save('a/b/c/d/e/f/g.txt', 'deep')
    assert.equal(await textOf(storage, 'a/b/c/d/e/f/g.txt'), 'deep')
  },
  'stores an empty file': async (storage) => {
    await storage.save('empty.txt', '')
    assert.equal(await textOf(storage, 'empty.txt'), '')
    assert.equal((await storage.stat('empty.txt')).size, 0)
    assert.deepEqual(await namesOf(storage), ['empty.txt'])
  },
  'never overwrites by default: the second file gets another name': async (storage) => {
    await storage.save('a.txt', 'first')
    const second = await storage.save('a.txt', 'second')
    const third = await storage.save('a.txt', 'third', { ifExists: 'rename' })
    assert.equal(new Set(['a.txt', second, third]).size, 3)
    await assertFiles(storage, { 'a.txt': 'first', [second]: 'second', [third]: 'third' })
  },
  'puts seven random characters before the extensions of a taken name': async (storage) => {
    for (const [name, pattern] of Object.entries(ALTERNATIVES)) {
      await storage.save(name, 'first')
      const second = await storage.save(name, 'second')
      assert.match(second, pattern)
      assert.equal(await textOf(storage, second), 'second')
      assert.equal(await textOf(storage, name), 'first')
    }
  },
  'finds an alternative within the limits for the longest segments': async (storage) => {
    for (const name of [
      `${'r'.repeat(251)}.txt`,
      `d/${'☺'.repeat(84)}.md`,
      's'.repeat(255),
      '😀'.repeat(63),
    ]) {
      await storage.save(name, 'first')
      const second = await storage.save(name, 'second')
      assert.notEqual(second, name)
      assert(Buffer.byteLength(second.slice(second.lastIndexOf('/') + 1)) <= 255, second)
      assert.match(second, /_[A-Za-z0-9]{7}(\.txt|\.md)?$/)
      assert.equal(await textOf(storage, name), 'first')
      assert.equal(await textOf(storage, second), 'second')
    }
  },
  'finds an alternative for the longest names, or refuses; the first file stays in any case': async (
    storage,
  ) => {
    for (const name of [nameOf(900), nameOf(1000), nameOf(1024), `a.${'x'.repeat(253)}`]) {
      try {
        await storage.save(name, 'first')
      } catch (error) {
        assert(isStorageError(error) && error.code === 'InvalidName', String(error)) // A prefix takes its share.
        continue
      }
      try {
        const second = await storage.save(name, 'second')
        assert.notEqual(second, name)
        assert(Buffer.byteLength(second) <= 1024)
        assert.equal(await textOf(storage, second), 'second')
      } catch (error) {
        assert(isStorageError(error) && error.code === 'InvalidName', String(error))
      }
      assert.equal(await textOf(storage, name), 'first')
    }
  },
  'with overwrite replaces the content, also by a shorter or an empty one': async (storage) => {
    for (const content of ['first and long', 'second', '', 'fourth']) {
      assert.equal(await storage.save('a.txt', content, { ifExists: 'overwrite' }), 'a.txt')
      await assertFiles(storage, { 'a.txt': content })
      assert.equal(await storage.size('a.txt'), content.length)
    }
  },
  'with error stores a file of a free name': async (storage) => {
    assert.equal(await storage.save('a.txt', 'first', { ifExists: 'error' }), 'a.txt')
    await assertFiles(storage, { 'a.txt': 'first' })
  },
  'with error refuses a taken name and changes nothing about the file': async (storage) => {
    await storage.save('a.txt', 'first', { contentType: 'text/x-first', metadata: { version: '1' } })
    const before = await storage.stat('a.txt')
    await rejects('AlreadyExists', () =>
      storage.save('a.txt', 'second', {
        ifExists: 'error',
        contentType: 'text/x-second',
        metadata: { version: '2' },
      }),
    )
    assert.deepEqual(await storage.stat('a.txt'), before)
    await assertFiles(storage, { 'a.txt': 'first' })
  },
  'can use a name again after its file was deleted': async (storage) => {
    await storage.save('a.txt', 'first')
    await storage.delete('a.txt')
    assert.equal(await storage.save('a.txt', 'second'), 'a.txt')
    assert.equal(await textOf(storage, 'a.txt'), 'second')
  },
  'below a file works or is refused; the file stays in any case': async (storage) => {
    await storage.save('a', 'a file')
    for (const name of ['a/b', 'a/c/d']) {
      try {
        assert.equal(await storage.save(name, 'below'), name)
        assert.equal(await textOf(storage, name), 'below')
      } catch (error) {
        assert(isStorageError(error) && error.code === 'AlreadyExists', String(error))
      }
      assert.equal(await textOf(storage, 'a'), 'a file')
    }
    await rejects('NotFound', () => storage.open('a/missing'))
    assert.equal(await storage.exists('a/missing'), false)
    await storage.delete('a/missing')
    assert.equal(await textOf(storage, 'a'), 'a file')
  },
  'under the name of a folder gives a name that can be read; the folder stays': async (storage) => {
    await storage.save('a/b', 'in the folder')
    const name = await storage.save('a', 'named like the folder')
    assert.equal(await textOf(storage, name), 'named like the folder')
    assert.equal(await textOf(storage, 'a/b'), 'in the folder')
  },
  'under the name of a folder with overwrite never harms what is in the folder': async (storage) => {
    await storage.save('a/b', 'in the folder')
    for (const ifExists of ['overwrite', 'error'] as const) {
      try {
        const name = await storage.save('a', 'named like the folder', { ifExists })
        assert.equal(await textOf(storage, name), 'named like the folder')
        await storage.delete(name)
      } catch (error) {
        assert(isStorageError(error) && error.code === 'AlreadyExists', String(error))
      }
      assert.equal(await textOf(storage, 'a/b'), 'in the folder')
    }
  },
  'shows nothing of a file before all of it is stored': async (storage) => {
    const started = deferred()
    const gate = deferred()
    const content = async function* () {
      yield 'first half, '
      started.resolve()
      await gate.promise
      yield 'second half'
    }
    const saving = storage.save('new/folder/a.txt', content())
    await started.promise
    assert.equal(await storage.exists('new/folder/a.txt'), false)
    await rejects('NotFound', () => storage.open('new/folder/a.txt'))
    await rejects('NotFound', () => storage.stat('new/folder/a.txt'))
    await assertEmpty(storage)
    gate.resolve()
    assert.equal(await saving, 'new/folder/a.txt')
    await assertFiles(storage, { 'new/folder/a.txt': 'first half, second half' })
  },
  'shows the old content until all of the new one is stored': async (storage) => {
    await storage.save('a.txt', 'old', { metadata: { version: 'old' } })
    const started = deferred()
    const gate = deferred()
    const content = async function* () {
      yield 'new'
      started.resolve()
      await gate.promise
    }
    const saving = storage.save('a.txt', content(), { ifExists: 'overwrite', metadata: { version: 'new' } })
    await started.promise
    assert.equal(await textOf(storage, 'a.txt'), 'old')
    assert.deepEqual((await storage.stat('a.txt')).metadata, { version: 'old' })
    gate.resolve()
    await saving
    assert.equal(await textOf(storage, 'a.txt'), 'new')
    assert.deepEqual((await storage.stat('a.txt')).metadata, { version: 'new' })
  },
  'reports its progress: never backwards, at last all of the bytes': async (storage) => {
    const bytes = Buffer.alloc(300_000, 'x')
    const pieces = [bytes.subarray(0, 100_000), bytes.subarray(100_000)]
    for (const [name, content, total] of [
      ['known.txt', bytes, bytes.length],
      ['unknown.txt', pieces, undefined],
      ['empty.txt', '', 0],
    ] as const) {
      const seen: { bytes: number; total?: number }[] = []
      await storage.save(name, content, { onProgress: (progress) => seen.push({ ...progress }) })
      assert.equal(seen.at(-1)?.bytes, await storage.size(name))
      for (const [index, progress] of seen.entries()) {
        assert(index === 0 || progress.bytes > (seen[index - 1]?.bytes ?? -1), JSON.stringify(seen))
        assert.equal(progress.total, total)
      }
    }
  },
  'fails with what onProgress throws, and stores nothing': async (storage) => {
    const thrown = new Error('no more, please')
    const onProgress = () => {
      throw thrown
    }
    for (const content of [Buffer.alloc(100_000), [Buffer.alloc(100_000), 'x']]) {
      await assert.rejects(
        async () => storage.save('a.txt', content, { onProgress }),
        (error) => error === thrown,
      )
    }
    await assertEmpty(storage)
  },
  'neither changes nor keeps the options': async (storage) => {
    const metadata = { Room: '42' }
    const options = Object.freeze({ contentType: 'text/plain', metadata: Object.freeze({ ...metadata }) })
    await storage.save('a.txt', 'content', options)
    assert.deepEqual(options, { contentType: 'text/plain', metadata: { Room: '42' } })
    const changing = { contentType: 'text/plain', metadata: { ...metadata } }
    const saving = storage.save('b.txt', 'content', changing)
    changing.metadata.Room = 'changed'
    changing.contentType = 'text/html'
    await saving
    const { contentType, metadata: stored } = await storage.stat('b.txt')
    assert.deepEqual([contentType, stored], ['text/plain', { room: '42' }])
    const rules = { metadata: { ...metadata }, maxSize: 3, allowedTypes: ['text/plain'] }
    const uploads = ['too long', '<p>'].map((content) =>
      rejects('Rejected', () => storage.save('c.txt', content, rules)),
    )
    rules.maxSize = 1_000
    rules.allowedTypes.push('text/html')
    await Promise.all(uploads)
    await assertFiles(storage, { 'a.txt': 'content', 'b.txt': 'content' })
  },
  'frees a stream that it refuses to read': async (storage) => {
    const refusals: [string, object][] = [
      ['../x', {}],
      ['a.txt', { contentType: 'no type' }],
      ['a.txt', { maxSize: -1 }],
      ['a.txt', { signal: AbortSignal.abort() }],
    ]
    for (const [name, options] of refusals) {
      const stream = new Readable({ read() {} })
      await assert.rejects(async () => storage.save(name, stream, options))
      assert.equal(stream.destroyed, true, name)
      let cancelled = false
      const cancel = () => {
        cancelled = true
      }
      const web = new ReadableStream({ cancel })
      await assert.rejects(async () => storage.save(name, web, options))
      assert.equal(cancelled, true, name)
    }
    await assertEmpty(storage)
  },
  'refuses options that do not exist, in every method': async (storage) => {
    await storage.save('a.txt', 'content')
    const upload = { size: 1, contentType: 'text/plain' }
    await rejects('InvalidArgument', () => invoke(storage, 'save', 'b.txt', 'x', { ifExist: 'overwrite' }))
    await rejects('InvalidArgument', () => invoke(storage, 'save', 'b.txt', 'x', { ContentType: 'a/b' }))
    await rejects('InvalidArgument', () => invoke(storage, 'open', 'a.txt', { rnage: { offset: 1 } }))
    await rejects('InvalidArgument', () => invoke(storage, 'copy', 'a.txt', 'b.txt', { overwrite: true }))
    await rejects('InvalidArgument', () => invoke(storage, 'move', 'a.txt', 'b.txt', { overwrite: true }))
    await rejects('InvalidArgument', () => invoke(storage, 'deletePrefix', 'a', { dryrun: true }))
    await rejects('InvalidArgument', () => invoke(storage, 'signedUrl', 'a.txt', { expires: 60 }))
    await rejects('InvalidArgument', () =>
      invoke(storage, 'signedUpload', 'b.txt', { ...upload, maxSize: 1 }),
    )
    await rejects('InvalidArgument', () => invoke(storage, 'deleteMany', ['a.txt'], { recursive: true }))
    for (const method of ['exists', 'stat', 'size', 'delete', 'listdir'] as const) {
      await rejects('InvalidArgument', () => invoke(storage, method, 'a.txt', { sginal: null }), method)
    }
    await assertFiles(storage, { 'a.txt': 'content' })
  },
  'refuses values of ifExists that do not exist': async (storage) => {
    await storage.save('a.txt', 'content')
    for (const ifExists of ['replace', '', null, true]) {
      await rejects('InvalidArgument', () => invoke(storage, 'save', 'a.txt', 'harm', { ifExists }))
      await rejects('InvalidArgument', () => invoke(storage, 'copy', 'a.txt', 'b.txt', { ifExists }))
      await rejects('InvalidArgument', () => invoke(storage, 'move', 'a.txt', 'b.txt', { ifExists }))
    }
    await assertFiles(storage, { 'a.txt': 'content' })
  },
})
