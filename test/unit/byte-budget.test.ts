import assert from 'node:assert/strict'
import { setImmediate } from 'node:timers/promises'
import { describe, it } from 'vitest'
import { ByteBudget } from '../../src/transfer/byte-budget.js'

describe('ByteBudget', () => {
  it('lets files through while there is room, and then in their order', async () => {
    const budget = new ByteBudget(100)
    const first = await budget.take(60)
    const order: string[] = []
    const large = budget.take(80).then((give) => {
      order.push('large')
      return give
    })
    // There is room for it, but it came later.
    const small = budget.take(10).then((give) => {
      order.push('small')
      return give
    })
    await setImmediate()
    assert.deepEqual(order, [])
    first()
    await Promise.all([large, small])
    assert.deepEqual(order, ['large', 'small'])
  })

  it('lets a file that is larger than all of it go alone', async () => {
    const budget = new ByteBudget(100)
    const huge = await budget.take(1_000)
    let isIn = false
    const next = budget.take(1).then(() => {
      isIn = true
    })
    await setImmediate()
    assert.equal(isIn, false)
    huge()
    await next
  })
})
