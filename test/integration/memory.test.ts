import { expect, it } from 'vitest'
import { inChild } from './child/child.js'
import { newFolder } from './child/folders.js'
import type { StorageChoice } from './child/programs.js'
import { startServer } from './child/server.js'

const MIB = 1024 * 1024
const LIMIT = 128 * MIB
const BYTES = 512 * MIB

async function expectBounded(storage: StorageChoice): Promise<void> {
  const { grownBySave, grownByRead, read, wrong } = await inChild('streamThrough', { storage, bytes: BYTES })
  expect({ read, wrong }).toEqual({ read: BYTES, wrong: 0 })
  expect(grownBySave).toBeLessThan(LIMIT)
  expect(grownByRead).toBeLessThan(LIMIT)
}

it('saves and reads a large stream on the filesystem in less than 128 MiB', async () => {
  await expectBounded({ kind: 'filesystem', location: await newFolder(), fsync: false })
})

it.each([true, false])(
  'saves and reads a large stream on R2 in less than 128 MiB (fastPath %s)',
  async (fastPath) => {
    await using server = await startServer({ discardBodiesOver: MIB })
    await expectBounded({ kind: 'r2', ...server.keys, bucket: 'test-bucket', fastPath })
  },
)
