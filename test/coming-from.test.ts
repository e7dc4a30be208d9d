/** The code of the guides for those who come from Django, flydrive and multer-s3. */
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { defaultStorage, FileSystemStorage, MemoryStorage, setDefaultStorage } from 'stowage'
import { afterEach, beforeEach, describe, it, vi } from 'vitest'
import * as django from '../examples/coming-from/django.js'
import * as flydrive from '../examples/coming-from/flydrive.js'
import { app } from '../examples/coming-from/multer-s3.js'

let restore: () => void
beforeEach(() => {
  vi.spyOn(console, 'log').mockImplementation(() => {})
  restore = setDefaultStorage(new MemoryStorage())
})
afterEach(() => {
  vi.restoreAllMocks()
  restore()
})

describe('from Django', () => {
  const table = (): django.Documents & { rows: Map<number, string> } => {
    const rows = new Map<number, string>()
    return {
      rows,
      insert: async ({ room, file }) => void rows.set(room, file),
      find: async (room) => ({ file: rows.get(room) ?? '' }),
      update: async (room, file) => void rows.set(room, file),
    }
  }

  it('upload_to makes a name of the month and the file name', () => {
    const may = new Date('2026-05-31T23:00:00Z')
    assert.equal(django.uploadTo('../My report.pdf', may), 'documents/2026/05/My_report.pdf')
  })

  it('a row holds the name that the file got, and its file can be replaced', async () => {
    const documents = table()
    await defaultStorage.save('documents/42/a.txt', 'taken')
    const url = await django.fileField(documents, 42, new File(['one'], 'a.txt'))
    const name = documents.rows.get(42) ?? ''
    assert.match(name, /^documents\/42\/a_\w{7}\.txt$/)
    assert.ok(url.includes(name))
    await django.replace(documents, 42, new File(['two'], 'b.txt'))
    assert.deepEqual(documents.rows.get(42), 'documents/42/b.txt')
    assert.equal(await defaultStorage.exists(name), false)
    const broken = { ...documents, update: () => Promise.reject(new Error('the database is down')) }
    await assert.rejects(django.replace(broken, 42, new File(['three'], 'c.txt')), /the database is down/)
    assert.deepEqual((await defaultStorage.listdir('documents/42')).files, ['a.txt', 'b.txt'])
  })

  it('several storages stand side by side', async () => {
    assert.ok(django.storages.backups instanceof FileSystemStorage)
    await django.storages.thumbnails.save('a.png', 'x')
    assert.equal(await defaultStorage.exists('thumbnails/a.png'), true)
  })
})

it('from flydrive: put, list and signed uploads', async () => {
  const [name] = await flydrive.publish(Buffer.from('%PDF'))
  const [again, url] = await flydrive.publish(Buffer.from('%PDF'))
  assert.notEqual(again, name)
  assert.match(url, /^\/uploads\/reports\/2026_\w{7}\.pdf\?/)
  assert.deepEqual((await flydrive.list()).sort(), [name, again].sort())
  assert.match(await flydrive.direct(10), /^PUT \/uploads\/photos\//)
})

it('from multer-s3: a form is stored, and refused', async () => {
  const server = createServer(app)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  const send = (content: Uint8Array<ArrayBuffer> | string) => {
    const body = new FormData()
    body.set('file', new Blob([content]), 'Übersicht.pdf')
    return fetch(`http://127.0.0.1:${address.port}/rooms/42/documents`, { method: 'POST', body })
  }
  try {
    const report = new Uint8Array(await readFile(new URL('../examples/files/report.pdf', import.meta.url)))
    const stored = await send(report)
    assert.equal(stored.status, 201)
    assert.equal(JSON.parse(await stored.text()).name, 'documents/42/Übersicht.pdf')
    const statuses = [(await send('<html>')).status, (await send('')).status]
    assert.deepEqual(statuses, [415, 415])
    assert.deepEqual((await defaultStorage.listdir('documents/42')).files, ['Übersicht.pdf'])
  } finally {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
})
