import assert from 'node:assert/strict'
import express, { type ErrorRequestHandler } from 'express'
import multer from 'multer'
import { FileSystemStorage, isStorageError, MemoryStorage, type Storage } from 'stowage'
import { httpError, type MulterStorageOptions, multerStorage, type UploadedFile } from 'stowage/http'
import { describe, expect, it } from 'vitest'
import { filesIn, newFolder } from '../integration/child/folders.js'
import { BOUNDARY, connected, field, file, formOf, headOf, listening } from './forms.js'

interface Answer {
  readonly status: number
  readonly body: unknown
}

const byFilename = ({ filename }: UploadedFile) => `uploads/${filename}`

interface Served {
  post(form: Uint8Array): Promise<Answer>
  readonly port: number
  readonly errors: unknown[]
}

async function served(
  storage: Storage,
  options: Partial<MulterStorageOptions> = {},
  { limits = {}, ...settings }: multer.Options = {},
): Promise<Served> {
  const engine = multerStorage(storage, { name: byFilename, ...options })
  const upload = multer({ ...settings, storage: engine, limits })
  const errors: unknown[] = []
  const app = express().post('/', upload.any(), (request, response) => {
    response.status(201).json(request.files)
  })
  const onError: ErrorRequestHandler = (error, _request, response, _next) => {
    errors.push(error)
    const { status, message } = httpError(error)
    response.status(status).json(message)
  }
  const port = await listening(app.use(onError))
  return {
    port,
    errors,
    async post(form) {
      const headers = { 'content-type': `multipart/form-data; boundary=${BOUNDARY}` }
      const response = await fetch(`http://127.0.0.1:${port}/`, {
        method: 'POST',
        headers,
        body: Buffer.from(form),
      })
      return { status: response.status, body: await response.json() }
    },
  }
}

async function kept(location: string): Promise<string[]> {
  return (await filesIn(location)).filter((path) => path !== '.stowage/swept')
}

describe('the storage engine for multer', () => {
  it('stores files and gives their name, address, size and type beside the fields of multer', async () => {
    const storage = new MemoryStorage()
    const { post } = await served(storage, { allowedTypes: ['text/*'], metadata: { by: 'me' } })
    const { status, body } = await post(formOf([file('a.txt', 'hello'), file('b.bin', 'world', 'other')]))
    assert.equal(status, 201, JSON.stringify(body))
    expect(body).toMatchObject([
      {
        fieldname: 'file',
        originalname: 'a.txt',
        mimetype: 'application/octet-stream',
        name: 'uploads/a.txt',
        url: '/uploads/uploads/a.txt',
        size: 5,
        contentType: 'text/plain',
      },
      { fieldname: 'other', name: 'uploads/b.bin', contentType: 'text/plain' },
    ])
    const { metadata } = await storage.stat('uploads/a.txt')
    assert.deepEqual(metadata, { by: 'me' })
    assert.equal(await (await storage.open('uploads/a.txt')).text(), 'hello')
  })

  it('asks for a name with the field, the file name in UTF-8 and the fields before, as the form has them', async () => {
    const seen: unknown[] = []
    const { post } = await served(new MemoryStorage(), {
      name: async (file, request) => {
        seen.push({ ...file, fields: { ...file.fields } }, typeof Reflect.get(Object(request), 'headers'))
        return 'a'
      },
    })
    const form = formOf([
      field('room', '7'),
      field('tag', 'a'),
      field('tag', 'b'),
      field('list[]', 'c'),
      field('user[name]', 'ä'),
      file('C:\\me\\résumé %22👍%22.txt'),
      field('after', 'x'),
    ])
    assert.equal((await post(form)).status, 201)
    const fields = { room: ['7'], tag: ['a', 'b'], list: ['c'], 'user[name]': ['ä'] }
    const filename = 'résumé "👍".txt'
    assert.deepEqual(seen, [
      { field: 'file', filename, contentType: 'application/octet-stream', fields },
      'object',
    ])
  })

  it.each([
    ['by default', {}],
    ['with defParamCharset', { defParamCharset: 'utf8' }],
    ['with whole paths', { preservePath: true }],
  ])('gives file names right %s', async (_, options) => {
    const names: string[] = []
    const name = ({ filename }: UploadedFile) => {
      names.push(filename)
      return filename
    }
    const { post } = await served(new MemoryStorage(), { name }, options)
    const wanted = ['é.txt', '履歴書.pdf', 'plain.txt']
    assert.equal((await post(formOf(wanted.map((each) => file(`folder/${each}`))))).status, 201)
    assert.deepEqual(names, wanted)
  })

  it.each<[string, Partial<MulterStorageOptions>, multer.Options, Uint8Array, number]>([
    ['is too large', { maxSize: 4 }, {}, formOf([file('a', 'x'), file('b', 'hello')]), 413],
    [
      'has another type',
      { allowedTypes: ['image/png'] },
      {},
      formOf([file('b', Buffer.alloc(3_000_000, 'a'))]),
      415,
    ],
    [
      'is cut by multer',
      {},
      { limits: { fileSize: 100_000 } },
      formOf([file('a', 'x'), file('b', Buffer.alloc(3_000_000, 'a'))]),
      413,
    ],
    ['is one too many', {}, { limits: { files: 1 } }, formOf([file('a'), file('b')]), 413],
    ['is in a cut form', {}, {}, formOf([file('a'), file('b', 'x'.repeat(100_000))]).subarray(0, -200), 400],
    ['has a taken name', { ifExists: 'error', name: () => 'a' }, {}, formOf([file('a'), file('b')]), 409],
    ['has a name that cannot be', { name: () => '../a' }, {}, formOf([file('a')]), 400],
    [
      'has no name by an error of the application',
      {
        name: () => {
          throw new Error('mine')
        },
      },
      {},
      formOf([file('a')]),
      500,
    ],
  ])('refuses a form whose file %s, and leaves nothing', async (_, options, settings, form, status) => {
    const location = await newFolder()
    const { post } = await served(new FileSystemStorage({ location }), options, settings)
    const answer = await post(form)
    assert.equal(answer.status, status, JSON.stringify(answer.body))
    assert.deepEqual(await kept(location), [])
    // The connection is fine.
    assert.equal((await post(form)).status, status)
  })

  it('cannot overwrite, because multer deletes what a failed form has stored', () => {
    const options = { name: () => 'a', ifExists: 'overwrite' }
    assert.throws(() => Reflect.apply(multerStorage, undefined, [new MemoryStorage(), options]), {
      code: 'InvalidArgument',
      message: /use receiveUpload/,
    })
  })

  it('leaves nothing when the client leaves', async () => {
    const location = await newFolder()
    const { port, errors } = await served(new FileSystemStorage({ location }), { sourceTimeout: 2000 })
    const form = formOf([file('a'), file('b', Buffer.alloc(3_000_000))])
    const socket = await connected(port)
    socket.write(headOf(form.byteLength))
    await new Promise((resolve) => socket.write(form.subarray(0, 2_000_000), resolve))
    socket.resetAndDestroy()
    await expect.poll(() => errors.length, { timeout: 20_000 }).toBe(1)
    await expect.poll(() => kept(location), { timeout: 20_000 }).toEqual([])
  })

  it('refuses a file that multer has cut, whatever multer makes of it', async () => {
    const storage = new MemoryStorage()
    const engine = multerStorage(storage, { name: byFilename })
    const { Readable } = await import('node:stream')
    const stream = Object.assign(Readable.from([Buffer.from('half')]), { truncated: true })
    const given = { fieldname: 'f', originalname: 'a', mimetype: 'text/plain', stream }
    const error = await new Promise<unknown>((resolve) => engine._handleFile({}, given, resolve))
    assert.ok(isStorageError(error) && error.status === 413, String(error))
    assert.equal(await storage.exists('uploads/a'), false)
  })

  it('deletes a file, and a missing one is success', async () => {
    const storage = new MemoryStorage()
    const name = await storage.save('a', 'x')
    const engine = multerStorage(storage, { name: byFilename })
    for (const file of [{ name }, { name }, {}]) {
      const error = await new Promise<unknown>((resolve) => engine._removeFile({}, file, resolve))
      assert.equal(error, null)
    }
    assert.equal(await storage.exists('a'), false)
  })

  it('refuses options that cannot be, at once', () => {
    for (const wrong of [{ name: 'a' }, { maxsize: 1 }, { maxSize: -1 }, { ifExists: 'no' }]) {
      const options = Object.assign({ name: byFilename }, wrong)
      assert.throws(
        () => Reflect.apply(multerStorage, undefined, [new MemoryStorage(), options]),
        (error) => isStorageError(error) && error.code === 'InvalidArgument',
      )
    }
  })
})
