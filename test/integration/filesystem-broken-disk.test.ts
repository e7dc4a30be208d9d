import { expect, it } from 'vitest'
import { operations } from './child/broken-disk.js'
import { inChild } from './child/child.js'
import { newFolder } from './child/folders.js'

it.each(Object.entries(operations))(
  'leaves nothing half done, whichever call of a %s fails',
  async (operation, { after: done, final = false, halfway }) => {
    const failures = await inChild('failEachCall', { operation, parent: await newFolder() })
    expect(failures.length).toBeGreaterThan(0)
    for (const { call, rejected, before, after, folders, left } of failures) {
      const told = `${operation}, ${call}, ${rejected ? 'rejected' : 'fulfilled'}`
      if (!call.startsWith('unlink ')) expect(left, told).toEqual([])
      if (!rejected) {
        expect(after, told).toEqual(done)
        continue
      }
      if (final) expect([before, done, halfway], told).toContainEqual(after)
      else expect(after, told).toEqual(before)
      if (JSON.stringify(after) === JSON.stringify(before)) expect(folders, told).toEqual([])
    }
  },
)
