import { expect, it } from 'vitest'
import { inChild } from '../integration/child/child.js'
import { newFolder } from '../integration/child/folders.js'
import { startServer } from '../integration/child/server.js'

const MIB = 1024 * 1024
const LIMIT = 64 * MIB
const BYTES = 1024 * MIB

it('takes a form with a file of 1 GiB onto the disk in less than 64 MiB', async () => {
  const storage = { kind: 'filesystem', location: await newFolder(), fsync: false } as const
  const { size, grown } = await inChild('receiveForm', { storage, bytes: BYTES })
  expect(size).toBe(BYTES)
  expect(grown).toBeLessThan(LIMIT)
})

it('takes a form with a file of 1 GiB to R2 in less than 128 MiB', async () => {
  await using server = await startServer({ discardBodiesOver: MIB })
  const storage = { kind: 'r2', ...server.keys, bucket: 'test-bucket' } as const
  const { size, grown } = await inChild('receiveForm', { storage, bytes: BYTES })
  expect(size).toBe(BYTES)
  expect(grown).toBeLessThan(2 * LIMIT)
})
