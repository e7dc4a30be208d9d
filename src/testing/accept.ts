import assert from 'node:assert/strict'
import type { StorageDriver } from '../driver.js'
import { isStorageError } from '../errors.js'
import { driverOf, Storage } from '../storage.js'
import { nextTurn } from '../timers.js'
import { type ConformanceCase, cases } from './case.js'
import { HTML, LARGE, PNG, pseudoRandom } from './contents.js'
import { assertBytes, assertEmpty, assertFiles, invoke, namesOf, rejects, textOf } from './expect.js'
import { signed } from './signed-url.js'

const IMAGES = { allowedTypes: ['image/*'] }

const HEADERS = {
  cacheControl: 'max-age=60',
  contentDisposition: 'attachment; filename="notes.txt"',
  contentLanguage: 'de-AT',
  contentEncoding: 'identity',
  metadata: { room: '42', note: ' Grüße, 😀 ', empty: '' },
}

/** The fields of the rejection, also of one from another copy of the package. */
function facts(error: object): unknown[] {
  return ['status', 'reason', 'limit', 'found', 'operation', 'file'].map((field) => Reflect.get(error, field))
}

async function headersOf(storage: Storage, name: string): Promise<object> {
  const { cacheControl, contentDisposition, contentLanguage, contentEncoding, metadata } =
    await storage.stat(name)
  return { cacheControl, contentDisposition, contentLanguage, contentEncoding, metadata: { ...metadata } }
}

/** The same files; `between` runs once, at the chosen step of a copy. */
class Interrupted extends Storage {
  constructor(storage: Storage, step: 'stage' | 'publish', between: () => Promise<unknown>) {
    const inner = driverOf(storage)
    const stageCopy: StorageDriver['stageCopy'] = async (request) => {
      if (step === 'stage') await between()
      const staged = await inner.stageCopy(request)
      if (step === 'publish') await between()
      return staged
    }
    super(
      new Proxy(inner, {
        get: (_, member) => {
          if (member === 'stageCopy') return stageCopy
          const value: unknown = Reflect.get(inner, member)
          return typeof value === 'function' ? value.bind(inner) : value // Private fields want their own object.
        },
      }),
    )
  }
}

export const acceptCases: readonly ConformanceCase[] = cases('accept', {
  'moves a file, and gives it the type that its bytes have': async (storage) => {
    for (const [from, to] of [
      ['in/a.txt', 'out/a.png'],
      ['in/b', 'out/b'],
      ['in/c.png', 'out/c.txt'],
      ['in/50%25 ?.png', 'out/d %3F.png'],
    ] as const) {
      await storage.save(from, PNG, { contentType: 'text/plain' })
      assert.equal(await storage.accept(from, to, IMAGES), to)
      assert.equal((await storage.stat(to)).contentType, 'image/png', to)
      await assertBytes(storage, to, PNG)
    }
    assert.deepEqual(await namesOf(storage), ['out/a.png', 'out/b', 'out/c.txt', 'out/d %3F.png'])
  },
  'keeps a type that the bytes have, with its parameters': async (storage) => {
    await storage.save('a', 'name;value\n', { contentType: 'text/csv; charset=utf-8' })
    await storage.accept('a', 'b.txt', { allowedTypes: ['text/csv'] })
    assert.equal((await storage.stat('b.txt')).contentType, 'text/csv; charset=utf-8')
  },
  'refuses and deletes a web page that is named like a picture': async (storage) => {
    await storage.save('in/x.png', HTML, { contentType: 'image/png', metadata: { by: 'me' } })
    const error = await rejects('Rejected', () => storage.accept('in/x.png', 'out/x.png', IMAGES))
    assert.equal(error.name, 'UploadRejectedError')
    assert.deepEqual(facts(error), [415, 'type', undefined, 'text/html', 'accept', 'in/x.png'])
    await assertEmpty(storage)
  },
  'refuses and deletes a file that is too large; one of exactly the limit passes': async (storage) => {
    for (const rules of [{ maxSize: 5 }, { maxSize: 5, allowedTypes: ['text/plain'] }]) {
      await storage.save('a.txt', '123456')
      const error = await rejects('Rejected', () => storage.accept('a.txt', 'b.txt', rules))
      assert.deepEqual(facts(error), [413, 'size', 5, 6, 'accept', 'a.txt'])
      await assertEmpty(storage)
      await storage.save('a.txt', '12345')
      assert.equal(await storage.accept('a.txt', 'b.txt', rules), 'b.txt')
      await assertFiles(storage, { 'b.txt': '12345' })
      await storage.delete('b.txt')
    }
  },
  'takes the headers and the metadata along, whether or not the type changes': async (storage) => {
    for (const contentType of ['image/png', 'text/html']) {
      await storage.save('a.txt', PNG, { ...HEADERS, contentType })
      await storage.accept('a.txt', 'b.txt', { ...IMAGES, ifExists: 'overwrite' })
      assert.equal((await storage.stat('b.txt')).contentType, 'image/png')
      assert.deepEqual(await headersOf(storage, 'b.txt'), HEADERS)
      await storage.save('a.txt', PNG, { ...HEADERS, contentType })
      const renamed = await storage.accept('a.txt', 'b.txt', IMAGES)
      assert.equal((await storage.stat(renamed)).contentType, 'image/png')
      assert.deepEqual(await headersOf(storage, renamed), HEADERS)
      assert.equal(await storage.exists('a.txt'), false)
    }
  },
  'without a rule for types keeps the type that the file has': async (storage) => {
    for (const rules of [{}, { maxSize: 1000 }]) {
      await storage.save('a', PNG, { ...HEADERS, contentType: 'text/x-notes; charset=utf-8' })
      await storage.accept('a', 'b.png', { ...rules, ifExists: 'overwrite' })
      assert.equal((await storage.stat('b.png')).contentType, 'text/x-notes; charset=utf-8')
      assert.deepEqual(await headersOf(storage, 'b.png'), HEADERS)
      assert.deepEqual(await namesOf(storage), ['b.png'])
    }
  },
  'to a taken name gives another name by default': async (storage) => {
    await storage.save('a', PNG)
    await storage.save('b.png', 'taken')
    const name = await storage.accept('a', 'b.png', IMAGES)
    assert.match(name, /^b_[A-Za-z0-9]{7}\.png$/)
    await assertFiles(storage, { 'b.png': 'taken', [name]: PNG.toString() })
    assert.equal((await storage.stat(name)).contentType, 'image/png')
  },
  'with error refuses a taken name, and the file stays as it was': async (storage) => {
    await storage.save('a', PNG, { ...HEADERS, contentType: 'text/plain' })
    await storage.save('b.png', 'taken')
    const before = [await storage.stat('a'), await storage.stat('b.png')]
    const options = { ...IMAGES, ifExists: 'error' } as const
    await rejects('AlreadyExists', () => storage.accept('a', 'b.png', options))
    assert.deepEqual([await storage.stat('a'), await storage.stat('b.png')], before)
  },
  'with overwrite replaces the target and all of its attributes': async (storage) => {
    await storage.save('a', PNG, { contentType: 'text/plain', metadata: { from: 'a' } })
    await storage.save('b.png', 'taken', { ...HEADERS, contentType: 'text/css' })
    assert.equal(await storage.accept('a', 'b.png', { ...IMAGES, ifExists: 'overwrite' }), 'b.png')
    await assertFiles(storage, { 'b.png': PNG.toString() })
    const { contentType, contentLanguage, metadata } = await storage.stat('b.png')
    assert.deepEqual([contentType, contentLanguage, { ...metadata }], ['image/png', undefined, { from: 'a' }])
  },
  'of a missing file or a folder is not found and leaves the target alone': async (storage) => {
    await storage.save('b.png', 'taken')
    await storage.save('folder/a.png', PNG)
    for (const rules of [{}, { maxSize: 5 }, IMAGES]) {
      for (const from of ['missing', 'folder']) {
        for (const to of ['b.png', 'new/c.png', from]) {
          const options = { ...rules, ifExists: 'overwrite' } as const
          const error = await rejects('NotFound', () => storage.accept(from, to, options))
          assert.deepEqual([error.operation, error.file], ['accept', from])
        }
      }
    }
    await assertFiles(storage, { 'b.png': 'taken', 'folder/a.png': PNG.toString() })
  },
  'judges an empty file as plain text of no bytes': async (storage) => {
    await storage.save('a', '', { contentType: 'image/png' })
    const error = await rejects('Rejected', () => storage.accept('a', 'b', IMAGES))
    assert.match(error.message, /empty/)
    await assertEmpty(storage)
    await storage.save('a', '', { ...HEADERS, contentType: 'image/png' })
    await storage.accept('a', 'b', { maxSize: 0, allowedTypes: ['text/plain'] })
    assert.equal((await storage.stat('b')).contentType, 'text/plain')
    assert.deepEqual(await headersOf(storage, 'b'), HEADERS)
    await assertFiles(storage, { b: '' })
  },
  'moves a large file byte for byte': async (storage) => {
    const bytes = Buffer.concat([PNG, pseudoRandom(LARGE)])
    await storage.save('a', bytes, { ...HEADERS, contentType: 'text/html' })
    await storage.accept('a', 'b', IMAGES)
    await assertBytes(storage, 'b', bytes)
    assert.equal((await storage.stat('b')).contentType, 'image/png')
    assert.deepEqual(await headersOf(storage, 'b'), HEADERS)
    assert.deepEqual(await namesOf(storage), ['b'])
  },
  'onto its own name judges a file in place': async (storage) => {
    await storage.save('a.txt', PNG, HEADERS)
    for (const ifExists of [undefined, 'error', 'overwrite'] as const) {
      assert.equal(await storage.accept('a.txt', './a.txt', { ...IMAGES, ifExists }), 'a.txt')
      assert.equal((await storage.stat('a.txt')).contentType, 'image/png')
      assert.deepEqual(await headersOf(storage, 'a.txt'), HEADERS)
    }
    await assertFiles(storage, { 'a.txt': PNG.toString() })
    const before = await storage.stat('a.txt')
    for (const rules of [IMAGES, { maxSize: 1000 }, {}]) await storage.accept('a.txt', 'a.txt', rules)
    assert.deepEqual(await storage.stat('a.txt'), before)
    await rejects('Rejected', () => storage.accept('a.txt', 'a.txt', { allowedTypes: ['text/*'] }))
    await assertEmpty(storage)
  },
  'refuses names and options that cannot be meant, and touches nothing': async (storage) => {
    await storage.save('a', HTML)
    const before = await storage.stat('a')
    await rejects('InvalidName', () => storage.accept('../a', 'b', IMAGES))
    await rejects('InvalidName', () => storage.accept('a', '../b', IMAGES))
    for (const options of [
      { maxSize: -1 },
      { allowedTypes: 'image/png' },
      { ...IMAGES, ifExists: 'replace' },
      { ...IMAGES, contentType: 'a/b' },
      null,
      undefined,
    ]) {
      await rejects('InvalidArgument', () => invoke(storage, 'accept', 'a', 'b', options))
    }
    const signal = AbortSignal.abort()
    await rejects('Aborted', () => storage.accept('a', 'b', { ...IMAGES, signal }))
    assert.deepEqual(await storage.stat('a'), before)
    assert.deepEqual(await namesOf(storage), ['a'])
  },
  'never moves a file that replaced the judged one': async (storage) => {
    const replacement = { contentType: 'image/png', ifExists: 'overwrite' } as const
    for (const step of ['stage', 'publish'] as const) {
      for (const ifExists of ['rename', 'overwrite'] as const) {
        await storage.save('a.png', PNG, { ...replacement, metadata: { first: 'yes' } })
        const replace = () => storage.save('a.png', HTML, replacement)
        try {
          await new Interrupted(storage, step, replace).accept('a.png', 'b.png', { ...IMAGES, ifExists })
          await assertBytes(storage, 'b.png', PNG)
          assert.deepEqual({ ...(await storage.stat('b.png')).metadata }, { first: 'yes' })
          await storage.delete('b.png')
        } catch (error) {
          // A file that moves from one storage to another meanwhile may look missing.
          const expected = ['Unavailable', 'NotFound']
          assert(isStorageError(error) && expected.includes(error.code), String(error))
        }
        await assertFiles(storage, { 'a.png': HTML })
      }
    }
  },
  'in place never calls a file that replaced the judged one by its type': async (storage) => {
    await storage.save('a.txt', PNG)
    const replace = () => storage.save('a.txt', HTML, { ifExists: 'overwrite' })
    const interrupted = new Interrupted(storage, 'stage', replace)
    await rejects('Unavailable', () => interrupted.accept('a.txt', 'a.txt', IMAGES))
    await assertFiles(storage, { 'a.txt': HTML })
    assert.equal((await storage.stat('a.txt')).contentType, 'text/plain')
  },
  'accepts only what passes while somebody replaces the file again and again': async (storage) => {
    let replacing = true
    const replace = async (content: Buffer | string) => {
      while (replacing) {
        await storage.save('a', content, { contentType: 'image/png', ifExists: 'overwrite' })
        await nextTurn() // A storage in memory waits for nothing.
      }
    }
    const accept = async () => {
      for (let attempt = 0; attempt < 15; attempt++) {
        try {
          await storage.accept('a', 'out/a.png', IMAGES)
        } catch (error) {
          const expected = ['Rejected', 'Unavailable', 'NotFound']
          assert(isStorageError(error) && expected.includes(error.code), String(error))
        }
      }
    }
    const replacers = [replace(PNG), replace(HTML)]
    try {
      await Promise.all([accept(), accept()])
    } finally {
      replacing = false
      await Promise.all(replacers)
    }
    for (const name of await namesOf(storage, 'out')) {
      await assertBytes(storage, name, PNG)
      assert.equal((await storage.stat(name)).contentType, 'image/png')
    }
  },
  'judges what a signed upload brought': signed(async (storage) => {
    const send = async (content: Buffer | string) => {
      const body = Buffer.from(content)
      const settings = { size: body.byteLength, contentType: 'image/jpeg', metadata: { room: '42' } }
      const { name, method, url, headers } = await storage.signedUpload('in/photo.jpg', settings)
      const response = await fetch(url, { method, headers, body })
      assert(response.ok, await response.text())
      return name
    }
    assert.equal(await storage.accept(await send(PNG), 'photo', { ...IMAGES, maxSize: 1000 }), 'photo')
    const { contentType, metadata } = await storage.stat('photo')
    assert.deepEqual([contentType, { ...metadata }], ['image/png', { room: '42' }])
    const page = await send(HTML)
    await rejects('Rejected', () => storage.accept(page, 'photo', { ...IMAGES, ifExists: 'overwrite' }))
    assert.equal(await textOf(storage, 'photo'), PNG.toString())
    assert.deepEqual(await namesOf(storage), ['photo'])
  }),
})
