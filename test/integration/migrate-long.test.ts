/** Tests that take minutes: ten kills on Ceph, four shards there, and the memory of 100,000 files. */
import assert from 'node:assert/strict'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { MemoryStorage, migrate } from 'stowage'
import { describe, inject, it } from 'vitest'
import { folderOf, killAndFinish, migrateInShards } from './migrate-trial.js'

const ceph = inject('ceph')

describe.skipIf(!ceph)('a migration to Ceph', () => {
  async function bucket() {
    if (!ceph) throw new Error('no Ceph')
    const { endpoint, ...credentials } = ceph
    const name = `migrate-${Date.now()}`
    const client = new S3Client({ region: 'us-east-1', endpoint, credentials, forcePathStyle: true })
    await client.send(new CreateBucketCommand({ Bucket: name }))
    client.destroy()
    return { ...ceph, bucket: name, partSize: 5 * 1024 * 1024 }
  }

  it('that is killed ten times ends in an exact copy', { timeout: 20 * 60_000 }, async () => {
    await using folder = await folderOf({ small: 1200, large: 12 })
    await killAndFinish(folder.path, await bucket(), 10)
  })

  it('in four shards ends in an exact copy', { timeout: 10 * 60_000 }, async () => {
    const files = { small: 2000, large: 6 }
    await using folder = await folderOf(files)
    await migrateInShards(folder.path, await bucket(), files)
  })
})

describe('a migration of 100,000 files', () => {
  class Counted extends MemoryStorage {
    readonly #count: number

    constructor(count: number) {
      super()
      this.#count = count
    }

    override async *list() {
      for (let n = 0; n < this.#count; n++) {
        yield { name: `f${String(n).padStart(7, '0')}`, size: 1, lastModified: new Date(0), etag: '"x"' }
      }
    }

    override async open(): ReturnType<MemoryStorage['open']> {
      return super.open('content')
    }
  }

  it('grows by 100 MiB at most', { timeout: 10 * 60_000 }, async () => {
    const source = new Counted(100_000)
    await source.save('content', 'x')
    const target = new MemoryStorage()
    const save = async (name: string) => name
    const sink = Object.assign(target, { save })
    await migrate(new Counted(0), sink) // Loads everything.
    const before = process.memoryUsage().rss
    let most = before
    const onProgress = () => {
      most = Math.max(most, process.memoryUsage.rss())
    }
    const { copied } = await migrate(source, sink, { onProgress })
    assert.equal(copied, 100_000)
    assert.ok(most - before < 100 * 1024 * 1024, `${(most - before) / 2 ** 20} MiB`)
  })
})
