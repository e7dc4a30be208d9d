import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { FileSystemStorage, R2Storage, S3Storage, type Storage } from 'stowage'
import { expect, inject, it } from 'vitest'
import { inChildren } from './child/child.js'
import { newFolder } from './child/folders.js'
import type { StorageChoice } from './child/programs.js'
import { startServer } from './child/server.js'

const NAME = 'room 1/report.tar.gz'

/** 64 saves of one name from 4 processes at the same time; each must have a file of its own. */
async function expectNoCollision(choice: StorageChoice, storage: Storage): Promise<void> {
  const contents = Array.from({ length: 64 }, (_, index) => `content ${index}`)
  const shares = [0, 16, 32, 48].map((start) => contents.slice(start, start + 16))
  const results = await inChildren(
    'saveSame',
    shares.map((share) => ({ storage: choice, name: NAME, contents: share })),
  )
  const names = results.flat()
  expect(new Set(names).size).toBe(64)
  expect(names.filter((name) => name === NAME)).toHaveLength(1)
  for (const name of names) expect(name).toMatch(/^room 1\/report(_[A-Za-z0-9]{7})?\.tar\.gz$/)
  for (const [index, name] of names.entries()) {
    expect(await (await storage.open(name)).text()).toBe(contents[index])
  }
  const listed: string[] = []
  for await (const { name } of storage.list('room 1')) listed.push(name)
  expect(new Set(listed)).toEqual(new Set(names))
}

it('gives 64 concurrent saves from 4 processes 64 files on the filesystem', async () => {
  const options = { location: await newFolder() }
  await expectNoCollision({ kind: 'filesystem', ...options }, new FileSystemStorage(options))
})

it.each([true, false])('gives them 64 files on R2 (fastPath %s)', async (fastPath) => {
  await using server = await startServer({})
  const options = { ...server.keys, bucket: 'test-bucket', fastPath }
  await expectNoCollision({ kind: 'r2', ...options }, new R2Storage(options))
})

const ceph = inject('ceph')
it.skipIf(ceph === null)('gives them 64 files on Ceph', async () => {
  if (ceph === null) return
  const { endpoint, ...credentials } = ceph
  const bucket = `collisions-${Date.now()}`
  const client = new S3Client({ endpoint, credentials, region: 'us-east-1', forcePathStyle: true })
  await client.send(new CreateBucketCommand({ Bucket: bucket }))
  client.destroy()
  const options = { ...ceph, bucket }
  await expectNoCollision({ kind: 's3', ...options }, new S3Storage(options))
})
