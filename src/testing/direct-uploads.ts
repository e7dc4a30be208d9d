import assert from 'node:assert/strict'
import { ofBytes, toBody } from '../content.js'
import { DirectUploads, type UploadReference, type WantedPart } from '../direct-upload.js'
import { sweepBelow } from '../driver.js'
import { isStorageError } from '../errors.js'
import { driverOf, type Storage } from '../storage.js'
import type { UploadRules } from '../types.js'
import { toUploadRules } from '../uploads.js'
import { type Check, type ConformanceCase, cases } from './case.js'
import { failingAfter, HTML, MiB, PNG, pseudoRandom } from './contents.js'
import { assertBytes, assertEmpty, assertFiles, failure, namesOf, rejects } from './expect.js'

/** S3 takes no smaller part, unless it is the last one. */
const PART = pseudoRandom(5 * MiB)
const { signal } = new AbortController()

/** A client, and the application that it asks. */
class Client extends DirectUploads {
  readonly #storage: Storage

  constructor(storage: Storage, rules: UploadRules = {}) {
    super(storage, toUploadRules(rules))
    this.#storage = storage
  }

  async start(
    name: string,
    contentType?: string,
    metadata?: Record<string, string>,
  ): Promise<UploadReference> {
    const { id } = await this.begin(name, { contentType, metadata }, signal)
    return { name, id, signal }
  }

  /** Sends a part the way that the driver wants it. */
  async put(upload: UploadReference, number: number, content: string | Uint8Array): Promise<WantedPart> {
    const bytes = Buffer.from(content)
    const { url, query = '' } = await this.sign(upload, number, 600)
    if (url === undefined) {
      assert.equal(this.verify({ id: upload.id, number, query }), upload.name)
      return { number, etag: await this.store(upload, number, ofBytes(bytes)) }
    }
    const response = await fetch(url, { method: 'PUT', body: bytes })
    assert.equal(response.status, 200, await response.text())
    return { number, etag: response.headers.get('etag') ?? '' }
  }

  /** The numbers and sizes of the stored parts. */
  async sizes(upload: UploadReference): Promise<number[][]> {
    return (await this.list(upload)).map(({ number, size }) => [number, size])
  }

  /** Asserts that the upload is gone. */
  async isGone(upload: UploadReference, parts: readonly WantedPart[]): Promise<void> {
    await rejects('NotFound', () => this.list(upload), 'the list of the parts')
    await rejects('NotFound', () => this.complete(upload, parts), 'the completion')
    await rejects('NotFound', () => this.abort(upload), 'the abort')
  }

  get receiver() {
    return driverOf(this.#storage).uploads?.receiver
  }
}

/** A check of uploads; where the driver has none, asking for one must be refused. */
function uploading(check: Check): Check {
  return async (storage, harness) => {
    if (driverOf(storage).uploads) return check(storage, harness)
    await rejects('Unsupported', () => new Client(storage).start('a.txt'))
    await assertEmpty(storage)
  }
}

const table: Readonly<Record<string, Check>> = {
  'becomes a file of its type and metadata, with its parts in any order': async (storage) => {
    const client = new Client(storage)
    const upload = await client.start('new/folder/a.bin', 'image/x-own', { room: '7', note: 'Grüße, 😀' })
    const second = await client.put(upload, 2, 'end')
    const first = await client.put(upload, 1, PART)
    assert.equal(await client.complete(upload, [second, first]), 'new/folder/a.bin')
    await assertBytes(storage, 'new/folder/a.bin', Buffer.concat([PART, Buffer.from('end')]))
    const { contentType, metadata } = await storage.stat('new/folder/a.bin')
    assert.equal(contentType, 'image/x-own')
    assert.deepEqual({ ...metadata }, { room: '7', note: 'Grüße, 😀' })
    assert.deepEqual(await namesOf(storage), ['new/folder/a.bin'])
    assert.deepEqual(await storage.listdir(), { directories: ['new'], files: [] })
    await rejects('NotFound', () => client.list(upload))
  },
  'is seen by nobody before it is complete': async (storage) => {
    const client = new Client(storage)
    const upload = await client.start('a.txt')
    await client.put(upload, 1, 'content')
    await assertEmpty(storage)
    assert.equal(await storage.exists('a.txt'), false)
    await storage.save('a.txt', 'another')
    await assertFiles(storage, { 'a.txt': 'another' })
  },
  'lists its parts in the order of their numbers, with ETags and sizes': async (storage) => {
    const client = new Client(storage)
    const upload = await client.start('a.txt')
    assert.deepEqual(await client.list(upload), [])
    const sent = [await client.put(upload, 10, 'ten'), await client.put(upload, 9, 'nine!')]
    const listed = await new Client(storage).list(upload)
    assert.deepEqual(
      listed.map(({ number, size }) => [number, size]),
      [
        [9, 5],
        [10, 3],
      ],
    )
    assert.deepEqual(
      listed.map(({ etag }) => etag),
      [sent[1]?.etag, sent[0]?.etag],
    )
  },
  'takes a part that is sent again for the first one': async (storage) => {
    const client = new Client(storage)
    const upload = await client.start('a.txt')
    const old = await client.put(upload, 1, 'an old part')
    const part = await client.put(upload, 1, 'new')
    assert.deepEqual(await client.sizes(upload), [[1, 3]])
    await rejects('BadRequest', () => client.complete(upload, [old]), 'a part that was replaced')
    await client.complete(upload, [part])
    await assertFiles(storage, { 'a.txt': 'new' })
  },
  'refuses a missing part, and one that is named twice; then it can be completed': async (storage) => {
    const client = new Client(storage)
    const upload = await client.start('a.txt')
    const part = await client.put(upload, 1, 'content')
    for (const parts of [[part, { ...part, number: 2 }], [part, part], [{ ...part, etag: '"0"' }]]) {
      await rejects('BadRequest', () => client.complete(upload, parts), JSON.stringify(parts))
    }
    await assertEmpty(storage)
    await client.complete(upload, [part])
    await assertFiles(storage, { 'a.txt': 'content' })
  },
  'leaves out parts that the completion does not name, or refuses it': async (storage) => {
    const client = new Client(storage)
    const upload = await client.start('a.txt')
    const part = await client.put(upload, 1, 'content')
    const more = await client.put(upload, 2, 'and more')
    try {
      await client.complete(upload, [part])
      await assertFiles(storage, { 'a.txt': 'content' })
    } catch (error) {
      // Ceph wants them all.
      if (!isStorageError(error) || error.code !== 'BadRequest') throw error
      await assertEmpty(storage)
      assert.deepEqual(await client.sizes(upload), [
        [1, 7],
        [2, 8],
      ])
      assert.notEqual(part.etag, more.etag)
    }
  },
  'of one empty part is an empty file': async (storage) => {
    const client = new Client(storage)
    const upload = await client.start('a.txt')
    await client.complete(upload, [await client.put(upload, 1, '')])
    await assertFiles(storage, { 'a.txt': '' })
  },
  'is not found by another name, or another id': async (storage) => {
    const client = new Client(storage)
    const upload = await client.start('a.txt')
    const part = await client.put(upload, 1, 'content')
    for (const other of [
      { ...upload, name: 'b.txt' },
      { ...upload, id: 'x' },
      { ...upload, id: `x${upload.id.slice(1)}` },
      { ...upload, id: (await client.start('b.txt')).id },
    ]) {
      await client.isGone(other, [part])
    }
    await client.complete(upload, [part])
    await client.isGone({ ...upload, name: 'b.txt' }, [part])
    await assertFiles(storage, { 'a.txt': 'content' })
  },
  'gives the same answer when it is completed again': async (storage) => {
    await storage.save('a.txt', 'first')
    const client = new Client(storage)
    const upload = await client.start('a.txt')
    const parts = [await client.put(upload, 1, 'content')]
    const name = await client.complete(upload, parts)
    assert.match(name, /^a_[A-Za-z0-9]{7}\.txt$/)
    for (let i = 0; i < 2; i++) assert.equal(await new Client(storage).complete(upload, parts), name)
    await assertFiles(storage, { 'a.txt': 'first', [name]: 'content' })
    await storage.delete(name)
    await client.isGone(upload, parts)
  },
  'that is completed twice at the same time is one file': async (storage) => {
    const client = new Client(storage)
    const upload = await client.start('a.txt')
    const parts = [await client.put(upload, 1, 'content')]
    const names = await Promise.all([1, 2, 3].map(() => client.complete(upload, parts)))
    assert.deepEqual(names, ['a.txt', 'a.txt', 'a.txt'])
    await assertFiles(storage, { 'a.txt': 'content' })
  },
  'is refused by the type of its bytes, and leaves nothing': async (storage) => {
    const client = new Client(storage, { allowedTypes: ['image/png'] })
    const upload = await client.start('a.png', 'image/png')
    const parts = [await client.put(upload, 1, HTML)]
    await rejects('Rejected', () => client.complete(upload, parts))
    await assertEmpty(storage)
    await client.isGone(upload, parts)
    const other = await client.start('b.png', 'text/html')
    await client.complete(other, [await client.put(other, 1, PNG)])
    assert.equal((await storage.stat('b.png')).contentType, 'image/png')
  },
  'is refused by the size of all parts, and leaves nothing': async (storage) => {
    const upload = await new Client(storage).start('a.bin')
    const parts = [await new Client(storage).put(upload, 1, 'more than that')]
    const client = new Client(storage, { maxSize: 5 })
    await rejects('Rejected', () => client.complete(upload, parts))
    await assertEmpty(storage)
    await client.isGone(upload, parts)
  },
  'that is given up is gone': async (storage) => {
    const client = new Client(storage)
    const upload = await client.start('a.txt')
    const parts = [await client.put(upload, 1, 'content')]
    await client.abort(upload)
    await client.isGone(upload, parts)
    await assertEmpty(storage)
  },
  'stays when a sweep finds it too young, and is gone when a sweep removes it': async (storage) => {
    const client = new Client(storage)
    const upload = await client.start('a.txt')
    const parts = [await client.put(upload, 1, 'content')]
    const driver = driverOf(storage)
    assert.ok(driver.sweep, 'a driver with uploads has sweep, too')
    const HOUR = 3_600_000
    await sweepBelow(driver, '', new Date(Date.now() - HOUR), undefined)
    assert.deepEqual(await client.sizes(upload), [[1, 7]])
    // A part of a storage cannot tell which uploads are its own.
    const removed = await sweepBelow(driver, '', new Date(Date.now() + HOUR), undefined)
    if (removed > 0) await client.isGone(upload, parts)
    else assert.deepEqual(await client.sizes(upload), [[1, 7]])
    await assertEmpty(storage)
  },
  'keeps a part as it was when another one of its number breaks off': async (storage) => {
    const client = new Client(storage)
    if (!client.receiver) return // The parts never come here.
    const upload = await client.start('a.txt')
    const part = await client.put(upload, 1, 'content')
    const broken = new Error('the client left')
    const body = toBody(failingAfter(['half'], broken))
    const error = await failure(() => client.store(upload, 1, body))
    assert.equal(error instanceof Error && (error === broken || error.cause === broken), true, String(error))
    await client.complete(upload, [part])
    await assertFiles(storage, { 'a.txt': 'content' })
  },
  'gives each part an address of its own': async (storage) => {
    const client = new Client(storage)
    const [upload, other] = [await client.start('a.txt'), await client.start('b.txt')]
    const { url, query = '' } = await client.sign(upload, 1, 600)
    assert.notEqual((await client.sign(upload, 2, 600)).url ?? '', url)
    if (url !== undefined) return
    assert.equal(client.verify({ id: upload.id, number: 1, query: `?${query}` }), 'a.txt')
    assert.equal(client.verify({ id: upload.id, number: 2, query }), undefined)
    assert.equal(client.verify({ id: other.id, number: 1, query }), undefined)
    for (const changed of ['', `${query}1`, query.slice(0, -1)]) {
      assert.equal(client.verify({ id: upload.id, number: 1, query: changed }), undefined, changed)
    }
  },
}

export const directUploadCases: readonly ConformanceCase[] = cases(
  'direct upload',
  Object.fromEntries(Object.entries(table).map(([title, check]) => [title, uploading(check)])),
)
