/** Files on disk and in memory get R2's headers, and the security headers on top. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { get, type IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { FileSystemStorage, MemoryStorage, type SaveOptions, type Storage } from 'stowage'
import { describe, expect, it, onTestFinished } from 'vitest'
import { setUpR2 } from '../integration/r2-setup.js'
import { listening } from './listening.js'

const SAME = [
  'content-type',
  'content-disposition',
  'cache-control',
  'content-range',
  'content-encoding',
  'content-language',
  'content-length',
  'accept-ranges',
] as const

interface Case {
  readonly name: string
  readonly options?: SaveOptions
  readonly signed?: { readonly download?: boolean | string; readonly contentType?: string }
  /** The header where the security rules ask for another one than R2's. */
  readonly disposition?: string
}

const CASES: readonly Case[] = [
  { name: 'photo.png' },
  { name: 'note.webm', options: { contentType: 'audio/webm' } },
  { name: 'text.txt', options: { contentType: 'text/plain; charset=utf-8', cacheControl: 'max-age=60' } },
  { name: 'report.pdf', options: { contentDisposition: 'inline; filename="r.pdf"' } },
  { name: 'report2.pdf', options: { contentDisposition: 'attachment; filename="r.pdf"' } },
  { name: 'packed.txt', options: { contentEncoding: 'gzip', contentLanguage: 'de, en' } },
  { name: 'unknown', disposition: 'attachment; filename="unknown"' },
  { name: 'data.zip', disposition: 'attachment; filename="data.zip"' },
  { name: 'data2.zip', options: { contentDisposition: 'attachment; filename="d.zip"' } },
  {
    name: 'page.html',
    options: { contentDisposition: 'inline' },
    disposition: 'attachment; filename="page.html"',
  },
  { name: 'café (1).txt', signed: { download: true } },
  { name: 'b.txt', signed: { download: 'Bericht "ü".txt' } },
  { name: 'c.txt', signed: { contentType: 'image/png' } },
  { name: 'd.png', signed: { contentType: 'text/html' }, disposition: 'attachment; filename="d.png"' },
]

async function fetched(url: string, headers: Record<string, string> = {}): Promise<IncomingMessage> {
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    get(url, { headers, agent: false }, resolve).on('error', reject)
  })
  await buffer(answer)
  return answer
}

/** What is the same for every storage, and the form of what is not. */
function shown({ statusCode, headers }: IncomingMessage) {
  const compared = Object.fromEntries(SAME.map((name) => [name, headers[name]]))
  const etag = /^"[^"\s]+"$/.test(headers.etag ?? '')
  const modified = headers['last-modified'] ?? ''
  return { statusCode, ...compared, etag, modified: new Date(modified).toUTCString() === modified }
}

describe('the headers of R2', () => {
  const r2 = setUpR2(true)

  async function local(): Promise<readonly (readonly [string, Storage, string])[]> {
    const location = await mkdtemp(join(tmpdir(), 'stowage-as-r2-'))
    onTestFinished(() => rm(location, { recursive: true }))
    const disk = new FileSystemStorage({ location, fsync: false })
    const memory = new MemoryStorage()
    return [
      ['disk', disk, await listening(disk, {})],
      ['memory', memory, await listening(memory, {})],
    ]
  }

  it.each(CASES)(
    'are those of $name on disk and in memory',
    async ({ name, options, signed, disposition }) => {
      const remote = r2.storage()
      const save = (storage: Storage) =>
        storage.save(name, 'hello world', { cacheControl: 'max-age=5', ...options })
      await save(remote)
      const url = await remote.signedUrl(name, signed)
      for (const [label, storage, address] of await local()) {
        await save(storage)
        const here = address + (await storage.signedUrl(name, signed))
        for (const headers of [{}, { range: 'bytes=2-4' }, { range: 'bytes=-3' }, { range: 'bytes=0-99' }]) {
          const [theirs, ours] = [shown(await fetched(url, headers)), shown(await fetched(here, headers))]
          const expected =
            disposition === undefined ? theirs : { ...theirs, 'content-disposition': disposition }
          expect(ours, `${label} ${JSON.stringify(headers)}`).toEqual(expected)
        }
        const past = { range: 'bytes=11-' }
        assert.equal((await fetched(url, past)).statusCode, 416)
        assert.equal((await fetched(here, past)).statusCode, 416)
        for (const [there, label] of [
          [url, 'R2'],
          [here, 'local'],
        ] as const) {
          const { etag = '', 'last-modified': modified = '' } = (await fetched(there)).headers
          assert.equal((await fetched(there, { 'if-none-match': etag })).statusCode, 304, label)
          assert.equal((await fetched(there, { 'if-modified-since': modified })).statusCode, 304, label)
          assert.equal((await fetched(there, { 'if-match': '"other"' })).statusCode, 412, label)
        }
      }
    },
  )
})
