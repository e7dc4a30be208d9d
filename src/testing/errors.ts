import assert from 'node:assert/strict'
import { type DeleteFailure, isStorageError, type StorageErrorCode } from '../errors.js'
import type { Storage } from '../storage.js'
import { type Check, type ConformanceCase, cases } from './case.js'
import { rejects } from './expect.js'

interface Failure {
  readonly error: string
  readonly code: StorageErrorCode
  readonly status: number
  readonly operation: string
  readonly file: string
  readonly work: (storage: Storage) => Promise<unknown>
  /** More about it, where two failures would have the same title. */
  readonly detail?: string
}

const missing = (operation: string, work: Failure['work']): Failure => ({
  error: 'FileNotFoundError',
  code: 'NotFound',
  status: 404,
  operation,
  file: 'folder/missing.txt',
  work,
})

const taken = (operation: string, file: string, work: Failure['work']): Failure => ({
  error: 'FileExistsError',
  code: 'AlreadyExists',
  status: 409,
  operation,
  file,
  work,
})

const misnamed = (operation: string, work: Failure['work']): Failure => ({
  error: 'InvalidNameError',
  code: 'InvalidName',
  status: 400,
  operation,
  file: '../up.txt',
  work,
})

const mistaken = (operation: string, work: Failure['work'], detail?: string): Failure => ({
  error: 'StorageError',
  code: 'InvalidArgument',
  status: 500,
  operation,
  file: 'a.txt',
  work,
  ...(detail !== undefined && { detail }),
})

/** Failures as users meet them; `taken.txt` is there, `folder/missing.txt` is not. */
const FAILURES: readonly Failure[] = [
  missing('open', (storage) => storage.open('folder/missing.txt')),
  missing('stat', (storage) => storage.stat('folder/missing.txt')),
  missing('size', (storage) => storage.size('folder/missing.txt')),
  missing('copy', (storage) => storage.copy('folder/missing.txt', 'b.txt')),
  missing('move', (storage) => storage.move('folder/missing.txt', 'b.txt')),
  taken('save', 'taken.txt', (storage) => storage.save('taken.txt', 'x', { ifExists: 'error' })),
  taken('copy', 'a.txt', (storage) => storage.copy('a.txt', 'taken.txt', { ifExists: 'error' })),
  taken('move', 'a.txt', (storage) => storage.move('a.txt', 'taken.txt', { ifExists: 'error' })),
  misnamed('save', (storage) => storage.save('../up.txt', 'x')),
  misnamed('url', async (storage) => storage.url('../up.txt')),
  misnamed('copy', (storage) => storage.copy('a.txt', '../up.txt')),
  misnamed('move', (storage) => storage.move('a.txt', '../up.txt')),
  misnamed('deleteMany', (storage) => storage.deleteMany(['a.txt', '../up.txt'])),
  {
    error: 'UploadRejectedError',
    code: 'Rejected',
    status: 413,
    operation: 'save',
    file: 'big.txt',
    work: (storage) => storage.save('big.txt', 'too much', { maxSize: 1 }),
  },
  {
    error: 'UploadRejectedError',
    code: 'Rejected',
    status: 415,
    operation: 'save',
    file: 'x.png',
    work: (storage) => storage.save('x.png', '<html>', { allowedTypes: ['image/png'] }),
  },
  {
    error: 'StorageError',
    code: 'RangeNotSatisfiable',
    status: 416,
    operation: 'open',
    file: 'a.txt',
    work: (storage) => storage.open('a.txt', { range: { offset: 100 } }),
  },
  mistaken('signedUrl', (storage) => storage.signedUrl('a.txt', { expiresIn: 0 })),
  mistaken('signedUpload', (storage) =>
    storage.signedUpload('a.txt', { size: -1, contentType: 'text/plain' }),
  ),
  mistaken('read', async (storage) => {
    const file = await storage.open('a.txt')
    await file.text()
    return file.text()
  }),
  mistaken(
    'read',
    async (storage) => {
      const file = await storage.open('a.txt')
      await file.close()
      return file.bytes()
    },
    'of a closed file',
  ),
  {
    error: 'StorageError',
    code: 'Aborted',
    status: 499,
    operation: 'stat',
    file: 'a.txt',
    work: (storage) => storage.stat('a.txt', { signal: AbortSignal.abort() }),
  },
]

function explains({ error: name, code, status, operation, file, work }: Failure): Check {
  return async (storage) => {
    await storage.save('taken.txt', 'content')
    await storage.save('a.txt', 'content')
    const error = await rejects(code, () => work(storage))
    assert(error instanceof Error && isStorageError(error))
    assert.deepEqual([error.name, error.status, error.operation, error.file], [name, status, operation, file])
    assert.equal(error.retryable, false)
    assert.equal(error.storage, String(storage))
    assert(error.message.includes(operation) && error.message.includes(file), error.message)
    assert.doesNotMatch(error.message, /[\r\n]/)
  }
}

function titleOf({ operation, code, status, detail }: Failure): string {
  const what = [operation, detail].filter(Boolean).join(' ')
  return `${what} that fails with ${code} ${status} names the operation, the file and the storage`
}

export const errorCases: readonly ConformanceCase[] = cases('errors', {
  ...Object.fromEntries(FAILURES.map((failure) => [titleOf(failure), explains(failure)])),
  'each file that deleteMany leaves has an error of its own': async (storage) => {
    const names = async function* () {
      yield* ['a.txt', '../up.txt']
    }
    const error = await rejects('PartialDelete', () => storage.deleteMany(names()))
    assert.deepEqual([error.operation, error.storage], ['deleteMany', String(storage)])
    const [failure]: DeleteFailure[] = Reflect.get(error, 'failures')
    assert(failure)
    assert.deepEqual(
      [failure.name, failure.error.operation, failure.error.file, failure.error.storage],
      ['../up.txt', 'deleteMany', '../up.txt', String(storage)],
    )
  },
  'a name with odd signs stays on one line of the message': async (storage) => {
    const name = 'line\u2028separator "quoted" \u202Egpj.txt'
    const error = await rejects('NotFound', () => storage.open(name))
    assert.equal(error.file, name)
    const refused = await rejects('InvalidName', () => storage.open('a\nFAKE LOG LINE'))
    assert.doesNotMatch(refused.message, /\n/)
  },
  'exists is false for what is not there, and only that': async (storage) => {
    assert.equal(await storage.exists('missing'), false)
    assert.equal(await storage.exists('no/such/folder/missing'), false)
    await storage.save('a.txt', 'content')
    assert.equal(await storage.exists('a.txt'), true)
    assert.equal(await storage.exists('a.txt/below'), false)
    await rejects('NotFound', () => storage.open('a.txt/below'))
    await rejects('NotFound', () => storage.stat('a.txt/below'))
    await rejects('InvalidName', () => storage.exists('../a.txt'))
  },
})
