import assert from 'node:assert/strict'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { describe, it } from 'vitest'
import { Semaphore } from '../../src/drivers/semaphore.js'

/** Takes a turn, and notes that it came. */
function taker(semaphore: Semaphore, order: number[]) {
  return async (id: number, signal?: AbortSignal) => {
    await semaphore.take(signal)
    order.push(id)
  }
}

describe('Semaphore', () => {
  it('lets its size through without a promise, and the others in their order', async () => {
    const semaphore = new Semaphore(2)
    assert.equal(semaphore.take(undefined), undefined)
    assert.equal(semaphore.take(undefined), undefined)
    const order: number[] = []
    const take = taker(semaphore, order)
    const waiting = [take(1), take(2), take(3)]
    await setImmediate()
    assert.deepEqual(order, [])
    semaphore.give()
    await setImmediate()
    assert.deepEqual(order, [1])
    semaphore.give()
    semaphore.give()
    await Promise.all(waiting)
    assert.deepEqual(order, [1, 2, 3])
  })

  it('never lets more through at a time than its size', async () => {
    const semaphore = new Semaphore(3)
    let inside = 0
    let most = 0
    const work = async () => {
      await semaphore.take(undefined)
      inside += 1
      most = Math.max(most, inside)
      await setImmediate()
      inside -= 1
      semaphore.give()
    }
    await Promise.all(Array.from({ length: 50 }, work))
    assert.deepEqual([most, inside], [3, 0])
  })

  it('takes one who leaves out of the queue, and keeps no listener', async () => {
    const semaphore = new Semaphore(1)
    semaphore.take(undefined)
    const stop = new AbortController()
    const order: number[] = []
    const take = taker(semaphore, order)
    const left = take(1, stop.signal)
    const stayed = take(2)
    stop.abort(new Error('gone'))
    await assert.rejects(left, /gone/)
    semaphore.give()
    await stayed
    assert.deepEqual(order, [2])
    semaphore.give()
    assert.equal(semaphore.take(undefined), undefined) // No turn is lost.
  })

  it('refuses one who has left already', async () => {
    const semaphore = new Semaphore(1)
    semaphore.take(undefined)
    await assert.rejects(async () => semaphore.take(AbortSignal.abort(new Error('gone'))), /gone/)
  })

  it('gives up where nobody makes progress', async () => {
    const semaphore = new Semaphore(1, 20)
    semaphore.take(undefined)
    await assert.rejects(async () => semaphore.take(undefined), { code: 'Unavailable' })
  })

  it('is patient while somebody makes progress', async () => {
    const semaphore = new Semaphore(1, 1_000)
    semaphore.take(undefined)
    const waiting = Promise.resolve(semaphore.take(undefined))
    await setTimeout(700)
    semaphore.progress()
    await setTimeout(700)
    semaphore.give()
    await waiting
  })

  it('is patient with one who said how long it takes', async () => {
    const semaphore = new Semaphore(1, 20)
    semaphore.take(undefined)
    semaphore.expect(60_000)
    const waiting = Promise.resolve(semaphore.take(undefined))
    await setTimeout(100)
    semaphore.give()
    await waiting
  })
})
