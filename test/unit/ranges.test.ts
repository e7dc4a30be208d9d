import assert from 'node:assert/strict'
import fc from 'fast-check'
import { describe, it } from 'vitest'
import { resolveRange } from '../../src/ranges.js'

describe('a range', () => {
  it.each([
    [undefined, 10, 0, 10],
    [undefined, 0, 0, 0],
    [{ offset: 0 }, 10, 0, 10],
    [{ offset: 3 }, 10, 3, 7],
    [{ offset: 3, length: 4 }, 10, 3, 4],
    [{ offset: 9, length: 1 }, 10, 9, 1],
    [{ offset: 3, length: 0 }, 10, 3, 0],
    [{ offset: 8, length: 100 }, 10, 8, 2],
    [{ offset: 0, length: Number.MAX_SAFE_INTEGER }, 10, 0, 10],
    [{ offset: -3 }, 10, 7, 3],
    [{ offset: -3, length: 2 }, 10, 7, 2],
    [{ offset: -10 }, 10, 0, 10],
    [{ offset: -100 }, 10, 0, 10],
    [{ offset: -100, length: 4 }, 10, 0, 4],
  ])('%j of %i bytes is %i+%i', (range, size, offset, length) => {
    assert.deepEqual(resolveRange(range, size), { offset, length })
  })

  it.each([
    [{ offset: 10 }, 10],
    [{ offset: 11, length: 1 }, 10],
    [{ offset: 0 }, 0],
    [{ offset: 0, length: 0 }, 0],
    [{ offset: -1 }, 0],
    [{ offset: Number.MAX_SAFE_INTEGER }, 10],
  ])('%j of %i bytes starts past the end', (range, size) => {
    assert.throws(() => resolveRange(range, size), { code: 'RangeNotSatisfiable' })
  })

  it('is what Buffer.subarray gives', () => {
    const whole = Buffer.from(Array.from({ length: 40 }, (_, i) => i))
    fc.assert(
      fc.property(
        fc.integer({ min: -60, max: 39 }),
        fc.option(fc.integer({ min: 0, max: 60 }), { nil: undefined }),
        (offset, length) => {
          const got = resolveRange({ offset, length }, whole.length)
          const tail = whole.subarray(offset)
          assert.deepEqual(
            whole.subarray(got.offset, got.offset + got.length),
            length === undefined ? tail : tail.subarray(0, length),
          )
        },
      ),
    )
  })
})
