import assert from 'node:assert/strict'
import type { Storage } from '../storage.js'
import { sleep } from '../timers.js'
import { type Check, type ConformanceCase, cases } from './case.js'
import { assertFiles, invoke, rejects } from './expect.js'

/** A check of addresses that work; where the backend has none, asking for one must be refused. */
export function signed(check: (storage: Storage) => Promise<void>): Check {
  return async (storage, harness) => {
    if (harness.signedUrls === 'http') return check(storage)
    await storage.save('a.txt', 'content')
    const upload = { size: 1, contentType: 'text/plain' }
    for (const error of [
      await rejects('Unsupported', () => storage.signedUrl('a.txt')),
      await rejects('Unsupported', () => storage.signedUrl('a.txt', { download: true, stableFor: 60 })),
      await rejects('Unsupported', () => storage.signedUrl('a.txt', { method: 'HEAD' })),
      await rejects('Unsupported', () => storage.signedUpload('b.txt', upload)),
      await rejects('Unsupported', () => storage.signedUpload('a.txt', { ...upload, ifExists: 'overwrite' })),
    ]) {
      assert.deepEqual([error.status, error.retryable], [501, false])
    }
    await assertFiles(storage, { 'a.txt': 'content' })
  }
}

/** Asserts that an address is refused: by an answer of the 4xx kind or a 501, which is never the content. */
export async function assertRefusedAddress(url: string, init?: RequestInit): Promise<void> {
  const response = await fetch(url, init)
  const text = await response.text()
  const what = `${init?.method ?? 'GET'} ${url} was answered with ${response.status} ${text.slice(0, 200)}`
  assert((response.status >= 400 && response.status < 500) || response.status === 501, what)
  assert(!text.includes('secret content'), what)
}

/** Copies of `url` with one thing changed in each. */
function tampered(url: string): string[] {
  const urls = [url.replace(/\?.*/, ''), url.replace('mine.txt', 'other.txt')]
  const { searchParams } = new URL(url)
  for (const [key, value] of searchParams) {
    const without = new URL(url)
    without.searchParams.delete(key)
    const changed = new URL(url)
    const last = value.at(-1) ?? ''
    changed.searchParams.set(key, `${value.slice(0, -1)}${last === '1' ? '2' : '1'}`)
    const longer = new URL(url)
    longer.searchParams.set(key, `${value}1`)
    const empty = new URL(url)
    empty.searchParams.set(key, '')
    urls.push(...[without, changed, longer, empty].map(String))
  }
  return urls
}

export const signedUrlCases: readonly ConformanceCase[] = cases('signed URL', {
  'serves the file with its type to anybody who has it': signed(async (storage) => {
    await storage.save('folder/a.txt', 'content', { contentType: 'text/x-notes' })
    const url = await storage.signedUrl('folder/a.txt')
    for (let i = 0; i < 2; i++) {
      const response = await fetch(url)
      assert.equal(response.status, 200)
      assert.equal(response.headers.get('content-type')?.split(';')[0], 'text/x-notes')
      assert.equal(response.headers.get('content-length'), '7')
      assert.equal(await response.text(), 'content')
    }
  }),
  'serves an empty file and a part of a file': signed(async (storage) => {
    await storage.save('empty.txt', '')
    const empty = await fetch(await storage.signedUrl('empty.txt'))
    assert.deepEqual([empty.status, await empty.text()], [200, ''])
    await storage.save('a.txt', 'hello world')
    const part = await fetch(await storage.signedUrl('a.txt'), { headers: { range: 'bytes=6-8' } })
    assert.deepEqual([part.status, await part.text()], [206, 'wor'])
    assert.equal(part.headers.get('content-range'), 'bytes 6-8/11')
  }),
  'for HEAD says size and type to anybody who has it, and gives no content': signed(async (storage) => {
    await storage.save('folder/a.txt', 'secret content', { contentType: 'text/x-notes' })
    const url = await storage.signedUrl('folder/a.txt', { method: 'HEAD', expiresIn: 60 })
    for (let i = 0; i < 2; i++) {
      const response = await fetch(url, { method: 'HEAD' })
      assert.equal(response.status, 200)
      assert.equal(response.headers.get('content-type')?.split(';')[0], 'text/x-notes')
      assert.equal(response.headers.get('content-length'), '14')
    }
    await assertRefusedAddress(url)
    for (const method of ['PUT', 'POST', 'DELETE']) await assertRefusedAddress(url, { method })
    await assertFiles(storage, { 'folder/a.txt': 'secret content' })
    const missing = await fetch(await storage.signedUrl('missing.txt', { method: 'HEAD' }), {
      method: 'HEAD',
    })
    assert.equal(missing.status, 404)
  }),
  'of a missing file is given out, and answers 404; also once the file is deleted': signed(
    async (storage) => {
      const response = await fetch(await storage.signedUrl('missing.txt'))
      await response.text()
      assert.equal(response.status, 404)
      await storage.save('a.txt', 'content')
      const url = await storage.signedUrl('a.txt')
      await storage.delete('a.txt')
      const gone = await fetch(url)
      await gone.text()
      assert.equal(gone.status, 404)
    },
  ),
  'with download makes browsers save the file, under its own or another name': signed(async (storage) => {
    await storage.save('folder/report.txt', 'content', { contentDisposition: 'inline' })
    const disposition = async (download: boolean | string) => {
      const response = await fetch(await storage.signedUrl('folder/report.txt', { download }))
      assert.equal(await response.text(), 'content')
      return response.headers.get('content-disposition') ?? ''
    }
    assert.equal(await disposition(true), 'attachment; filename="report.txt"')
    assert.equal(await disposition('my report.txt'), 'attachment; filename="my report.txt"')
    assert.match(
      await disposition('Bericht é "1".txt'),
      /^attachment; filename="[\x20-\x7e]*"; filename\*=UTF-8''Bericht%20%C3%A9%20%221%22\.txt$/,
    )
    const injected = await disposition('a\r\nX-Evil: 1.txt')
    assert.match(injected, /^attachment; [\x20-\x7e]+$/)
    assert.equal(await disposition(false), 'inline')
  }),
  'with contentType serves the file as that type': signed(async (storage) => {
    await storage.save('a.bin', 'content')
    const response = await fetch(await storage.signedUrl('a.bin', { contentType: 'text/x-other' }))
    assert.equal(response.headers.get('content-type')?.split(';')[0], 'text/x-other')
    assert.equal(await response.text(), 'content')
    assert.equal((await storage.stat('a.bin')).contentType, 'application/octet-stream')
    const empty = await fetch(await storage.signedUrl('a.bin', { contentType: '' }))
    assert.equal(empty.headers.get('content-type')?.split(';')[0], 'application/octet-stream')
    assert.equal(await empty.text(), 'content')
  }),
  'is refused when any part of it was changed or left out': signed(async (storage) => {
    await storage.save('mine.txt', 'my content')
    await storage.save('other.txt', 'secret content')
    const url = await storage.signedUrl('mine.txt', { download: true, expiresIn: 60 })
    for (const changed of tampered(url)) if (changed !== url) await assertRefusedAddress(changed)
    const response = await fetch(url)
    assert.equal(await response.text(), 'my content')
  }),
  'only reads: it neither replaces nor deletes the file': signed(async (storage) => {
    await storage.save('a.txt', 'content')
    const url = await storage.signedUrl('a.txt')
    for (const method of ['PUT', 'POST', 'DELETE', 'PATCH']) {
      const response = await fetch(url, { method, ...(method !== 'DELETE' && { body: 'harm' }) })
      await response.text()
      assert(response.status >= 400, `${method} was answered with ${response.status}`)
    }
    const missing = await storage.signedUrl('missing.txt')
    await assertRefusedAddress(missing, { method: 'PUT', body: 'harm' })
    await assertFiles(storage, { 'a.txt': 'content' })
  }),
  'is refused once its time is over': signed(async (storage) => {
    await storage.save('a.txt', 'secret content')
    const url = await storage.signedUrl('a.txt', { expiresIn: 1 })
    const upload = await storage.signedUpload('b.txt', { size: 1, contentType: 'text/plain', expiresIn: 1 })
    await sleep(3000)
    await assertRefusedAddress(url)
    await assertRefusedAddress(upload.url, { method: 'PUT', headers: upload.headers, body: 'x' })
    assert.equal(await storage.exists('b.txt'), false)
  }),
  'with stableFor is the same within its window, and works': signed(async (storage) => {
    await storage.save('a.txt', 'content')
    const options = { stableFor: 600, expiresIn: 600 }
    const first = await storage.signedUrl('a.txt', options)
    await sleep(1100)
    const second = await storage.signedUrl('a.txt', options)
    await sleep(1100)
    const third = await storage.signedUrl('a.txt', options)
    assert(first === second || second === third) // One window may have ended in between.
    assert.equal(await (await fetch(third)).text(), 'content')
    assert.notEqual(await storage.signedUrl('b.txt', options), third)
    assert.notEqual(await storage.signedUrl('a.txt', { ...options, download: true }), third)
  }),
  'refuses times and options that cannot be': async (storage) => {
    for (const expiresIn of [0, -1, 1.5, 604_801, Number.NaN, Number.POSITIVE_INFINITY, '60']) {
      await rejects(
        'InvalidArgument',
        () => invoke(storage, 'signedUrl', 'a.txt', { expiresIn }),
        String(expiresIn),
      )
      const upload = { size: 1, contentType: 'text/plain', expiresIn }
      await rejects(
        'InvalidArgument',
        () => invoke(storage, 'signedUpload', 'a.txt', upload),
        String(expiresIn),
      )
    }
    for (const stableFor of [0, -1, 1.5, 604_800, Number.NaN, '60', null]) {
      await rejects(
        'InvalidArgument',
        () => invoke(storage, 'signedUrl', 'a.txt', { stableFor }),
        String(stableFor),
      )
    }
    for (const options of [
      { method: 'PUT' },
      { method: 'head' },
      { method: null },
      { download: '' },
      { download: 1 },
      { contentType: 'text' },
      { contentType: 'a/b\r\nc: d' },
    ]) {
      await rejects(
        'InvalidArgument',
        () => invoke(storage, 'signedUrl', 'a.txt', options),
        JSON.stringify(options),
      )
    }
  },
  'may last for seven days': signed(async (storage) => {
    await storage.save('a.txt', 'content')
    const response = await fetch(await storage.signedUrl('a.txt', { expiresIn: 604_800 }))
    assert.equal(await response.text(), 'content')
  }),
})
