/** Migrations in processes of their own: killed in the midst, and side by side. The long form is migrate-long.test.ts. */
import { describe, it } from 'vitest'
import { startServer } from './child/server.js'
import { folderOf, killAndFinish, migrateInShards } from './migrate-trial.js'

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
    const files = { small: 200, large: 2 }
    await using folder = await folderOf(files)
    await using server = await startServer({})
    await migrateInShards(folder.path, { ...server.keys, ...PART, conditionalCompletion: true }, files)
  })
})
