/** What test runners, jsdom and bundlers hand to the package: objects of another realm, and modules that are missing. */
import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { runInNewContext } from 'node:vm'
// @ts-expect-error jsdom has no types of its own.
import { JSDOM } from 'jsdom'
import { afterEach, describe, it, vi } from 'vitest'
import { toError } from '../../src/errors.js'
import { isStorageError, MemoryStorage } from '../../src/index.js'
import { isNotLoaded, notLoaded } from '../../src/load.js'

afterEach(() => void vi.useRealTimers())

describe('objects of another realm', () => {
  it('a signal of jsdom aborts a save that is judged by its bytes', async () => {
    const { AbortController } = new JSDOM().window
    const controller = new AbortController()
    const endless = (async function* () {
      yield 'x'
      controller.abort(new Error('enough'))
      await new Promise(() => {})
    })()
    const options = { signal: controller.signal, allowedTypes: ['text/plain'] }
    const error = await new MemoryStorage().save('a.txt', endless, options).catch((thrown: unknown) => thrown)
    assert.ok(isStorageError(error))
    assert.equal(error.code, 'Aborted')
    assert.equal(toError(error.cause).message, 'enough')
  })

  it('an error of the system stays the same under Jest', () => {
    const foreign: unknown = runInNewContext("Object.assign(new TypeError('x'), { code: 'ECONNREFUSED' })")
    assert.equal(toError(foreign), foreign)
  })
})

describe('fake timers', () => {
  it('do not make a save wait', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask'] })
    const storage = new MemoryStorage()
    const chunks = Array.from({ length: 200 }, (_, index) => (index % 2 ? 'x' : ''))
    await storage.save('a.txt', Readable.from(chunks))
    await storage.save('b.txt', ['', ...Array.from({ length: 200 }, () => ''), 'x'])
    assert.equal(await (await storage.open('b.txt')).text(), 'x')
  })
})

describe('a module that is missing', () => {
  it.each([
    ['Dynamic require of "node:net" is not supported', 'the module node:net '],
    ["Cannot find module '@aws-sdk/client-s3' from 'x.js'", 'the module @aws-sdk/client-s3 '],
    ["Cannot find module '/srv/app/x.js'", 'a module of the package '],
    ['require is not defined', 'a module of the package '],
  ])('is named, and so is the option of the bundler: %s', (message, start) => {
    const code = message.startsWith('Cannot') ? { code: 'MODULE_NOT_FOUND' } : {}
    const error = Object.assign(new Error(message), code)
    assert.ok(isNotLoaded(error))
    const problem = notLoaded(error)
    assert.equal(problem.code, 'Misconfigured')
    assert.ok(problem.message.startsWith(start), problem.message)
    assert.match(problem.message, /--external:stowage.*createRequire/)
  })
})
