import assert from 'node:assert/strict'
import { runInNewContext } from 'node:vm'
import { describe, it } from 'vitest'
import { classify } from '../../src/drivers/s3/classify.js'
import { CredentialsKeeper } from '../../src/drivers/s3/credentials.js'
import { analyse } from '../../src/drivers/s3/failures.js'
import { S3Error } from '../../src/drivers/s3/s3-error.js'
import { fromSdkError } from '../../src/drivers/s3/sdk-errors.js'
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

describe('a server that wants the bucket in the host name', () => {
  it.each(['SecondLevelDomainForbidden', 'PathStyleDomainForbidden'])('says the right fix: %s', (code) => {
    const problem = classify(new S3Error('refused', { status: 403, code }), 'bucket')
    assert.equal(problem.code, 'Misconfigured')
    assert.match(problem.message, /addressing: 'virtual'/)
    assert.doesNotMatch(problem.message, /credentials/)
  })
})

/** As Node's own errors are to code that Jest runs. */
describe('errors of another realm', () => {
  const foreign = (type: string, message: string, fields: object = {}): Error =>
    Object.assign(runInNewContext(`new ${type}(${JSON.stringify(message)})`), fields)

  it('of the network have their code', () => {
    const error = foreign('Error', 'connect ECONNREFUSED', { code: 'ECONNREFUSED' })
    assert.equal(error instanceof Error, false)
    const found = fromSdkError(error)
    assert.ok(found instanceof S3Error)
    assert.match(classify(found, 'bucket').message, /refuses connections/)
  })

  it('of a server have its name and message', () => {
    const error = foreign('Error', 'no such key', { name: 'NoSuchKey', $metadata: { httpStatusCode: 404 } })
    const found = fromSdkError(error)
    assert.ok(found instanceof S3Error)
    assert.deepEqual([found.code, found.status, found.message], ['NoSuchKey', 404, 'no such key'])
  })

  it('of a missing module are Misconfigured', () => {
    const error = foreign('Error', "Cannot find module 'x'", { code: 'MODULE_NOT_FOUND' })
    assert.equal(classify(error, 'bucket').code, 'Misconfigured')
    assert.equal(classify(foreign('Error', 'Dynamic require of "x"'), 'bucket').code, 'Misconfigured')
  })

  it('of a wrong argument are told', () => {
    const error = foreign('TypeError', 'the argument is wrong')
    assert.equal(fromSdkError(error), error)
    assert.equal(classify(error, 'bucket').message, 'the argument is wrong')
  })

  it('of a provider of credentials are told', async () => {
    const keeper = new CredentialsKeeper(() => Promise.reject(foreign('Error', 'the vault is sealed')), 1000)
    await assert.rejects(async () => keeper.get(), /failed: the vault is sealed/)
  })
})
