import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { serve } from '@hono/node-server'
import express, { type ErrorRequestHandler } from 'express'
import fc from 'fast-check'
import { Hono } from 'hono'
import { FileSystemStorage, isStorageError, MemoryStorage, type Storage, sanitizeFilename } from 'stowage'
import {
  errorResponse,
  httpError,
  type ReceivedUpload,
  type ReceiveUploadOptions,
  receiveUpload,
  toNodeListener,
  type UploadedFile,
} from 'stowage/http'
import { describe, expect, it, onTestFinished } from 'vitest'
import { filesIn, newFolder } from '../integration/child/folders.js'
import { setUpR2 } from '../integration/r2-setup.js'
import {
  BOUNDARY,
  connected,
  cutUp,
  FORM_TYPE,
  field,
  file,
  formOf,
  headOf,
  listening,
  requestOf,
  sendRaw,
} from './forms.js'

const MIB = 1024 * 1024
const byFilename = ({ filename }: UploadedFile) => `uploads/${sanitizeFilename(filename)}`
const usual: ReceiveUploadOptions = { name: byFilename, maxFiles: 10 }

async function failureOf(work: Promise<unknown>): Promise<{ code: string; status: number; message: string }> {
  const error = await work.then(
    () => assert.fail('it was accepted'),
    (error: unknown) => error,
  )
  assert.ok(isStorageError(error), String(error))
  assert.equal(error.operation !== undefined && error.storage !== undefined, true)
  return error
}

async function namesIn(storage: Storage): Promise<string[]> {
  const names: string[] = []
  for await (const { name } of storage.list()) names.push(name)
  return names
}

async function contentOf(storage: Storage, name: string | undefined): Promise<string> {
  return (await storage.open(name ?? '')).text()
}

const r2 = setUpR2(true)

/** Each backend, and what it keeps, temporary things included. */
const BACKENDS: readonly [string, () => Promise<{ storage: Storage; kept: () => Promise<string[]> }>][] = [
  [
    'in memory',
    async () => {
      const storage = new MemoryStorage()
      return { storage, kept: () => namesIn(storage) }
    },
  ],
  [
    'on disk',
    async () => {
      const location = await newFolder()
      const storage = new FileSystemStorage({ location })
      return {
        storage,
        kept: async () => (await filesIn(location)).filter((path) => path !== '.stowage/swept'),
      }
    },
  ],
  [
    'on R2',
    async () => {
      const storage = r2.storage()
      return {
        storage,
        kept: async () => {
          const open = Array.from({ length: r2.server.openUploads }, () => 'an open upload')
          return [...(await namesIn(storage)), ...open]
        },
      }
    },
  ],
]

describe.each(BACKENDS)('a form received %s', (_, make) => {
  it('gives its files and fields, in the order of the form', async () => {
    const { storage } = await make()
    const seen: UploadedFile[] = []
    const form = formOf([
      field('room', '7'),
      field('tag', 'a'),
      field('tag', 'ä'),
      file('a.txt', 'first'),
      file('', ''),
      file('b.txt', ''),
      field('after', 'end'),
    ])
    const result = await receiveUpload(storage, requestOf(form), {
      ...usual,
      name: async (file) => {
        seen.push(file)
        return byFilename(file)
      },
      metadata: { by: 'me' },
    })
    const shared = { field: 'file', contentType: 'text/plain' }
    assert.deepEqual(result.files, [
      { ...shared, filename: 'a.txt', name: 'uploads/a.txt', url: storage.url('uploads/a.txt'), size: 5 },
      { ...shared, filename: 'b.txt', name: 'uploads/b.txt', url: storage.url('uploads/b.txt'), size: 0 },
    ])
    assert.deepEqual({ ...result.fields }, { room: ['7'], tag: ['a', 'ä'], after: ['end'] })
    assert.deepEqual({ ...seen[0]?.fields }, { room: ['7'], tag: ['a', 'ä'] })
    assert.equal(await contentOf(storage, 'uploads/a.txt'), 'first')
    assert.equal(await contentOf(storage, 'uploads/b.txt'), '')
    const { contentType, metadata } = await storage.stat('uploads/a.txt')
    assert.deepEqual({ contentType, metadata }, { contentType: 'text/plain', metadata: { by: 'me' } })
  })

  it('replaces files only when the form is whole', async () => {
    const { storage, kept } = await make()
    await storage.save('uploads/a.txt', 'old', { metadata: { version: 'old' } })
    const before = await kept()
    const options = { ...usual, ifExists: 'overwrite', metadata: { version: 'new' } } as const
    const form = formOf([file('a.txt', 'new'), field('after', 'x')])
    const cut = receiveUpload(storage, requestOf(form.subarray(0, -30)), options)
    await assert.rejects(cut, { code: 'BadRequest', status: 400 })
    assert.equal(await contentOf(storage, 'uploads/a.txt'), 'old')
    assert.deepEqual(await kept(), before)

    const { files } = await receiveUpload(storage, requestOf(form), options)
    assert.deepEqual([files[0].name, files[0].url], ['uploads/a.txt', storage.url('uploads/a.txt')])
    assert.equal(await contentOf(storage, 'uploads/a.txt'), 'new')
    assert.deepEqual((await storage.stat('uploads/a.txt')).metadata, { version: 'new' })
    assert.deepEqual(await namesIn(storage), ['uploads/a.txt'])
  })

  it('stores a large file whole, under the type of its bytes', async () => {
    const { storage } = await make()
    const png = Buffer.concat([
      Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex'),
      Buffer.alloc(6 * MIB, 7),
    ])
    const options = { ...usual, allowedTypes: ['image/*'] }
    const { files } = await receiveUpload(
      storage,
      requestOf(cutUp(formOf([file('a.txt', png)]), 100_003)),
      options,
    )
    assert.equal(files[0].contentType, 'image/png')
    assert.equal(files[0].size, png.byteLength)
    assert.equal((await storage.stat('uploads/a.txt')).contentType, 'image/png')
    assert.deepEqual(await (await storage.open('uploads/a.txt')).read(), png)
  })

  it.each<[string, Partial<ReceiveUploadOptions>, Uint8Array, string, number]>([
    [
      'a file is too large',
      { maxSize: 5 },
      formOf([file('a', 'small'), file('b', 'large!')]),
      'Rejected',
      413,
    ],
    [
      'a large file is too large',
      { maxSize: 5 * MIB },
      formOf([file('a'), file('b', Buffer.alloc(7 * MIB))]),
      'Rejected',
      413,
    ],
    [
      'a file has another type',
      { allowedTypes: ['text/plain'] },
      formOf([file('a', 'text'), file('b.txt', '<html>')]),
      'Rejected',
      415,
    ],
    ['there are too many files', { maxFiles: 1 }, formOf([file('a'), file('b')]), 'BadRequest', 413],
    ['a name is taken', { ifExists: 'error' }, formOf([file('a'), file('a')]), 'AlreadyExists', 409],
    [
      'there are too many fields',
      { maxFields: 1 },
      formOf([file('a'), field('b', ''), field('c', '')]),
      'BadRequest',
      413,
    ],
    ['a later part is malformed', {}, formOf([file('a'), { headers: ['X: y'] }]), 'BadRequest', 400],
    ['the end is missing', {}, formOf([file('a'), file('b')]).subarray(0, -8), 'BadRequest', 400],
    [
      'a file is cut',
      {},
      formOf([file('a'), file('b', Buffer.alloc(7 * MIB))]).subarray(0, -MIB),
      'BadRequest',
      400,
    ],
    [
      'a name cannot be',
      { name: ({ filename }) => `${filename}/../..` },
      formOf([file('a')]),
      'InvalidName',
      400,
    ],
  ])('leaves nothing when %s', async (_, options, form, code, status) => {
    const { storage, kept } = await make()
    const error = await failureOf(receiveUpload(storage, requestOf(form), { ...usual, ...options }))
    assert.deepEqual([error.code, error.status], [code, status], error.message)
    assert.deepEqual(await kept(), [])
  })

  it('leaves nothing when the client leaves in the middle of its second file', async () => {
    const { storage, kept } = await make()
    let report = (_: unknown) => {}
    const outcome = new Promise<unknown>((resolve) => {
      report = resolve
    })
    const port = await listening((request) => {
      receiveUpload(storage, request, usual).then(report, report)
    })
    const form = formOf([file('a'), file('b', Buffer.alloc(8 * MIB))])
    const socket = await connected(port)
    socket.write(headOf(form.byteLength))
    await new Promise((resolve) => socket.write(form.subarray(0, 6 * MIB), resolve))
    socket.resetAndDestroy()
    const error = await outcome
    assert.ok(isStorageError(error) && error.code === 'BadRequest', String(error))
    assert.deepEqual(await kept(), [])
  })

  it('leaves nothing when it is aborted, and says why', async () => {
    const { storage, kept } = await make()
    const controller = new AbortController()
    const request = requestOf(
      [formOf([file('a'), file('b', Buffer.alloc(MIB))]).subarray(0, -MIB / 2)],
      FORM_TYPE,
      'stalls',
    )
    const receiving = failureOf(receiveUpload(storage, request, { ...usual, signal: controller.signal }))
    await sleep(100)
    controller.abort('enough')
    const error = await receiving
    assert.deepEqual([error.code, Reflect.get(error, 'cause')], ['Aborted', 'enough'])
    assert.deepEqual(await kept(), [])
  })
})

describe('the error of a form', () => {
  it('is that of `name` itself, and the first file is gone', async () => {
    const storage = new MemoryStorage()
    const mine = new TypeError('mine')
    const name = ({ filename }: UploadedFile) => {
      if (filename === 'b') throw mine
      return filename
    }
    const receiving = receiveUpload(storage, requestOf(formOf([file('a'), file('b')])), { ...usual, name })
    assert.equal(await receiving.catch((error: unknown) => error), mine)
    assert.deepEqual(await namesIn(storage), [])
  })

  it('is the first one, also when the other files cannot be deleted', async () => {
    const storage = new MemoryStorage()
    storage.deleteMany = () => Promise.reject(new Error('the delete failed'))
    const error = await failureOf(
      receiveUpload(storage, requestOf(formOf([file('a')]).subarray(0, -8)), usual),
    )
    assert.equal(error.code, 'BadRequest')
  })

  it.each<[string, unknown, RegExp]>([
    ['a misspelt option', { maxfiles: 1 }, /maxfiles/],
    ['no function for names', { name: 'a.txt' }, /name must be a function/],
    ['a wrong limit', { maxFields: -1 }, /maxFields/],
    ['a wrong maxSize', { maxSize: '1' }, /maxSize/],
  ])('is InvalidArgument for %s', async (_, options, message) => {
    const settings = Object.assign({}, usual, options)
    const error = await failureOf(
      receiveUpload(new MemoryStorage(), requestOf(formOf([file('a')])), settings),
    )
    assert.equal(error.code, 'InvalidArgument')
    assert.match(error.message, message)
  })

  it('says what to do when somebody has read the body', async () => {
    const request = requestOf(formOf([file('a')]))
    await request.arrayBuffer()
    const error = await failureOf(receiveUpload(new MemoryStorage(), request, usual))
    assert.equal(error.code, 'InvalidArgument')
    assert.match(error.message, /already read: call this before body parsers/)

    const app = express()
    app.use(express.raw({ type: () => true }))
    app.post('/', async (request) => void (await receiveUpload(new MemoryStorage(), request, usual)))
    const answered = new Promise<unknown>((resolve) => {
      const onError: ErrorRequestHandler = (error, _request, response, _next) => {
        response.end()
        resolve(error)
      }
      app.use(onError)
    })
    const form = formOf([file('a')])
    await sendRaw(await listening(app), [headOf(form.byteLength), form])
    const failure = await answered
    assert.ok(isStorageError(failure) && failure.code === 'InvalidArgument', String(failure))
  })

  it('says what to pass instead of a request of Fastify or Hono', async () => {
    const receiving = Reflect.apply(receiveUpload, undefined, [new MemoryStorage(), { raw: {} }, usual])
    const error = await failureOf(receiving)
    assert.equal(error.code, 'InvalidArgument')
    assert.match(error.message, /request\.raw of Fastify/)
  })
})

describe('a file name', () => {
  const receive = async (disposition: string) => {
    const form = formOf([{ headers: [`Content-Disposition: ${disposition}`], content: 'x' }])
    const storage = new MemoryStorage()
    let names = 0
    const name = () => `${names++}`
    const { files, fields } = await receiveUpload(storage, requestOf(form), { name })
    return { filename: files[0]?.filename, field: files[0]?.field, fields }
  }

  it.each([
    ['Chrome', 'filename="résumé – 履歴書 👍.pdf"', 'résumé – 履歴書 👍.pdf'],
    ['Chrome, with a quote', 'filename="a%22b%22.txt"', 'a"b".txt'],
    ['Chrome, with a line break', 'filename="a%0D%0Ab.txt"', 'a\r\nb.txt'],
    ['Chrome, with a percent sign', 'filename="100%.txt"', '100%.txt'],
    ['Chrome, with an escape of its own', 'filename="a%2Fb%20c.txt"', 'a%2Fb%20c.txt'],
    ['Chrome, with a semicolon', 'filename="a; filename=b.txt"', 'a; filename=b.txt'],
    ['Firefox before 97', 'filename="a\\"b.txt"', 'a"b.txt'],
    ['Safari, in NFD', 'filename="e\u0301.txt"', 'e\u0301.txt'],
    ['Internet Explorer', 'filename="C:\\Users\\me\\a b.txt"', 'a b.txt'],
    ['a folder upload', 'filename="folder/sub/a.txt"', 'a.txt'],
    ['an attack', 'filename="../../etc/passwd"', 'passwd'],
    ['Unix, ending in a backslash', 'filename="a.txt\\"', ''],
    ['a client with filename*', `filename="a.txt"; filename*=UTF-8''evil.html`, 'a.txt'],
    ['a client with filename* first', `filename*=UTF-8''evil.html; filename="a.txt"`, 'a.txt'],
    ['a client without quotes', 'filename=a.txt', 'a.txt'],
    ['a client with spaces', ' filename = "a.txt" ', 'a.txt'],
    ['a client in Latin-1', Buffer.from('filename="\xe9.txt"', 'latin1'), '\ufffd.txt'],
  ])('of %s is its base name', async (_, parameter, expected) => {
    const head = `Content-Disposition: form-data; name="file"; `
    const form = Buffer.concat([
      Buffer.from(`--${BOUNDARY}\r\n${head}`),
      Buffer.from(parameter),
      Buffer.from(`\r\n\r\nx\r\n--${BOUNDARY}--`),
    ])
    const { files } = await receiveUpload(new MemoryStorage(), requestOf(form), { name: () => 'a' })
    assert.equal(files[0]?.filename, expected)
  })

  it('may be long, and its field may be anything', async () => {
    const long = `${'ä'.repeat(5000)}.txt`
    assert.equal((await receive(`form-data; name="x"; filename="${long}"`)).filename, long)
    for (const name of ['', '__proto__', 'constructor', 'a[b]', 'a%22b', 'ü']) {
      const { field } = await receive(`form-data; name="${name}"; filename="a"`)
      assert.equal(field, name.replace('%22', '"'))
    }
  })
})

describe('fields', () => {
  it('may have the names of what every object has', async () => {
    const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', '__proto__']
    const form = formOf([...names.map((name, index) => field(name, `${index}`)), file('a')])
    let seen: UploadedFile | undefined
    const { fields } = await receiveUpload(new MemoryStorage(), requestOf(form), {
      name: (file) => {
        seen = file
        return 'a'
      },
    })
    for (const found of [fields, seen?.fields ?? {}]) {
      assert.deepEqual(Object.entries(found), [
        ['__proto__', ['0', '4']],
        ['constructor', ['1']],
        ['toString', ['2']],
        ['hasOwnProperty', ['3']],
      ])
      assert.equal(Object.getPrototypeOf(found), null)
    }
    assert.equal(Reflect.get({}, '0'), undefined)
  })

  it('before the file can be changed by `name` without harm', async () => {
    const form = formOf([field('a', '1'), file('a')])
    const { fields } = await receiveUpload(new MemoryStorage(), requestOf(form), {
      name: ({ fields }) => {
        Reflect.apply(Array.prototype.push, fields.a, ['2'])
        return 'a'
      },
    })
    assert.deepEqual(fields.a, ['1'])
  })

  it.each([
    ['10,000 fields', Array.from({ length: 10_000 }, (_, index) => field(`f${index}`, 'x')), {}],
    ['10,000 empty file inputs', Array.from({ length: 10_000 }, () => file('', '')), {}],
    ['a large field', [field('a', 'x'.repeat(65_537))], {}],
    ['a large field in bytes', [field('a', 'ä'.repeat(6))], { maxFieldSize: 11 }],
  ])('are refused with 413 where there is %s', async (_, parts, options) => {
    const request = requestOf(formOf([...parts, file('a')]))
    const error = await failureOf(receiveUpload(new MemoryStorage(), request, { ...usual, ...options }))
    assert.deepEqual([error.code, error.status], ['BadRequest', 413])
    const { status, message } = httpError(error)
    assert.deepEqual([status, message], [413, 'The form has too many or too large fields or files.'])
  })

  it('are taken up to the limits, and 10,000 where the application wants them', async () => {
    const parts = Array.from({ length: 10_000 }, (_, index) => field(`f${index % 100}`, 'x'))
    const large = field('large', 'x'.repeat(65_536))
    const options = { ...usual, maxFields: 10_001 }
    const { fields } = await receiveUpload(
      new MemoryStorage(),
      requestOf(formOf([...parts, file('a'), large])),
      options,
    )
    assert.equal(Object.keys(fields).length, 101)
    assert.equal(fields.f99?.length, 100)
  })
})

describe('a malformed form', () => {
  const part = (...headers: string[]) => formOf([{ headers, content: 'x' }, file('a')])
  const disposition = 'Content-Disposition: form-data; name="a"'

  it.each<[string, Uint8Array, string?]>([
    ['is empty', Buffer.alloc(0)],
    ['has only its end', Buffer.from(`--${BOUNDARY}--\r\n`)],
    ['has no file', formOf([field('a', 'b')])],
    ['has only an empty file input', formOf([file('', '')])],
    ['has no last boundary', Buffer.from(`--${BOUNDARY}\r\n${disposition}; filename="a"\r\n\r\nx\r\n`)],
    ['ends in its headers', Buffer.from(`--${BOUNDARY}\r\n${disposition}; filename="a"\r\n`)],
    ['ends in its last boundary', formOf([file('a')]).subarray(0, -3)],
    ['has a part without headers', part()],
    ['has a part without a disposition', part('Content-Type: text/plain')],
    ['has a part with two dispositions', part(disposition, `${disposition}; filename="b"`)],
    ['has a part of another disposition', part('Content-Disposition: attachment; filename="a"')],
    ['has a part without a field name', part('Content-Disposition: form-data; filename="a"')],
    ['has a part with two field names', part(`${disposition}; name="b"`)],
    ['has a part with two file names', part(`${disposition}; filename="a"; filename="b"`)],
    ['has a parameter that does not end', part(`${disposition}; filename="a`)],
    ['has a parameter without a value', part(`${disposition}; filename`)],
    ['has something after a parameter', part(`${disposition}; filename="a"b`)],
    ['has a header without a colon', part('what is this', disposition)],
    ['has a header that begins with a space', part(' Content-Disposition: form-data; name="a"')],
    ['has a header with a bare line feed', part('X: y\nZ: a', disposition)],
    ['has encoded content', part(`${disposition}; filename="a"`, 'Content-Transfer-Encoding: base64')],
    ['has parts in a part', part(disposition, 'Content-Type: multipart/mixed; boundary=x')],
    [
      'has the headers of a bomb',
      part(...Array.from({ length: 5000 }, (_, index) => `X-${index}: y`), disposition),
    ],
    ['has a header of 1 MiB', part(`X: ${'y'.repeat(MIB)}`, disposition)],
    ['has a header without end', Buffer.from(`--${BOUNDARY}\r\n${'X: y\r\n'.repeat(100_000)}`)],
    ['has much before its first part', Buffer.concat([Buffer.alloc(MIB, 'x\r\n'), formOf([file('a')])])],
    [
      'has lines that end in line feeds',
      Buffer.from(
        formOf([file('a')])
          .toString()
          .replaceAll('\r\n', '\n'),
      ),
    ],
    ['has another boundary', formOf([file('a')], 'other')],
    ['has a boundary in its content', formOf([file('a', `x\r\n--${BOUNDARY}x\r\ny`)])],
    ['has no boundary', formOf([file('a')]), 'multipart/form-data'],
    ['has an empty boundary', formOf([file('a')], ''), 'multipart/form-data; boundary=""'],
    ['has two boundaries', formOf([file('a')]), `${FORM_TYPE}; boundary=b`],
    [
      'has a long boundary',
      formOf([file('a')], 'x'.repeat(300)),
      `multipart/form-data; boundary=${'x'.repeat(300)}`,
    ],
    ['has another type', formOf([file('a')]), `multipart/mixed; boundary=${BOUNDARY}`],
    ['is JSON', Buffer.from('{}'), 'application/json'],
    ['is urlencoded', Buffer.from('a=b'), 'application/x-www-form-urlencoded'],
    ['has a broken type', formOf([file('a')]), 'multipart/form-data; boundary="a'],
  ])('that %s is BadRequest, however it is cut up', async (_, form, type = FORM_TYPE) => {
    const sizes = form.byteLength > 10_000 ? [form.byteLength, 1000] : [form.byteLength || 1, 7, 1]
    for (const size of sizes) {
      const storage = new MemoryStorage()
      const request = requestOf(cutUp(form, size), type)
      const error = await failureOf(receiveUpload(storage, request, { ...usual, maxFields: 9 }))
      assert.deepEqual([error.code, error.status], ['BadRequest', 400], error.message)
      assert.deepEqual(await namesIn(storage), [])
    }
  })

  it('without a body or a type is BadRequest', async () => {
    for (const init of [{ method: 'POST', headers: { 'content-type': FORM_TYPE } }, { method: 'POST' }, {}]) {
      const request = new Request('http://localhost', init)
      assert.equal((await failureOf(receiveUpload(new MemoryStorage(), request, usual))).code, 'BadRequest')
    }
  })
})

describe('an odd form', () => {
  it.each<[string, Uint8Array, string?]>([
    [
      'with something before and after it',
      Buffer.concat([Buffer.from('preamble\r\n'), formOf([file('a', 'hello')]), Buffer.from('after\r\n--x')]),
    ],
    ['whose last line has no end', formOf([file('a', 'hello')]).subarray(0, -2)],
    [
      'with a quoted boundary',
      formOf([file('a', 'hello')], "a b'()+_,-./:=?"),
      `multipart/form-data; boundary="a b'()+_,-./:=?"`,
    ],
    [
      'with other parameters',
      formOf([file('a', 'hello')]),
      `Multipart/Form-Data; charset=utf-8; Boundary=${BOUNDARY} ; x="y;z"`,
    ],
    [
      'with headers in capitals',
      formOf([{ headers: ['CONTENT-DISPOSITION: FORM-DATA; NAME="file"; FILENAME="a"'], content: 'hello' }]),
    ],
    [
      'with folded headers',
      formOf([
        { headers: ['Content-Disposition: form-data;\r\n name="file";\r\n\tfilename="a"'], content: 'hello' },
      ]),
    ],
    [
      'with a binary encoding',
      formOf([
        {
          headers: [
            'Content-Disposition: form-data; name="file"; filename="a"',
            'Content-Transfer-Encoding: Binary',
          ],
          content: 'hello',
        },
      ]),
    ],
  ])('%s is taken, however it is cut up', async (_, form, type = FORM_TYPE) => {
    for (const size of [form.byteLength, 100, 3, 1]) {
      const storage = new MemoryStorage()
      const { files } = await receiveUpload(storage, requestOf(cutUp(form, size), type), usual)
      assert.equal(await contentOf(storage, files[0]?.name), 'hello')
    }
  })

  it('keeps what looks like a boundary in the content, byte by byte over a socket', async () => {
    const storage = new MemoryStorage()
    const port = await listening(async (request, response) => {
      const { files } = await receiveUpload(storage, request, usual)
      response.end(JSON.stringify(files))
    })
    const content = `x--${BOUNDARY}\r\n\r\r\n\r\n-\r\n--\r\n--${BOUNDARY.slice(0, -1)}\r\n--${BOUNDARY.slice(0, -1)}-\n--${BOUNDARY}--\r`
    const form = formOf([field('x', content), file('a', content)])
    const answer = await sendRaw(port, [headOf(form.byteLength), ...cutUp(form, 1)])
    assert.deepEqual(answer, [200])
    assert.equal(await contentOf(storage, 'uploads/a'), content)
  })

  it('keeps every byte of its contents, wherever it is cut', async () => {
    const tricky = fc.array(
      fc.constantFrom(
        '\r',
        '\n',
        '-',
        '--',
        '\r\n',
        `\r\n--${BOUNDARY.slice(0, -2)}`,
        'x',
        'ä',
        ':',
        '\0',
        `--${BOUNDARY}`,
      ),
      { maxLength: 30 },
    )
    const contents = tricky
      .map((pieces) => pieces.join(''))
      .filter((text) => !`\r\n${text}`.includes(`\r\n--${BOUNDARY}`))
    const parts = fc.array(fc.record({ isFile: fc.boolean(), content: contents }), {
      minLength: 1,
      maxLength: 6,
    })
    await fc.assert(
      fc.asyncProperty(parts, fc.integer({ min: 1, max: 400 }), async (given, size) => {
        const made = given.map(({ isFile, content }, index) =>
          isFile ? file(`f${index}`, content) : field(`n${index}`, content),
        )
        const form = formOf([...made, file('last', 'end')])
        const storage = new MemoryStorage()
        const { files, fields } = await receiveUpload(storage, requestOf(cutUp(form, size)), usual)
        const found: unknown[] = Object.entries(fields)
        for (const { name, filename } of files) found.push([filename, await contentOf(storage, name)])
        const wanted: unknown[] = []
        for (const [index, { isFile, content }] of given.entries()) {
          if (!isFile) wanted.push([`n${index}`, [content]])
        }
        for (const [index, { isFile, content }] of given.entries()) {
          if (isFile) wanted.push([`f${index}`, content])
        }
        wanted.push(['last', 'end'])
        assert.deepEqual(found, wanted)
      }),
      { numRuns: 200 },
    )
  })

  it('gives a result or a StorageError whatever is changed in it, and a failure leaves nothing', async () => {
    const form = formOf([
      field('a', 'b'),
      file('a.txt', 'hello\r\n--world'),
      file('', ''),
      file('b.png', 'x'.repeat(300)),
    ])
    const replaced = fc.constantFrom(
      '',
      '\r\n',
      '\r',
      '\n',
      '"',
      ';',
      ':',
      '--',
      '\0',
      '\xff',
      `--${BOUNDARY}`,
      `\r\n--${BOUNDARY}--`,
      'filename*=',
      '\\',
    )
    const change = fc.record({ at: fc.nat(form.byteLength), skip: fc.nat(12), text: replaced })
    await fc.assert(
      fc.asyncProperty(
        fc.array(change, { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 1, max: 600 }),
        async (changes, size) => {
          let body = form
          for (const { at, skip, text } of changes) {
            body = Buffer.concat([
              body.subarray(0, at),
              Buffer.from(text, 'latin1'),
              body.subarray(at + skip),
            ])
          }
          const storage = new MemoryStorage()
          const name = ({ filename }: UploadedFile) =>
            filename === '' ? 'none' : `x/${encodeURIComponent(filename)}`.slice(0, 200)
          const outcome = await receiveUpload(storage, requestOf(cutUp(body, size)), {
            ...usual,
            name,
            maxSize: 400,
          }).catch((error: unknown) => error)
          const names = await namesIn(storage)
          if (outcome instanceof Error) {
            assert.ok(isStorageError(outcome), outcome.stack)
            assert.ok(outcome.status < 500, outcome.stack)
            assert.deepEqual(names, [])
          } else {
            assert.deepEqual(
              names.sort(),
              (outcome as { files: { name: string }[] }).files.map((file) => file.name).sort(),
            )
          }
        },
      ),
      { numRuns: 500 },
    )
  })
})

describe('a form that stalls', () => {
  const whole = formOf([file('a'), file('b', 'x'.repeat(100)), field('c', 'd')])
  const places: readonly [string, number][] = [
    ['before it begins', 0],
    ['in its first boundary', 10],
    ['in the headers of a part', whole.indexOf('filename="b"')],
    ['in a file', whole.indexOf('xxx') + 50],
    ['between parts', whole.lastIndexOf('\r\n--', whole.indexOf('name="c"')) + 20],
    ['in a field', whole.lastIndexOf('d\r\n')],
    ['before its end', whole.byteLength - 5],
  ]
  it.concurrent.each(places)('%s ends after sourceTimeout, and the client is told', async (_, at) => {
    const storage = new MemoryStorage()
    const options = { ...usual, sourceTimeout: 1500 }
    const port = await listening(
      toNodeListener(async (request) => {
        await receiveUpload(storage, request, options)
        return new Response()
      }),
    )
    const direct = listening((request, response) => {
      receiveUpload(storage, request, options).catch((error: unknown) => {
        const { status } = httpError(error)
        response.writeHead(status).end()
      })
    })
    const stalled = whole.subarray(0, at)
    const answers = await Promise.all(
      [port, await direct].map((to) => sendRaw(to, [headOf(whole.byteLength), stalled])),
    )
    assert.deepEqual(answers, [[499], [499]])
    assert.deepEqual(await namesIn(storage), [])
  })
})

describe.each<
  [string, (receive: (request: Parameters<typeof receiveUpload>[1]) => Promise<unknown>) => Promise<number>]
>([
  [
    'node:http',
    (receive) =>
      listening(async (request, response) => {
        try {
          const received = await receive(request)
          response.writeHead(201).end(JSON.stringify(received))
        } catch (error) {
          const { status, message } = httpError(error)
          response.writeHead(status).end(message)
        }
      }),
  ],
  [
    'toNodeListener, as Next has its handlers',
    (receive) =>
      listening(toNodeListener(async (request) => Response.json(await receive(request), { status: 201 }))),
  ],
  [
    'Express 5',
    (receive) => {
      const app = express().use(express.json(), express.urlencoded())
      app.post('/', async (request, response) => void response.status(201).json(await receive(request)))
      const onError: ErrorRequestHandler = (error, _request, response, _next) => {
        const { status, message } = httpError(error)
        response.status(status).send(message)
      }
      return listening(app.use(onError))
    },
  ],
  [
    'Hono',
    async (receive) => {
      const app = new Hono().post('/', async (c) => Response.json(await receive(c.req.raw), { status: 201 }))
      app.onError((error) => errorResponse(error))
      return new Promise<number>((resolve) => {
        const server = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }, ({ port }) =>
          resolve(port),
        )
        onTestFinished(() => {
          Reflect.apply(Reflect.get(server, 'closeAllConnections'), server, [])
          server.close()
        })
      })
    },
  ],
])('over %s', (server, start) => {
  it('a form of the platform is taken', async () => {
    const storage = new MemoryStorage()
    const port = await start((request) => receiveUpload(storage, request, usual))
    const form = new FormData()
    form.append('title', 'Grüße "1"\r\n2')
    form.append('file', new File([Buffer.alloc(3 * MIB, 'a')], 'ü "a".bin', { type: 'audio/webm' }))
    form.append('file', new File(['b'], '空.txt'))
    const response = await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body: form })
    assert.equal(response.status, 201)
    const { files, fields }: ReceivedUpload = JSON.parse(await response.text())
    expect(files).toMatchObject([
      { field: 'file', filename: 'ü "a".bin', size: 3 * MIB, contentType: 'audio/webm' },
      { filename: '空.txt', size: 1, contentType: 'text/plain' },
    ])
    assert.deepEqual(fields, { title: ['Grüße "1"\r\n2'] })
  })

  it.each<[string, ReceiveUploadOptions, number]>([
    ['is too large', { ...usual, maxSize: 100_000 }, 413],
    ['has another type', { ...usual, allowedTypes: ['image/png'] }, 415],
    ['has too many fields', { ...usual, maxFields: 0 }, 413],
    ['meets wrong options', { ...usual, maxSize: -1 }, 500],
  ])(
    'a form that %s is told so after all of it was sent, and the connection serves on',
    async (_, options, status) => {
      const storage = new MemoryStorage()
      const port = await start((request) => receiveUpload(storage, request, options))
      const form = formOf([field('a', 'b'), file('a', Buffer.alloc(8 * MIB, 'a'))])
      const pieces = [headOf(form.byteLength), form]
      // Hono's server closes the connection of a body that was not read.
      const again = server === 'Hono' ? 1 : 2
      const statuses = await sendRaw(port, again === 1 ? pieces : [...pieces, ...pieces], again)
      assert.deepEqual(
        statuses,
        Array.from({ length: again }, () => status),
      )
      assert.deepEqual(await namesIn(storage), [])
    },
  )

  it('a length that promises more than there is ends, and one that promises less is no success', async () => {
    const storage = new MemoryStorage()
    const port = await start((request) => receiveUpload(storage, request, usual))
    const form = formOf([file('a')])
    assert.deepEqual(await sendRaw(port, [headOf(form.byteLength + 1000), form]), [201])
    assert.equal((await sendRaw(port, [headOf(form.byteLength - 10), form]))[0], 400)
    assert.equal((await namesIn(storage)).length, 1)
  })
})
