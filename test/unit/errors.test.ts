import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import {
  aiSpeechPath,
  ConfigurationError,
  chatUploadPath,
  createDefaultStorage,
  DeleteManyError,
  documentPath,
  FileExistsError,
  FileNotFoundError,
  FileSystemStorage,
  InvalidNameError,
  isStorageError,
  MemoryStorage,
  migrate,
  prefixed,
  R2Storage,
  S3Storage,
  StorageError,
  type StorageErrorCode,
  sanitizeFilename,
  setDefaultStorage,
  UploadRejectedError,
  userAvatarPath,
  voiceNotePath,
} from 'stowage'
import { describe, it, vi } from 'vitest'
import { Problem, toStorageError } from '../../src/errors.js'

const STATUS: Readonly<Record<Exclude<StorageErrorCode, 'Rejected'>, number>> = {
  NotFound: 404,
  AlreadyExists: 409,
  InvalidName: 400,
  BadRequest: 400,
  Misconfigured: 500,
  PartialDelete: 500,
  PermissionDenied: 500,
  RangeNotSatisfiable: 416,
  InvalidArgument: 500,
  Unsupported: 501,
  Aborted: 499,
  Unavailable: 503,
  Full: 507,
  Corrupt: 500,
  Unknown: 500,
}

describe('an error', () => {
  it.each(Object.entries(STATUS))(
    'of code %s has the status %i; only Unavailable is worth another try',
    (code, status) => {
      const error = toStorageError(new Problem(code as StorageErrorCode, 'why'), {})
      assert.deepEqual([error.code, error.status, error.retryable], [code, status, code === 'Unavailable'])
      assert.ok(error instanceof StorageError && error instanceof Error)
    },
  )

  it.each([
    ['NotFound', FileNotFoundError],
    ['AlreadyExists', FileExistsError],
    ['InvalidName', InvalidNameError],
    ['Misconfigured', ConfigurationError],
  ] as const)('of code %s has a class of its own, and its name', (code, Class) => {
    const error = toStorageError(new Problem(code, 'why'), {})
    assert.ok(error instanceof Class)
    assert.equal(error.name, Class.name)
    assert.match(String(error.stack), new RegExp(`^${Class.name}: why`))
  })

  it('of a refused upload has the status of the rule, and the rule', () => {
    const size = new UploadRejectedError(
      { reason: 'size', limit: 5, found: 6 },
      { operation: 'save', file: 'a' },
    )
    assert.deepEqual(
      [size.code, size.status, size.limit, size.allowed, size.found],
      ['Rejected', 413, 5, undefined, 6],
    )
    const type = new UploadRejectedError({ reason: 'type', allowed: ['image/png'], found: 'text/html' }, {})
    assert.deepEqual(
      [type.code, type.status, type.limit, type.allowed, type.found],
      ['Rejected', 415, undefined, ['image/png'], 'text/html'],
    )
    assert.equal(size.name, 'UploadRejectedError')
  })

  it('of many deletes has what is gone and what is not', () => {
    const error = new FileNotFoundError({ reason: 'why' })
    const many = new DeleteManyError(['a'], [{ name: 'b', error }], { operation: 'deleteMany' })
    assert.deepEqual(
      [many.code, many.status, many.deleted, many.failures.length],
      ['PartialDelete', 500, ['a'], 1],
    )
    assert.match(many.message, /^deleteMany: 1 of 2 files/)
    assert.equal(many.cause, error)
  })

  it('names the operation, the file and the storage', async () => {
    await assert.rejects(new MemoryStorage().open('a/b.txt'), (error) => {
      assert.ok(isStorageError(error))
      assert.deepEqual([error.operation, error.file, error.storage], ['open', 'a/b.txt', 'MemoryStorage'])
      assert.match(error.message, /^open "a\/b\.txt": /)
      return true
    })
  })

  it('has a message of one line and of some length, whatever the name', () => {
    const file = `line\nbreak\u2028\ud800${'x'.repeat(5000)}`
    const { message } = new FileNotFoundError({ operation: 'open', file, reason: 'why' })
    assert.ok(!message.includes('\n') && message.length < 400 && message.isWellFormed())
  })

  it('becomes JSON that a log can take: everything but the cause', () => {
    const cause = { secret: 'hidden' }
    const error = new FileNotFoundError({ operation: 'open', file: 'a', storage: 'S', reason: 'why', cause })
    assert.deepEqual(JSON.parse(JSON.stringify(error)), {
      code: 'NotFound',
      status: 404,
      retryable: false,
      operation: 'open',
      file: 'a',
      storage: 'S',
    })
  })

  it('keeps the reason of an abort as its cause', async () => {
    const reason = new Error('user left')
    await assert.rejects(
      new MemoryStorage().save('a', 'b', { signal: AbortSignal.abort(reason) }),
      (error) => {
        assert.ok(isStorageError(error))
        assert.deepEqual([error.code, error.status, error.cause], ['Aborted', 499, reason])
        return true
      },
    )
  })
})

describe('where an error happened', () => {
  const R2 = {
    bucket: 'files',
    endpoint: 'https://s3.example.com',
    accessKeyId: 'id',
    secretAccessKey: 'key',
  }
  const made: [string, string, () => unknown][] = [
    ['new MemoryStorage', 'Misconfigured', () => new MemoryStorage({ baseUrl: '/a?b' })],
    ['new FileSystemStorage', 'Misconfigured', () => new FileSystemStorage({ location: '' })],
    ['new R2Storage', 'Misconfigured', () => new R2Storage({ ...R2, bucket: 'a/b' })],
    ['new R2Storage', 'Misconfigured', () => new R2Storage({ ...R2, publicBaseUrl: 'http://' })],
    ['new R2Storage', 'Misconfigured', () => new R2Storage({ ...R2, prefix: '../up' })],
    ['new S3Storage', 'Misconfigured', () => new S3Storage({ ...R2, region: 'auto', endpoint: 'nonsense' })],
    ['createDefaultStorage', 'Misconfigured', () => createDefaultStorage({ R2_ENABLED: '1' })],
    ['setDefaultStorage', 'Misconfigured', () => Reflect.apply(setDefaultStorage, undefined, [{}])],
    ['documentPath', 'InvalidName', () => documentPath('../up', 'a.txt')],
    ['voiceNotePath', 'InvalidName', () => voiceNotePath('../up', 'a.txt')],
    ['userAvatarPath', 'InvalidName', () => userAvatarPath('../up', 'a.txt')],
    ['aiSpeechPath', 'InvalidName', () => aiSpeechPath(1, '../up')],
    ['chatUploadPath', 'InvalidName', () => chatUploadPath('..')],
    ['sanitizeFilename', 'InvalidName', () => sanitizeFilename('..')],
    ['prefixed', 'InvalidName', () => prefixed(new MemoryStorage(), '../up')],
    ['path', 'InvalidName', () => new FileSystemStorage().path('../up')],
  ]
  it.each(made)('%s that fails with %s names itself', (operation, code, make) => {
    assert.throws(make, (error) => {
      assert.ok(isStorageError(error), String(error))
      assert.deepEqual([error.operation, error.code], [operation, code])
      assert.ok(error.message.startsWith(operation), error.message)
      if (code === 'InvalidName') assert.ok(['..', '../up'].includes(String(error.file)), error.file)
      return true
    })
  })

  it('names the bad one of two names', async () => {
    const storage = new MemoryStorage()
    await storage.save('a', '')
    for (const method of ['copy', 'move'] as const) {
      const refused = { code: 'InvalidName', operation: method, storage: 'MemoryStorage' }
      await assert.rejects(storage[method]('a', '../b'), { ...refused, file: '../b' })
      await assert.rejects(storage[method]('../a', 'b'), { ...refused, file: '../a' })
    }
  })

  it('is told of what a migration refuses', async () => {
    const [source, target] = [new MemoryStorage(), new MemoryStorage()]
    await assert.rejects(migrate(source, target, { prefix: '../up' }), {
      operation: 'migrate',
      code: 'InvalidName',
      file: '../up',
    })
    await assert.rejects(migrate(source, target, { concurrency: 0 }), {
      operation: 'migrate',
      code: 'InvalidArgument',
    })
  })
})

describe('isStorageError', () => {
  it('knows every error of this package and nothing else', () => {
    assert.ok(isStorageError(new StorageError('Full', { reason: 'x' })))
    assert.ok(isStorageError(new UploadRejectedError({ reason: 'size', limit: 1, found: 2 }, {})))
    for (const other of [
      new Error('x'),
      new Problem('Full', 'x'),
      { code: 'NotFound' },
      null,
      undefined,
      'x',
      1,
    ]) {
      assert.equal(isStorageError(other), false)
    }
  })

  it('knows those of another copy of the package, where instanceof does not', async () => {
    vi.resetModules()
    const other = await import('../../src/errors.js')
    const error = new other.FileNotFoundError({ reason: 'x' })
    assert.equal(error instanceof StorageError, false)
    assert.ok(isStorageError(error))
  })
})

describe('no secret', () => {
  it.each([
    'https://cdn.example.com/a.png?X-Amz-Signature=hidden',
    ' https://cdn.example.com/a.png?X-Amz-Signature=hidden',
    '/uploads/a.png?signature=hidden&expires=1',
    '\\\\host\\a.png?signature=hidden',
  ])('of the address %s, which somebody takes for a name', async (address) => {
    const storage = new MemoryStorage()
    for (const call of [storage.open(address), storage.copy('a', address), storage.list(address)]) {
      const failing = Symbol.asyncIterator in call ? call[Symbol.asyncIterator]().next() : call
      const error = await failing.then(() => undefined).catch((thrown: unknown) => thrown)
      assert.doesNotMatch(inspect(error), /hidden/)
    }
  })

  it('shows a name with a question mark unchanged', async () => {
    await assert.rejects(new MemoryStorage().open('what?.txt'), { file: 'what?.txt' })
  })

  it('is in what a storage or its errors show of themselves', async () => {
    const secrets = {
      accessKeyId: 'AKIA-visible-id',
      secretAccessKey: 'top-secret-key',
      sessionToken: 'secret-token',
    }
    const storage = new R2Storage({
      ...secrets,
      bucket: 'bucket',
      endpoint: 'http://127.0.0.1:1',
      maxAttempts: 1,
    })
    const error: unknown = await storage.save('a', 'b').catch((error: unknown) => error)
    assert.ok(isStorageError(error))
    assert.equal(error.code, 'Unavailable')
    const shown = [storage, error].flatMap((it) => [
      inspect(it, { depth: 20, showHidden: true }),
      JSON.stringify(it),
      String(it),
    ])
    for (const text of [...shown, String(error.stack)]) {
      assert.ok(!text.includes('top-secret-key') && !text.includes('secret-token'), text)
      assert.ok(!text.includes('X-Amz-Signature'), text)
    }
  })
})
