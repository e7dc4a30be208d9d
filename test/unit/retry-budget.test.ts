import assert from 'node:assert/strict'
import { describe, it } from 'vitest'
import type { Failure } from '../../src/drivers/s3/failures.js'
import { RetryBudget } from '../../src/drivers/s3/retry-budget.js'

const failure = (retry: Failure['retry'], headers: Record<string, string> = {}): Failure => ({
  status: 503,
  code: 'SlowDown',
  headers,
  attempts: 1,
  retry,
  ambiguous: false,
})
const budget = (maxAttempts: number, retryTimeout: number) => new RetryBudget({ maxAttempts, retryTimeout })

describe('RetryBudget', () => {
  it('gives as many attempts as were asked for', () => {
    const three = budget(3, 60_000)
    for (const _ of [1, 2]) {
      assert.ok(three.next(failure('soon'), false) !== undefined)
      three.begin()
    }
    assert.equal(three.next(failure('soon'), false), undefined)
  })

  it('does not repeat what no retry cures, but for a cure', () => {
    assert.equal(budget(5, 60_000).next(failure('no'), false), undefined)
    assert.ok(budget(5, 60_000).next(failure('no'), true) !== undefined)
  })

  it('waits at least a second for a server that is throttled, and as long as it asks, up to 20 s', () => {
    assert.ok((budget(5, 60_000).next(failure('later'), false) ?? 0) >= 1_000)
    assert.equal(budget(5, 60_000).next(failure('soon', { 'retry-after': '7' }), false), 7_000)
    assert.equal(budget(5, 60_000).next(failure('soon', { 'retry-after': '900' }), false), 20_000)
  })

  it('does not begin to wait for what comes after its end', () => {
    assert.equal(budget(5, 5_000).next(failure('soon', { 'retry-after': '7' }), false), undefined)
  })

  it('gives a slow request ten times as long, once', () => {
    const slow = budget(9, 1_000)
    assert.equal(slow.beginSlow(30_000), 10_000)
    assert.ok(slow.next(failure('soon'), false) !== undefined)
  })
})
