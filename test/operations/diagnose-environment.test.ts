import assert from 'node:assert/strict'
import { resolve } from 'node:path'
import { createDefaultStorage, diagnose, diagnoseEnvironment, type Environment } from 'stowage'
import { describe, it, vi } from 'vitest'
import { startStrictR2 } from '../servers/r2.js'
import { checksOf, expectFit, problemIn } from './diagnosed.js'

const SECRETS = ['the-access-key-id', 'the-secret-access-key', 'the-token', 'too-short', 'pass:word']
const R2: Environment = {
  R2_ENABLED: '1',
  R2_ACCESS_KEY_ID: 'the-access-key-id',
  R2_SECRET_ACCESS_KEY: 'the-secret-access-key',
  R2_BUCKET_NAME: 'chat-files',
  R2_ENDPOINT_URL: 'https://account.r2.cloudflarestorage.com',
}
const SIGNING = { STORAGE_SIGNING_SECRET: 'x'.repeat(32) }

function diagnosed(env: Environment) {
  const results = diagnoseEnvironment(env)
  expectFit(results, [...SECRETS, SIGNING.STORAGE_SIGNING_SECRET])
  return results
}

describe('diagnoseEnvironment', () => {
  it.each<[string, Environment, RegExp]>([
    [
      'nothing',
      SIGNING,
      /FileSystemStorage\(.*uploads\): R2_ENABLED is not set, and MEDIA_ROOT has its default\./,
    ],
    [
      'R2 off',
      { ...R2, ...SIGNING, R2_ENABLED: 'no', MEDIA_ROOT: '/srv/media' },
      /FileSystemStorage\(\/srv\/media\): R2_ENABLED is no\./,
    ],
    ['R2', R2, /R2Storage\(chat-files\): R2_ENABLED is 1\./],
    [
      'R2 with all',
      {
        ...R2,
        R2_ENDPOINT_URL: 'https://account.r2.cloudflarestorage.com/chat-files',
        R2_REGION: 'auto',
        R2_PUBLIC_BASE_URL: 'cdn.example.com',
        R2_SESSION_TOKEN: 'the-token',
        R2_PREFIX: 'app',
        R2_CACHE_CONTROL: 'max-age=1',
        R2_FALLBACK_ROOT: '/srv/old',
        R2_PURGE_ZONE_ID: 'a'.repeat(32),
        R2_PURGE_API_TOKEN: 'the-token',
      },
      /readThrough\(R2Storage\(chat-files\), FileSystemStorage\(\/srv\/old\)\): R2_ENABLED is 1\./,
    ],
  ])('says which storage it is, and why: %s', (_, env, message) => {
    const results = diagnosed(env)
    assert.deepEqual([...checksOf(results, 'failed'), ...checksOf(results, 'warning')], [])
    const last = results.at(-1)
    assert.equal(last?.check, 'storage')
    assert.match(last?.message ?? '', message)
    assert.equal(String(createDefaultStorage(env)), /is (.*): R2_/.exec(last?.message ?? '')?.[1])
  })

  it('names each missing variable by itself', () => {
    const results = diagnosed({ R2_ENABLED: '1', R2_PURGE_ZONE_ID: 'a'.repeat(32) })
    assert.deepEqual(checksOf(results, 'failed'), [
      'R2_ACCESS_KEY_ID',
      'R2_SECRET_ACCESS_KEY',
      'R2_BUCKET_NAME',
      'R2_ENDPOINT_URL',
      'R2_PURGE_API_TOKEN',
      'R2_PUBLIC_BASE_URL',
    ])
    assert.deepEqual(checksOf(results, 'skipped'), ['storage'])
  })

  it.each<[string, string]>([
    ['R2_ENABLED', 'ja'],
    ['R2_ACCESS_KEY_ID', 'the-access-key-id with space'],
    ['R2_SECRET_ACCESS_KEY', 'the-secret-access-key\nwith a line'],
    ['R2_BUCKET_NAME', 'a/b'],
    ['R2_ENDPOINT_URL', 'not a url'],
    ['R2_ENDPOINT_URL', 'https://pass:word@example.com'],
    ['R2_ENDPOINT_URL', 'https://account.r2.cloudflarestorage.com/other-bucket'],
    ['R2_PUBLIC_BASE_URL', 'https://pass:word@cdn.example.com'],
    ['R2_PREFIX', '../up'],
    ['R2_CACHE_CONTROL', 'a\nb'],
    ['R2_SESSION_TOKEN', 'the-token with space'],
    ['R2_FALLBACK_ROOT', '~/old'],
  ])('%s=%j is one failure', (variable, value) => {
    const problem = problemIn(diagnosed({ ...R2, [variable]: value }))
    assert.equal(problem.check, variable)
    assert.equal(problem.status, 'failed')
    assert.ok(problem.message.includes(variable), problem.message)
  })

  it.each<[string, string]>([
    ['MEDIA_ROOT', '~/media'],
    ['MEDIA_URL', '/a?b'],
    ['STORAGE_SIGNING_SECRET', 'too-short'],
  ])('%s=%j is one failure', (variable, value) => {
    const problem = problemIn(diagnosed({ ...SIGNING, [variable]: value }))
    assert.equal(problem.check, variable)
    assert.match(problem.message, /is malformed/)
  })

  it('gives one failure for each of several', () => {
    const results = diagnosed({ ...R2, R2_BUCKET_NAME: '..', R2_PREFIX: '../up', R2_ENDPOINT_URL: 'ftp://x' })
    assert.deepEqual(checksOf(results, 'failed'), ['R2_BUCKET_NAME', 'R2_ENDPOINT_URL', 'R2_PREFIX'])
  })

  it('warns of R2 that is forgotten, by a record alone', () => {
    const warn = vi.spyOn(process, 'emitWarning')
    const { R2_ENABLED: _, ...forgotten } = R2
    const problem = problemIn(diagnosed({ ...forgotten, ...SIGNING }))
    assert.deepEqual([problem.check, problem.status], ['R2_ENABLED', 'warning'])
    assert.match(
      problem.message,
      /R2_ACCESS_KEY_ID, .* are set, but R2_ENABLED is not, so files are kept on the disk/,
    )
    assert.match(problem.remedy ?? '', /R2_ENABLED=1/)
    assert.equal(warn.mock.calls.length, 0)
    warn.mockRestore()
  })

  it('warns of addresses that end with their process', () => {
    const problem = problemIn(diagnosed({ MEDIA_ROOT: resolve('uploads') }))
    assert.deepEqual([problem.check, problem.status], ['STORAGE_SIGNING_SECRET', 'warning'])
  })

  it('comes before a diagnosis of the storage', async () => {
    const server = await startStrictR2()
    const env: Environment = {
      R2_ENABLED: 'yes',
      R2_ACCESS_KEY_ID: server.accessKeyId,
      R2_SECRET_ACCESS_KEY: 'wrong',
      R2_BUCKET_NAME: 'test-bucket',
      R2_ENDPOINT_URL: server.endpoint,
    }
    assert.deepEqual(checksOf(diagnosed(env), 'failed'), [])
    const results = []
    for await (const result of diagnose(createDefaultStorage(env))) results.push(result)
    assert.equal(problemIn(results).check, 'credentials')
    await server.stop()
  })
})
