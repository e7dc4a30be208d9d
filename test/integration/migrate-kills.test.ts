/** Migrations in processes of their own: killed in the midst, and side by side. The long form is migrate-long.test.ts. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { S3Storage } from 'stowage'
import { describe, it } from 'vitest'
import { inChildren } from './child/child.js'
import { startServer } from './child/server.js'
import { expectExactCopy, folderOf, killAndFinish } from './migrate-trial.js'

const PART = { partSize: 5 * 1024 * 1024, bucket: 'test-bucket' }

describe('a migration', () => {
  it.each([
    ['a server with conditional completions', true],
    ['a server like Ceph', false],
  ])(
    'to %s that is killed again and again ends in an exact copy',
    { timeout: 300_000 },
    async (_, conditional) => {
      await using folder = await folderOf({ small: 150, large: 4 })
      await using server = await startServer({})
      await killAndFinish(folder.path, { ...server.keys, ...PART, conditionalCompletion: conditional }, 3)
    },
  )

  it('in four shards, each by a process of its own, ends in an exact copy', {
    timeout: 120_000,
  }, async () => {
    await using folder = await folderOf({ small: 200, large: 2 })
    await using server = await startServer({})
    const options = { ...server.keys, ...PART, conditionalCompletion: true }
    const location = join(folder.path, 'files')
    const migrations = [0, 1, 2, 3].map((index) => ({
      location,
      storage: { kind: 's3', ...options } as const,
      log: join(folder.path, `log-${index}`),
      shard: { index, of: 4 },
    }))
    const results = await inChildren('migrateFolder', migrations)
    assert.deepEqual(
      results.flatMap(({ failed }) => failed),
      [],
    )
    assert.equal(
      results.reduce((sum, { copied }) => sum + copied, 0),
      202,
    )
    await expectExactCopy(folder.path, new S3Storage(options))
  })
})
