import assert from 'node:assert/strict'
import { describe, it } from 'vitest'
import { classify } from '../../src/drivers/s3/classify.js'
import { analyse } from '../../src/drivers/s3/failures.js'
import { S3Error } from '../../src/drivers/s3/s3-error.js'
import { lazily } from '../../src/load.js'

const failing = (code: string | undefined, message: string) =>
  Object.assign(new Error(message), code && { code })

describe('a module that cannot be loaded', () => {
  const errors = [
    failing('MODULE_NOT_FOUND', "Cannot find module '/srv/app/x'"),
    failing('ERR_MODULE_NOT_FOUND', "Cannot find package 'x' imported from /srv/app/y.js"),
    failing(undefined, 'Dynamic require of "node:net" is not supported'),
  ]

  it.each(errors)('is Misconfigured, and no retry helps: $message', async (error) => {
    const loading = lazily(() => Promise.reject(error))()
    for (const thrown of [
      error,
      new S3Error('no answer came', { cause: error }),
      await loading.catch((e: unknown) => e),
    ]) {
      const problem = classify(thrown, 'bucket')
      assert.equal(problem.code, 'Misconfigured')
      assert.doesNotMatch(problem.message, /srv|app/)
      assert.equal(analyse(thrown).retry, 'no')
    }
  })
})

describe('messages', () => {
  it('name neither the host nor the access key', () => {
    const cause = failing('ENOTFOUND', 'getaddrinfo ENOTFOUND abc.r2.cloudflarestorage.com')
    for (const error of [
      new S3Error('no answer came', { code: 'ENOTFOUND', cause }),
      new S3Error('The key AKIDEXAMPLE is not known', { status: 403, code: 'InvalidAccessKeyId' }),
    ]) {
      assert.doesNotMatch(classify(error, 'bucket').message, /cloudflarestorage|AKID/)
    }
  })
})
