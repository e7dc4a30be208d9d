import assert from 'node:assert/strict'
import { isStorageError, type StorageErrorCode } from '../errors.js'
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
  {
    error: 'InvalidNameError',
    code: 'InvalidName',
    status: 400,
    operation: 'save',
    file: '../up.txt',
    work: (storage) => storage.save('../up.txt', 'x'),
  },
  {
    error: 'UploadRejectedError',
    code: 'Rejected',
    status: 413,
    operation: 'save',
    file: 'big.txt',
    work: (storage) => storage.save('big.txt', 'too much', { maxSize: 1 }),
  },
  {
    error: 'StorageError',
    code: 'RangeNotSatisfiable',
    status: 416,
    operation: 'open',
    file: 'a.txt',
    work: (storage) => storage.open('a.txt', { range: { offset: 100 } }),
  },
  {
    error: 'StorageError',
    code: 'InvalidArgument',
    status: 500,
    operation: 'signedUrl',
    file: 'a.txt',
    work: (storage) => storage.signedUrl('a.txt', { expiresIn: 0 }),
  },
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

export const errorCases: readonly ConformanceCase[] = cases('errors', {
  ...Object.fromEntries(
    FAILURES.map((failure) => [
      `${failure.operation} that fails with ${failure.code} says what, which file and why`,
      explains(failure),
    ]),
  ),
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
