import assert from 'node:assert/strict'
import { describe, it } from 'vitest'
import { inUse, whileBusy } from '../../src/drivers/filesystem/windows.js'

function failing(code: string): Error {
  return Object.assign(new Error(code), { code })
}

/** As on Windows, with little patience. */
const AS_ON_WINDOWS = { isNeeded: true, patience: 40 }

describe('a call for a file in use on Windows', () => {
  it('is tried again until the file is free', async () => {
    for (const code of ['EPERM', 'EBUSY', 'EACCES']) {
      let calls = 0
      const call = async (name: string) => {
        if (++calls < 3) throw failing(code)
        return name
      }
      assert.equal(await whileBusy(call, inUse, { isNeeded: true, patience: 10_000 })('a'), 'a')
      assert.equal(calls, 3)
    }
  })

  it('fails after a while with an error that may be tried again later', async () => {
    let calls = 0
    const call = async () => {
      calls++
      throw failing('EPERM')
    }
    await assert.rejects(whileBusy(call, inUse, AS_ON_WINDOWS)(), { name: 'Problem', code: 'Unavailable' })
    assert(calls > 1)
  })

  it('is not tried again for another reason', async () => {
    let calls = 0
    const call = async () => {
      calls++
      throw failing('ENOENT')
    }
    await assert.rejects(whileBusy(call, inUse, AS_ON_WINDOWS)(), { code: 'ENOENT' })
    assert.equal(calls, 1)
  })

  it('is the call itself on other systems', () => {
    const call = async () => {}
    assert.equal(whileBusy(call, inUse, { isNeeded: false }), call)
  })
})
