import { expect, it } from 'vitest'
import { operations } from './child/broken-disk.js'
import { inChild } from './child/child.js'
import { PATH_OF_FAILURE } from './child/faults.js'
import { newFolder } from './child/folders.js'

it.each(Object.entries(operations))(
  'leaves nothing half done, whichever call of a %s fails',
  async (operation, { after: done, final = false, halfway }) => {
    const parent = await newFolder()
    const failures = await inChild('failEachCall', { operation, parent })
    expect(failures.length).toBeGreaterThan(0)
    for (const { call, rejected, message, before, after, folders, left } of failures) {
      const told = `${operation}, ${call}, ${rejected ? 'rejected' : 'fulfilled'}`
      if (!call.startsWith('unlink ')) expect(left, told).toEqual([])
      for (const path of [PATH_OF_FAILURE, parent]) expect(message, told).not.toContain(path)
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
