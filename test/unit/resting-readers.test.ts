/** Which reader gives back what it holds, and when. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it, vi } from 'vitest'
import { type Reader, RestingReaders } from '../../src/drivers/resting-readers.js'
import { Semaphore } from '../../src/drivers/semaphore.js'

// The package keeps Node's timers; here they are those of the test.
vi.mock('../../src/timers.js', () => ({
  setTimeout: (...given: Parameters<typeof setTimeout>) => setTimeout(...given),
  clearTimeout: (timer: NodeJS.Timeout) => clearTimeout(timer),
}))

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }))
afterEach(() => void vi.useRealTimers())

const REST = 30_000

function setUp(limit = Number.POSITIVE_INFINITY) {
  const readers = new RestingReaders(REST, limit)
  const released: string[] = []
  const open = (name: string, holds = true) => {
    const reader = {
      restingSince: performance.now() as number | undefined,
      release() {
        released.push(name)
        return holds
      },
    } satisfies Reader
    readers.add(reader)
    return reader
  }
  return { readers, released, open }
}

describe('readers that rest', () => {
  it('give back what they hold after a while, and those that read do not', () => {
    const { released, open } = setUp()
    open('rests')
    open('reads').restingSince = undefined
    vi.advanceTimersByTime(REST - 1)
    assert.deepEqual(released, [])
    vi.advanceTimersByTime(REST / 5)
    assert.deepEqual(released, ['rests'])
  })

  it('give it to one that waits: the one first that rests longest, and one for each', () => {
    const { readers, released, open } = setUp()
    for (const name of ['first', 'second', 'third']) {
      open(name)
      vi.advanceTimersByTime(200)
    }
    readers.claim()
    assert.deepEqual(released, ['first'])
    vi.advanceTimersByTime(1000)
    assert.deepEqual(released, ['first'])
    readers.claim()
    assert.deepEqual(released, ['first', 'second'])
  })

  it('keep it for a moment, since a file that was just opened is about to be read', () => {
    const { readers, released, open } = setUp()
    const reader = open('soon read')
    readers.claim()
    assert.deepEqual(released, [])
    reader.restingSince = undefined
    vi.advanceTimersByTime(1000)
    assert.deepEqual(released, [])
    reader.restingSince = performance.now()
    vi.advanceTimersByTime(200)
    assert.deepEqual(released, ['soon read'])
  })

  it('are passed over where they hold nothing any more', () => {
    const { readers, released, open } = setUp()
    open('has all of it', false)
    open('holds a connection')
    vi.advanceTimersByTime(200)
    readers.claim()
    assert.deepEqual(released, ['has all of it', 'holds a connection'])
  })

  it('keep it where the one that waited has got something else', () => {
    const { readers, released, open } = setUp()
    open('rests')
    readers.claim()()
    vi.advanceTimersByTime(1000)
    assert.deepEqual(released, [])
  })

  it('are no more than the limit', () => {
    const { released, open } = setUp(2)
    for (const name of ['first', 'second', 'third', 'fourth']) open(name)
    vi.advanceTimersByTime(200)
    assert.deepEqual(released, ['first', 'second'])
  })

  it('give way to a caller that waits for a turn', async () => {
    const { readers, released, open } = setUp()
    const turns = new Semaphore(1, 60_000, readers)
    turns.take(undefined)
    open('rests')
    vi.advanceTimersByTime(200)
    const waiting = turns.take(undefined)
    assert.deepEqual(released, ['rests'])
    turns.give()
    await waiting
  })

  it('give way to each of many callers, also where a turn is free at once', async () => {
    const { readers } = setUp()
    const turns = new Semaphore(4, 60_000, readers)
    const open = async () => {
      await turns.take(undefined)
      readers.add({
        restingSince: performance.now(),
        release() {
          turns.give()
          return true
        },
      })
    }
    const opened = Promise.all(Array.from({ length: 40 }, open))
    for (let round = 0; round < 40; round++) await vi.advanceTimersByTimeAsync(100)
    await opened
    await vi.advanceTimersByTimeAsync(1000)
    await open() // At once.
  })
})
