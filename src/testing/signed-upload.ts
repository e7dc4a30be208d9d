import assert from 'node:assert/strict'
import type { Bytes } from '../stored-file.js'
import type { SignedUpload } from '../types.js'
import { type ConformanceCase, cases } from './case.js'
import { pseudoRandom } from './contents.js'
import { assertEmpty, assertFiles, invoke, rejects, textOf } from './expect.js'
import { assertRefusedAddress, signed } from './signed-url.js'

const TEXT = { size: 7, contentType: 'text/plain' } as const

/** Sends one file, as a browser would. */
async function put(upload: SignedUpload, body: string | Bytes): Promise<number> {
  const response = await fetch(upload.url, { method: upload.method, headers: upload.headers, body })
  await response.text()
  return response.status
}

async function assertStored(upload: SignedUpload, body: string | Bytes): Promise<void> {
  const status = await put(upload, body)
  assert(status >= 200 && status < 300, `the upload was answered with ${status}`)
}

export const signedUploadCases: readonly ConformanceCase[] = cases('signed upload', {
  'stores what is sent, with its type, headers and metadata': signed(async (storage) => {
    const metadata = { room: '42', note: 'Grüße, 😀' }
    const upload = await storage.signedUpload('new/folder/a.txt', {
      size: 7,
      contentType: 'text/x-notes; charset=utf-8',
      cacheControl: 'no-store',
      metadata,
    })
    assert.deepEqual([upload.method, upload.name], ['PUT', 'new/folder/a.txt'])
    await assertEmpty(storage)
    await assertStored(upload, 'content')
    await assertFiles(storage, { 'new/folder/a.txt': 'content' })
    const info = await storage.stat('new/folder/a.txt')
    assert.deepEqual([info.contentType, info.cacheControl], ['text/x-notes; charset=utf-8', 'no-store'])
    assert.deepEqual({ ...info.metadata }, metadata)
  }),
  'says when it expires': signed(async (storage) => {
    const before = Date.now()
    const { expiresAt } = await storage.signedUpload('a.txt', { ...TEXT, expiresIn: 600 })
    assert(expiresAt instanceof Date)
    assert(Math.abs(expiresAt.getTime() - before - 600_000) < 60_000)
  }),
  'stores bytes of any kind, an empty file, and any name': signed(async (storage) => {
    const bytes = pseudoRandom(1_000_000)
    const binary = await storage.signedUpload('a.bin', {
      size: bytes.length,
      contentType: 'application/octet-stream',
    })
    await assertStored(binary, bytes)
    assert.deepEqual(await (await storage.open('a.bin')).bytes(), bytes)
    await assertStored(await storage.signedUpload('empty.txt', { ...TEXT, size: 0 }), '')
    assert.equal(await storage.size('empty.txt'), 0)
    const odd = 'a b/%41+&=#?\'"é😀.txt'
    await assertStored(await storage.signedUpload(odd, TEXT), 'content')
    assert.equal(await textOf(storage, odd), 'content')
  }),
  'with an empty type binds that of the name': signed(async (storage) => {
    const upload = await storage.signedUpload('a.csv', { ...TEXT, contentType: '' })
    await assertStored(upload, 'content')
    assert.equal((await storage.stat('a.csv')).contentType, 'text/csv')
  }),
  'refuses any other size': signed(async (storage) => {
    const upload = await storage.signedUpload('a.txt', TEXT)
    for (const body of ['conten', 'content!', '', 'x'.repeat(1000)]) {
      const status = await put(upload, body)
      assert(status >= 400 && status < 500, `${body.length} bytes were answered with ${status}`)
    }
    await assertEmpty(storage)
    await assertStored(upload, 'content')
  }),
  'refuses any other type, and none': signed(async (storage) => {
    const upload = await storage.signedUpload('a.txt', TEXT)
    const name = Object.keys(upload.headers).find((header) => header.toLowerCase() === 'content-type')
    assert(name !== undefined, 'the type is among the headers to send')
    const { [name]: _, ...others } = upload.headers
    for (const headers of [
      { ...others, [name]: 'text/html' },
      { ...others, [name]: 'text/plainer' },
      others,
    ]) {
      await assertRefusedAddress(upload.url, { method: 'PUT', headers, body: Buffer.from('content') })
    }
    await assertEmpty(storage)
    await assertStored(upload, 'content')
  }),
  'stores one file only: a second one is refused': signed(async (storage) => {
    const upload = await storage.signedUpload('a.txt', TEXT)
    await assertStored(upload, 'content')
    const status = await put(upload, 'another')
    assert(status >= 400 && status < 500, `the second upload was answered with ${status}`)
    await assertFiles(storage, { 'a.txt': 'content' })
  }),
  'never replaces a file, whatever headers the uploader leaves out': signed(async (storage) => {
    const upload = await storage.signedUpload('a.txt', TEXT)
    await storage.save('a.txt', 'came first')
    for (const left of [undefined, ...Object.keys(upload.headers)]) {
      const headers = Object.fromEntries(Object.entries(upload.headers).filter(([header]) => header !== left))
      await assertRefusedAddress(upload.url, { method: 'PUT', headers, body: Buffer.from('content') })
    }
    await assertFiles(storage, { 'a.txt': 'came first' })
  }),
  'of a taken name goes to another name by default': signed(async (storage) => {
    await storage.save('report.pdf', 'first')
    const upload = await storage.signedUpload('report.pdf', TEXT)
    assert.match(upload.name, /^report_[A-Za-z0-9]{7}\.pdf$/)
    await assertStored(upload, 'content')
    await assertFiles(storage, { 'report.pdf': 'first', [upload.name]: 'content' })
  }),
  'of a taken name with error is refused when it is sent': signed(async (storage) => {
    await storage.save('a.txt', 'first')
    const upload = await storage.signedUpload('a.txt', { ...TEXT, ifExists: 'error' })
    assert.equal(upload.name, 'a.txt')
    const status = await put(upload, 'content')
    assert(status >= 400 && status < 500, `the upload was answered with ${status}`)
    await assertFiles(storage, { 'a.txt': 'first' })
    await storage.delete('a.txt')
    await assertStored(upload, 'content')
  }),
  'of a taken name with overwrite replaces the file and all of its metadata': signed(async (storage) => {
    await storage.save('a.txt', 'first', {
      contentType: 'text/x-first',
      metadata: { version: '1', old: 'yes' },
    })
    const options = { ...TEXT, ifExists: 'overwrite', metadata: { version: '2' } } as const
    const upload = await storage.signedUpload('a.txt', options)
    assert.equal(upload.name, 'a.txt')
    await assertStored(upload, 'content')
    await assertFiles(storage, { 'a.txt': 'content' })
    const { contentType, metadata } = await storage.stat('a.txt')
    assert.deepEqual([contentType, { ...metadata }], ['text/plain', { version: '2' }])
  }),
  'is refused under another name, or with its signature changed or left out': signed(async (storage) => {
    const upload = await storage.signedUpload('mine.txt', TEXT)
    const changed = new URL(upload.url)
    for (const [key, value] of new URL(upload.url).searchParams) {
      changed.searchParams.set(key, `${value.slice(0, -1)}${value.endsWith('1') ? '2' : '1'}`)
    }
    for (const url of [
      upload.url.replace('mine.txt', 'other.txt'),
      upload.url.replace(/\?.*/, ''),
      changed.href,
    ]) {
      await assertRefusedAddress(url, { method: 'PUT', headers: upload.headers, body: 'content' })
    }
    await assertEmpty(storage)
  }),
  'only stores: its address neither reads nor deletes the file': signed(async (storage) => {
    const upload = await storage.signedUpload('a.txt', { ...TEXT, ifExists: 'overwrite' })
    await storage.save('a.txt', 'secret content')
    await assertRefusedAddress(upload.url)
    await assertRefusedAddress(upload.url, { method: 'DELETE' })
    await assertFiles(storage, { 'a.txt': 'secret content' })
  }),
  'refuses options that cannot be': async (storage) => {
    for (const size of [-1, 1.5, Number.NaN, '7', null, undefined]) {
      await rejects(
        'InvalidArgument',
        () => invoke(storage, 'signedUpload', 'a.txt', { ...TEXT, size }),
        String(size),
      )
    }
    for (const contentType of ['text', 'a/b\r\nc: d', null, undefined]) {
      const upload = { ...TEXT, contentType }
      await rejects(
        'InvalidArgument',
        () => invoke(storage, 'signedUpload', 'a.txt', upload),
        String(contentType),
      )
    }
    for (const options of [
      { cacheControl: 'a\r\nb' },
      { metadata: { a_b: 'c' } },
      { metadata: { a: 'b\n' } },
      { metadata: 'text' },
      { ifExists: 'replace' },
    ]) {
      const upload = { ...TEXT, ...options }
      await rejects(
        'InvalidArgument',
        () => invoke(storage, 'signedUpload', 'a.txt', upload),
        JSON.stringify(options),
      )
    }
    await rejects('InvalidArgument', () => invoke(storage, 'signedUpload', 'a.txt', {}))
    await assertEmpty(storage)
  },
})
